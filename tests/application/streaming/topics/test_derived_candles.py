"""Days are followed through their minutes: over real sockets, across midnight, with the socket cut."""

import asyncio
from datetime import UTC, datetime

import pytest
from waiting import until

from market_backbone import CandleUpdated, ChannelSwitched, Finality, HistoryLoaded, create_realtime_request
from market_backbone.infrastructure.sandbox import Fault

SPEED = 20.0
DAY_MS = 86_400_000
MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)
MIDNIGHT_MS = round(MIDNIGHT.timestamp() * 1000)
BEFORE_MIDNIGHT = datetime(2026, 11, 2, 23, 58, 20, tzinfo=UTC)
AT_NOON = datetime(2026, 11, 2, 12, 0, 30, tzinfo=UTC)


def millis(at):
    return round(at.timestamp() * 1000)


def figures(candle):
    return (candle.open, candle.high, candle.low, candle.close, candle.volume)


def every_view(market, symbol, day_ms, now_ms):
    """Every view that a day's candle can have had: the aggregate of its first n trades, for each n."""
    views, volume = set(), 0
    first = high = low = None
    for trade in market.trades(symbol, day_ms, min(now_ms, day_ms + DAY_MS)):
        first = trade.price if first is None else first
        high = trade.price if high is None else max(high, trade.price)
        low = trade.price if low is None else min(low, trade.price)
        volume += trade.volume
        views.add((first, high, low, trade.price, volume))
    return views


def corrections(api):
    """How often what is derived now had to be given up, for each series."""
    return [
        state.aggregator.corrections
        for state in api._parts.hub.live_view.states.values()
        if hasattr(state, "aggregator")
    ]


class Watcher:
    """Follows in the background and keeps the events."""

    def __init__(self, api, symbol, timeframe="1d", history=2):
        self.events = []
        self.request = create_realtime_request(symbol, timeframe, history=history)
        self.task = asyncio.create_task(self._read(api))

    async def _read(self, api):
        async with api.follow(self.request) as stream:
            async for event in stream:
                self.events.append(event)

    def candles(self, *finalities):
        updates = [event.candle for event in self.events if isinstance(event, CandleUpdated)]
        return [candle for candle in updates if not finalities or candle.finality in finalities]

    @property
    def is_deriving(self):
        return any(candle.source == "derived" for candle in self.candles())

    async def stop(self):
        self.task.cancel()
        await asyncio.wait([self.task])


@pytest.fixture
async def watch():
    watchers = []

    def begin(*args, **rest):
        watchers.append(Watcher(*args, **rest))
        return watchers[-1]

    yield begin
    for watcher in watchers:
        await watcher.stop()


async def pass_market_s(seconds):
    await asyncio.sleep(seconds / SPEED)


@pytest.mark.parametrize("symbol", ["KRW-BTC", "KRW-AWE"])
async def test_a_day_is_followed_across_midnight_while_the_socket_is_lost(open_market, watch, symbol):
    async with open_market(speed=SPEED, starts_at=BEFORE_MIDNIGHT) as (sandbox, api):
        days = watch(api, symbol)
        await until(lambda: days.is_deriving or symbol == "KRW-AWE")
        await until(lambda: sandbox.now_ms() >= MIDNIGHT_MS - 30_000)
        sandbox.inject(Fault("refuse-upgrades", status=503, duration_s=50))
        sandbox.inject(Fault("drop-sockets"))
        await until(lambda: sandbox.now_ms() >= MIDNIGHT_MS + 100_000)
        corrected = corrections(api)
        views = {day: every_view(sandbox.market, symbol, day, sandbox.now_ms())
                 for day in (MIDNIGHT_MS - DAY_MS, MIDNIGHT_MS)}  # fmt: skip
        (truth,) = sandbox.market.candles(symbol, "1d", MIDNIGHT_MS - DAY_MS, MIDNIGHT_MS)
    assert isinstance(days.events[0], HistoryLoaded)
    assert corrected == [0]
    switches = [(event.old, event.new) for event in days.events if isinstance(event, ChannelSwitched)]
    assert switches[-2:] == [("websocket", "rest"), ("rest", "websocket")]
    (final,) = days.candles(Finality.FINAL)
    assert (figures(final), final.sealed_by, final.source) == (figures(truth), "rest", "rest")
    over = [candle.finality for candle in days.candles() if millis(candle.opened_at) < MIDNIGHT_MS]
    assert over == sorted(over)
    assert Finality.CLOSED in over
    for candle in days.candles(Finality.FORMING, Finality.CLOSED):
        assert figures(candle) in views[millis(candle.opened_at)], candle


