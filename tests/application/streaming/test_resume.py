"""A follower that was followed before: what it missed comes first, then live, nothing lost and nothing twice."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import (
    CandleUpdated,
    ChannelUnavailableError,
    Gap,
    HistoryLoaded,
    Reason,
    TradeReceived,
    create_realtime_request,
)
from market_backbone.application.paging.readers import TradeReader
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.resume import Resumed, TradeResumption
from market_backbone.application.streaming.topics.trades import TradeTopic
from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.request import Topic
from market_backbone.domain.trade import order_of_trade
from market_backbone.infrastructure.sandbox import Fault

MIDNIGHT = datetime(2026, 11, 10, tzinfo=UTC)


SECOND = timedelta(seconds=1)


SPEED = 20.0


def ids(trades):
    return [trade.sequential_id for trade in trades]


def millis(at):
    return round(at.timestamp() * 1000)


async def read(api, request, *, until=None, seconds=None):
    """Follow until a condition on what came holds, or for market seconds; answers the events."""
    events = []
    async with asyncio.timeout(30), api.follow(request) as stream:
        try:
            async with asyncio.timeout(None if seconds is None else seconds / SPEED):
                async for event in stream:
                    events.append(event)
                    if until is not None and until(events):
                        break
        except TimeoutError:
            if seconds is None:
                raise
    return events


def trades_of(events):
    return [event.trade for event in events if isinstance(event, TradeReceived)]


def truth_between(sandbox, symbol, first, last):
    """The ids of what the exchange traded from one trade to another, both included."""
    trades = sandbox.market.trades(symbol, millis(first.traded_at), millis(last.traded_at) + 1)
    return [t.sequential_id for t in trades if first.sequential_id <= t.sequential_id <= last.sequential_id]


@pytest.mark.parametrize("form", ["the trade", "its id"])
async def test_a_follower_of_trades_goes_on_where_it_left_off_over_midnight(open_market, form):
    async with open_market(speed=SPEED, starts_at=MIDNIGHT - timedelta(seconds=60)) as (sandbox, api):
        before = trades_of(await read(api, create_realtime_request("KRW-BTC", kind="trade"), seconds=45))
        last = max(before, key=order_of_trade)
        await asyncio.sleep(30 / SPEED)
        after = last if form == "the trade" else last.sequential_id
        request = create_realtime_request("KRW-BTC", kind="trade", resume_after=after)
        events = await read(api, request, seconds=20)
    assert not [event for event in events if isinstance(event, Gap)]
    missed = trades_of(events)
    assert missed[0].traded_at < MIDNIGHT < missed[-1].traded_at
    assert ids(missed[:20]) == sorted(ids(missed[:20]))
    assert len(missed) == len(set(ids(missed)))
    newest = max(missed, key=order_of_trade)
    lost = set(truth_between(sandbox, "KRW-BTC", last, newest)) - {last.sequential_id, *ids(missed)}
    assert {number for number in lost if number // 10_000 < millis(newest.traded_at) - 1000} == set()
    assert {trade.source for trade in missed} == {"rest", "websocket"}


async def test_a_socket_that_is_cut_over_midnight_costs_no_trade(open_market):
    async with open_market(speed=SPEED, starts_at=MIDNIGHT - timedelta(seconds=20)) as (sandbox, api):
        for fault in (Fault("drop-sockets", at_s=12), Fault("refuse-upgrades", at_s=12, duration_s=15, status=503)):
            sandbox.inject(fault)
        events = await read(
            api,
            create_realtime_request("KRW-BTC", kind="trade"),
            until=lambda events: trades_of(events)[-1:] and trades_of(events)[-1].traded_at > MIDNIGHT + 40 * SECOND,
        )
    trades = trades_of(events)
    assert trades[0].traded_at < MIDNIGHT - 5 * SECOND
    assert "rest" in {trade.source for trade in trades}
    assert not [event for event in events if isinstance(event, Gap)]
    assert len(trades) == len(set(ids(trades)))
    end = MIDNIGHT + 38 * SECOND
    truth = set(truth_between(sandbox, "KRW-BTC", trades[0], max(trades, key=order_of_trade)))
    lost = {number for number in truth if number // 10_000 < millis(end)} - set(ids(trades))
    assert lost == set()


async def test_what_rest_no_longer_keeps_is_a_gap_and_the_rest_comes_whole(open_market):
    symbol = "KRW-AWE"
    async with open_market(speed=100.0, starts_at=MIDNIGHT + 60 * SECOND) as (sandbox, api):
        old = next(iter(sandbox.market.trades(symbol, millis(MIDNIGHT - timedelta(days=9)), millis(MIDNIGHT))))
        request = create_realtime_request(symbol, kind="trade", resume_after=old.sequential_id)
        kept_from = MIDNIGHT - timedelta(days=7)
        events = await read(api, request, until=lambda events: len(events) > 100)
        truth = [t.sequential_id for t in sandbox.market.trades(symbol, millis(kept_from), millis(MIDNIGHT))]
    assert isinstance(events[0], Gap)
    assert (events[0].reason, events[0].range.end) == (Reason.BEYOND_RETENTION, kept_from)
    assert ids(trades_of(events))[:100] == truth[:100]


async def test_candles_go_on_with_the_slot_after_the_last_final_one(open_market):
    async with open_market(speed=SPEED, starts_at=MIDNIGHT - timedelta(seconds=90)) as (_, api):
        last = MIDNIGHT - timedelta(minutes=6)
        request = create_realtime_request("KRW-BTC", "1m", resume_after=last)
        events = await read(
            api,
            request,
            until=lambda events: (
                isinstance(events[-1], CandleUpdated)
                and events[-1].candle.is_final
                and events[-1].candle.opened_at >= MIDNIGHT - timedelta(minutes=1)
            ),
        )
    assert isinstance(events[0], HistoryLoaded)
    history = events[0].series
    assert history[0].opened_at == last + timedelta(minutes=1)
    final = [candle.opened_at for candle in history if candle.is_final]
    final += [e.candle.opened_at for e in events if isinstance(e, CandleUpdated) and e.candle.is_final]
    assert final == [last + timedelta(minutes=minute) for minute in range(1, 6)]


async def test_candles_go_on_over_a_pause_of_the_market_without_repeating_the_last_final_one(open_market):
    async with open_market(speed=SPEED, starts_at=MIDNIGHT + 30 * SECOND) as (sandbox, api):
        sandbox.inject(Fault("outage", at_s=5, duration_s=70))
        await asyncio.sleep(45 / SPEED)
        request = create_realtime_request("KRW-BTC", "1m", resume_after=MIDNIGHT)
        events = await read(
            api, request, until=lambda events: isinstance(events[-1], CandleUpdated) and events[-1].candle.is_final
        )
    assert len(events[0].series) == 0
    assert {e.candle.opened_at for e in events[1:] if isinstance(e, CandleUpdated)} >= {MIDNIGHT + 60 * SECOND}
    assert [e.candle.opened_at for e in events[1:] if isinstance(e, CandleUpdated) and e.candle.is_final] == [
        MIDNIGHT + 60 * SECOND
    ]


class Desk:
    """A topic, a follower that waits, and REST as a list."""

    def __init__(self, kit, trades, capacity=100, before=None):
        self.clock = kit.Clock()
        self.clock.now += 60
        self.rest = kit.Channel(clock=self.clock)
        self.rest.trades = trades
        self.topic = TradeTopic(Topic(DataKind.TRADE, kit.BTC), TradeReader(self.clock, kit.ServerTime(self.clock)))
        self.subscriber = Subscriber.of(capacity, waits_for_history=True)
        if before is not None:
            self.topic.apply(before)
        self.before = before
        self.topic.subscribers.members.add(self.subscriber)

    def live(self, trade):
        self.topic.subscribers.publish(self.topic.apply(trade))

    async def open(self, after, rest=True):
        resumed = Resumed(after=after, topic=self.topic, subscriber=self.subscriber, before=self.before)
        await TradeResumption(self.topic.reader).open(resumed, self.rest if rest else None)

    async def events(self):
        buffer = self.subscriber.buffer
        return [await buffer.get() for _ in range(len(buffer))]

    async def ids(self):
        return ids(trades_of(await self.events()))


async def test_what_was_missed_comes_in_order_before_what_came_live_meanwhile(kit):
    scene = Desk(kit, [kit.trade(n, source="rest") for n in (1, 2, 4, 3, 5)])
    scene.live(kit.trade(5))
    scene.live(kit.trade(7))
    await scene.open(kit.trade(2))
    scene.live(kit.trade(6))
    events = await scene.events()
    assert [(t.sequential_id, t.is_late) for t in trades_of(events)] == [
        (3, False), (4, False), (5, False), (7, False), (6, True),
    ]  # fmt: skip
    assert not [event for event in events if isinstance(event, Gap)]


async def test_rest_that_lags_behind_the_first_live_trade_is_read_again(kit):
    scene = Desk(kit, [kit.trade(n) for n in (1, 2, 3)])
    scene.live(kit.trade(6))
    whole = [kit.trade(n) for n in (1, 2, 3, 4, 5, 6)]
    sleep = scene.clock.sleep

    async def catches_up(seconds):
        scene.rest.trades = whole
        await sleep(seconds)

    scene.clock.sleep = catches_up
    await scene.open(kit.trade(2))
    assert await scene.ids() == [3, 4, 5, 6]


async def test_what_the_feed_delivered_before_this_follower_came_is_waited_for_as_well(kit):
    scene = Desk(kit, [kit.trade(n) for n in (1, 2)], before=kit.trade(4))
    sleep = scene.clock.sleep

    async def catches_up(seconds):
        scene.rest.trades = [kit.trade(n) for n in (1, 2, 3, 4)]
        await sleep(seconds)

    scene.clock.sleep = catches_up
    await scene.open(kit.trade(1))
    assert await scene.ids() == [2, 3, 4]


async def test_where_rest_never_holds_the_live_trade_there_is_a_gap_between(kit):
    scene = Desk(kit, [kit.trade(n) for n in (1, 2, 3)])
    scene.live(kit.trade(9))
    await scene.open(kit.trade(1))
    events = await scene.events()
    assert ids(trades_of(events)) == [2, 3, 9]
    assert isinstance(events[2], Gap)
    assert (events[2].range.start, events[2].range.end) == (kit.trade(3).traded_at, kit.trade(9).traded_at)


async def test_a_feed_that_is_behind_for_others_repeats_nothing_to_who_has_had_it(kit):
    scene = Desk(kit, [kit.trade(n) for n in range(1, 9)], before=kit.trade(1))
    scene.topic.begin_life()
    scene.live(kit.trade(8))
    await scene.open(kit.trade(4))
    assert await scene.ids() == [5, 6, 7, 8]
    scene.topic.is_witnessed = True
    events = await scene.topic.catch_up(scene.rest)
    assert ids(trades_of(events)) == [2, 3, 4, 5, 6, 7, 8]
    scene.topic.subscribers.publish(events)
    assert await scene.ids() == []


async def test_a_feed_that_has_delivered_nothing_yet_fills_what_follows_the_missed_trades(kit):
    scene = Desk(kit, [kit.trade(n) for n in (1, 2, 3)])
    await scene.open(kit.trade(1))
    assert await scene.ids() == [2, 3]
    scene.live(kit.trade(6))
    assert await scene.ids() == []
    scene.rest.trades = [kit.trade(n) for n in (1, 2, 3, 4, 5, 6)]
    scene.topic.subscribers.publish(await scene.topic.catch_up(scene.rest))
    assert await scene.ids() == [4, 5, 6]


async def test_a_trade_that_rest_does_not_know_is_a_gap_up_to_the_first_that_came_after_it(kit):
    scene = Desk(kit, [kit.trade(n) for n in (10, 20, 30)])
    await scene.open(kit.trade(15))
    gap, *rest = await scene.events()
    assert (gap.range.start, gap.range.end, gap.reason) == (
        kit.trade(15).traded_at, kit.trade(20).traded_at, Reason.UNKNOWN,
    )  # fmt: skip
    assert ids(trades_of(rest)) == [20, 30]
    by_id = Desk(kit, [kit.trade(n) for n in (10, 20, 30)])
    await by_id.open(15)
    gap, *rest = await by_id.events()
    assert (gap.range.start, gap.range.end) == (kit.trade(10).traded_at, kit.trade(20).traded_at)
    assert ids(trades_of(rest)) == [20, 30]


async def test_a_trade_that_rest_does_not_know_yet_is_waited_for(kit):
    scene = Desk(kit, [kit.trade(1)])
    await scene.open(kit.trade(2))
    assert scene.clock.now >= 1000 + 60 + 5
    assert [type(event) for event in await scene.events()] == [Gap]


async def test_without_a_channel_that_keeps_past_trades_all_up_to_now_is_a_gap(kit):
    scene = Desk(kit, [])
    scene.live(kit.trade(9))
    await scene.open(kit.trade(1), rest=False)
    gap, *rest = await scene.events()
    assert (gap.range.start, gap.range.end) == (kit.trade(1).traded_at, kit.START + 60 * SECOND)
    assert ids(trades_of(rest)) == [9]


async def test_more_was_missed_than_a_slow_reader_may_leave_waiting(kit):
    scene = Desk(kit, [kit.trade(n) for n in range(1, 40)], capacity=5)
    await scene.open(kit.trade(1))
    assert await scene.ids() == list(range(2, 40))


async def test_a_failure_on_the_way_back_is_retried_and_keeps_what_was_read(kit):
    scene = Desk(kit, [kit.trade(n) for n in range(1, 20)])
    scene.rest.failures.extend([None, None, kit.broken(retryable=True)])
    await scene.open(kit.trade(1))
    assert await scene.ids() == list(range(2, 20))
    assert [before for _, before, _ in scene.rest.calls[:6]] == [None, 17, 14, 14, 11, 8]
    scene = Desk(kit, [])
    scene.rest.failures.append(kit.broken())
    with pytest.raises(ChannelUnavailableError):
        await scene.open(kit.trade(1))