async def test_a_day_is_derived_on_and_closed_while_rest_is_lost_across_midnight(open_market, watch):
    async with open_market(speed=SPEED, starts_at=BEFORE_MIDNIGHT) as (sandbox, api):
        days = watch(api, "KRW-BTC")
        await until(lambda: days.is_deriving)
        await until(lambda: sandbox.now_ms() >= MIDNIGHT_MS - 20_000)
        sandbox.inject(Fault("rest-status", status=500))
        await until(lambda: sandbox.now_ms() >= MIDNIGHT_MS + 15_000)
        assert not days.candles(Finality.FINAL)
        assert days.candles(Finality.CLOSED)
        assert millis(days.candles()[-1].opened_at) == MIDNIGHT_MS
        assert days.candles()[-1].source == "derived"
        sandbox.clear_faults()
        await until(lambda: days.candles(Finality.FINAL))
        views = {day: every_view(sandbox.market, "KRW-BTC", day, sandbox.now_ms())
                 for day in (MIDNIGHT_MS - DAY_MS, MIDNIGHT_MS)}  # fmt: skip
        (truth,) = sandbox.market.candles("KRW-BTC", "1d", MIDNIGHT_MS - DAY_MS, MIDNIGHT_MS)
    assert [figures(candle) for candle in days.candles(Finality.FINAL)] == [figures(truth)]
    for candle in days.candles(Finality.FORMING, Finality.CLOSED):
        assert figures(candle) in views[millis(candle.opened_at)], candle


async def test_a_followed_day_moves_with_its_minutes_and_asks_rest_about_once_a_minute(open_market, watch):
    async with open_market(speed=SPEED, starts_at=AT_NOON) as (sandbox, api):
        days, minutes = watch(api, "KRW-BTC"), watch(api, "KRW-BTC", "1m")
        await until(lambda: days.is_deriving)
        connects, before = sandbox.counters.websocket_connects, sandbox.counters.requests["candles"]
        days_seen, minutes_seen = len(days.candles()), len(minutes.candles())
        await pass_market_s(240)
        asked = sandbox.counters.requests["candles"] - before
        moved, minutes_moved = days.candles()[days_seen:], minutes.candles(Finality.FORMING)[minutes_seen:]
        assert sandbox.counters.websocket_connects == connects
        assert corrections(api) == [0]
    assert asked <= 8, f"{asked} calls in four minutes"
    assert len(minutes_moved) >= 20
    assert sum(candle.source == "derived" for candle in moved) >= 0.9 * len(minutes_moved)
    assert {candle.finality for candle in moved} == {Finality.FORMING}


async def test_the_minutes_are_subscribed_once_for_all_and_no_longer_than_they_are_followed(open_market, watch):
    async with open_market(speed=12.0, starts_at=AT_NOON) as (sandbox, api):
        watchers = [watch(api, "KRW-BTC", timeframe) for timeframe in ("1m", "1d", "1w", "1M", "1y", "1d")]
        await until(lambda: all(watcher.is_deriving for watcher in watchers[1:]), seconds=30)
        await until(lambda: len(sandbox._server._sockets) == 1)  # and one it stays, were it a new one
        assert api._parts.hub.live_view.followed("websocket") == {"candle.1m:KRW-BTC"}
        for watcher in watchers[:-1]:
            await watcher.stop()
        assert api._parts.hub.live_view.followed("websocket") == {"candle.1m:KRW-BTC"}
        await watchers[-1].stop()
        await until(lambda: not api._parts.hub.live_view.followed("websocket"))
        await until(lambda: not api._parts.tasks.count)


@pytest.mark.parametrize("timeframe", ["1d", "1w", "1M", "1y"])
async def test_when_the_market_rests_what_was_derived_is_what_rest_tells(open_market, watch, timeframe):
    async with open_market(speed=SPEED, starts_at=AT_NOON) as (sandbox, api):
        watcher = watch(api, "KRW-BTC", timeframe)
        await until(lambda: watcher.is_deriving)
        await pass_market_s(60)
        sandbox.inject(Fault("outage", symbol="KRW-BTC", hours=1))
        await pass_market_s(15)
        derived = [candle for candle in watcher.candles() if candle.source == "derived"][-1]
        (read,) = await api.channels["rest"].get_candles("KRW-BTC", timeframe, 1)
    assert derived.is_same_market_data(read)
    assert derived.quote_volume == read.quote_volume
    assert derived.volume == read.volume
