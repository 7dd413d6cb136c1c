"""Several venues under one roof: no question, no clock and no candle crosses from one to another."""

import asyncio
from collections import deque
from datetime import timedelta
from types import SimpleNamespace

import pytest
from attrs import evolve
from shared_clock import SharedClock

from market_backbone import (
    AllChannelsFailedError,
    Capabilities,
    DataKind,
    Degraded,
    HistoryDepth,
    HistoryLoaded,
    PluginError,
    RoutePlan,
    RouteStep,
    SmartRoutingPolicy,
    Timeframe,
    UnknownSymbolError,
    UnsupportedRequestError,
    create_candle_request,
    create_realtime_request,
    create_ticker_request,
)
from market_backbone.application.composition import ApiOptions, build_api
from market_backbone.application.routing.channel_directory import ChannelDirectory, are_different
from market_backbone.application.routing.router import SmartChannelRouter
from market_backbone.application.runtime.telemetry import Telemetry
from market_backbone.application.streaming.feeds.route import FeedRoute
from market_backbone.domain.finality import Grace
from market_backbone.domain.ledger import SeriesKey
from market_backbone.infrastructure.candle_store.channel import CachedCandles
from market_backbone.infrastructure.candle_store.memory import MemoryCandleStore
from market_backbone.infrastructure.registry import CHANNEL_MEMBERS

OPTIONS = ApiOptions(
    cool_down_s=30.0,
    queue_capacity=100,
    queue_concurrency=4,
    event_capacity=1000,
    polling_interval_s=1.0,
    snapshot_timeout_s=0.1,
    repair_bound_s=30.0,
    stall_after_s=2.0,
    grace=Grace(),
)
ABLE = Capabilities(
    answers=frozenset({DataKind.CANDLE, DataKind.ORDERBOOK}),
    timeframes=frozenset({Timeframe.M1}),
    history=HistoryDepth.FULL,
    candles_per_call=200,
)
BINANCE = "binance:BTC/USDT"


@pytest.fixture
def house(kit):
    return House(kit)


class House:
    """Upbit's REST and WebSocket, somebody's Binance, and a store; each venue by a clock of its own."""

    def __init__(self, kit, **more):
        self.kit, self.clock = kit, SharedClock()
        self.own_time, self.other_time = kit.ServerTime(self.clock), kit.ServerTime(self.clock, is_known=False)
        self.rest = self.channel("rest", "upbit", minutes=range(3))
        self.rest.capabilities = evolve(self.rest.capabilities, references=("KRW-BTC",))
        self.other = self.channel("aaa", "binance", ABLE, prefix="binance", minutes=range(2))
        self.other.listed = {BINANCE}
        self.cache = CachedCandles("cache", MemoryCandleStore())
        self.channels = {one.name: one for one in (self.other, self.cache, self.rest, *more.values())}

    def channel(self, name, venue, able=None, *, prefix="", minutes=()):
        channel = self.kit.Channel(name, clock=self.clock, minutes=minutes, capabilities=able, venue=venue)
        channel.capabilities = evolve(channel.capabilities, venue_prefix=prefix)
        return channel

    def times(self, prefix):
        return {"": self.own_time, "binance": self.other_time}[prefix]

    @property
    def directory(self):
        return ChannelDirectory(self.channels, self.times)

    def open(self):
        self.clock.now += 600
        policy = SmartRoutingPolicy()
        return build_api(self.channels, policy, OPTIONS, self.clock, self.times, Telemetry(), lambda: 0.0)


async def told_until(events, is_last):
    """Return the first event that is the one; a history that comes before it ends the waiting."""
    async with asyncio.timeout(20):
        async for event in events:
            if is_last(event):
                return event
            assert not isinstance(event, HistoryLoaded), event.series
    raise AssertionError("the stream has ended")


def test_a_prefix_leads_to_the_channels_the_clock_and_the_name_of_its_venue(house):
    directory = house.directory
    assert [one.name for one in directory.serving("")] == ["rest"]
    assert [one.name for one in directory.serving("binance")] == ["aaa"]
    assert (directory.venue_of(""), directory.venue_of("binance"), directory.venue_of("kraken")) == (
        "upbit",
        "binance",
        "none",
    )
    assert directory.server_time_of("") is house.own_time
    assert directory.server_time_of("binance") is house.other_time
    assert (directory.reference_symbols_of(""), directory.reference_symbols_of("binance")) == (("KRW-BTC",), ())
    assert directory.directory_of("binance") is house.other


def test_a_channel_is_meant_by_its_own_name_too_and_goes_by_the_clock_of_its_venue(house):
    directory = house.directory
    assert [one.name for one in directory.serving("aaa")] == ["aaa"]
    assert directory.server_time_of("aaa") is house.other_time


def test_what_a_channels_own_name_means_is_listed_by_whoever_knows_its_venue(house):
    able = house.channel("mute", "upbit")
    mute = SimpleNamespace(**{member: getattr(able, member) for member in CHANNEL_MEMBERS})
    house.channels = {"mute": mute, **house.channels}
    assert house.directory.directory_of("mute") is house.rest
    assert house.directory.directory_of("aaa") is house.other
    assert house.directory.directory_of("kraken") is None


def test_a_page_is_that_of_the_venue_and_neither_of_a_store_nor_of_another_venue(house):
    house.other.capabilities = evolve(house.other.capabilities, candles_per_call=10_000)
    pages = [house.directory.page_size_of(prefix) for prefix in ("", "binance", "kraken")]
    assert pages == [house.rest.capabilities.candles_per_call, 10_000, 1]


def test_what_is_held_is_that_of_rest_however_another_channel_of_plain_symbols_is_called(house):
    house.channels = {"0-mirror": house.channel("0-mirror", "mirror"), **house.channels}
    assert house.directory.venue_of("") == "upbit"


def test_an_address_that_has_not_said_whose_data_it_serves_may_be_any_venue():
    assert are_different("upbit-kr", "files")
    assert not are_different("upbit-kr", "upbit-kr")
    assert not are_different("custom:127.0.0.1:80", "sandbox:seed-7")


async def test_another_venues_candles_are_kept_under_its_own_name_and_never_asked_for_twice(house):
    async with house.open() as api:
        span = {"start": house.kit.START, "end": house.kit.START + timedelta(minutes=2)}
        first = await api.get_candles(BINANCE, **span)
        asked = len(house.other.calls)
        again = await api.get_candles(BINANCE, **span)
        assert (first.venue, len(first), first.trace.served_by) == ("binance", 2, ("aaa",))
        assert (list(again), again.trace.served_by, len(house.other.calls)) == (list(first), ("cache",), asked)
        (held,) = await api.inventory()
        assert (held.key.venue, held.key.symbol, held.rows) == ("binance", BINANCE, 2)
        assert house.rest.calls == []
        assert (await api.coverage(BINANCE)).rows == 2


async def test_a_symbol_is_looked_up_in_the_list_of_its_own_venue(house):
    async with house.open() as api:
        book = await api.get_orderbook(BINANCE)
        assert (book.symbol, house.rest.calls) == (BINANCE, [])
        assert [str(market.symbol) for market in await api.get_markets()] == ["KRW-BTC", "KRW-ETH"]
        assert [str(market.symbol) for market in await api.get_markets("binance")] == [BINANCE]
        with pytest.raises(UnsupportedRequestError, match="begin with kraken:"):
            await api.get_markets("kraken")
        with pytest.raises(UnknownSymbolError):
            await api.download(["binance:NO/USDT"], "1m", start=house.kit.START)


class WithoutList:
    """A channel that answers, and does not know what is listed."""

    def __init__(self, inner):
        for member in CHANNEL_MEMBERS:
            setattr(self, member, getattr(inner, member))


async def test_a_symbol_of_a_venue_without_a_list_is_not_looked_up_in_ours(house):
    house.channels["aaa"] = WithoutList(house.other)
    async with house.open() as api:
        assert (await api.get_orderbook(BINANCE)).symbol == BINANCE


async def test_what_is_held_of_another_venue_is_served_while_it_is_down(house):
    async with house.open() as api:
        await api.get_candles(BINANCE, start=house.kit.START, end=house.kit.START + timedelta(minutes=2))
        house.other.failures.extend([house.kit.broken("aaa")] * 4)
        stale = await api.get_candles(BINANCE, start=house.kit.START, end=house.kit.START + timedelta(minutes=20))
        assert (stale.venue, len(stale), stale.trace.served_by) == ("binance", 2, ("cache",))
        assert stale.gaps()


async def test_no_venue_stands_in_for_another_that_fails(house):
    async with house.open() as api:
        house.other.failures.extend([house.kit.broken("aaa")] * 4)
        with pytest.raises(AllChannelsFailedError) as caught:
            await api.get_candles(BINANCE, "1m", 2)
        assert [error.channel for error in caught.value.exceptions] == ["aaa"]
        house.rest.failures.extend([house.kit.broken("rest")] * 4)
        with pytest.raises(AllChannelsFailedError) as caught:
            await api.get_orderbook("KRW-BTC")
        assert [error.channel for error in caught.value.exceptions] == ["rest"]


async def test_a_walk_that_fails_half_way_begins_anew_where_another_venue_answers(kit):
    """Pages of two venues are never joined, whatever came before the failure and whatever of it is held."""
    house = House(kit)
    house.rest.capabilities = evolve(house.rest.capabilities, candles_per_call=2)
    house.rest.minutes = list(range(6))
    house.rest.failures.extend([None, *[kit.broken("rest")] * 50])
    house.channels["mirror"] = house.channel("mirror", "mirror", ABLE, minutes=range(6))
    async with house.open() as api:
        series = await api.get_candles("KRW-BTC", start=kit.START, end=kit.START + timedelta(minutes=6))
        assert len(house.rest.calls) >= 2
        assert (series.venue, {candle.venue for candle in series}, len(series)) == ("mirror", {"mirror"}, 6)
        assert [step.channel for step in series.trace.steps if step.status == "failed"] == ["rest"]
        held = {line.key.venue: line.rows for line in await api.inventory()}
        assert held == {"upbit": 2, "mirror": 6}


async def test_a_download_ends_where_its_own_venues_clock_stands(house):
    house.other_time.is_known = True
    async with house.open() as api:
        house.own_time.is_known = False
        (done,) = await api.download([BINANCE], "1m", start=house.kit.START)
        assert (done.report.key.venue, done.error, done.report.rows) == ("binance", None, 2)
        assert done.report.span.end == house.kit.START + timedelta(minutes=9)


async def test_a_venue_without_a_clock_ends_with_its_newest_row(house):
    """Files know no time: 'from here on' means as far as there are rows."""
    async with house.open() as api:
        first = await api.request_data_sync(create_candle_request(BINANCE, "1m", 1, start=house.kit.START))
        rest = await api.request_data_sync(create_candle_request(BINANCE, "1m", start=house.kit.START))
        print(rest.trace, house.other.calls, rest.coverage, first.coverage)
        assert (house.kit.minutes(first), house.kit.minutes(rest)) == ([0], [0, 1])


async def test_a_past_of_another_venue_never_comes_before_live_candles(kit):
    """Somebody's mirror answers for REST: a chart gets that, a follower of the exchange does not."""
    house = House(kit)
    live = kit.LiveChannel(clock=house.clock, venue="upbit")
    mirror = house.channel("mirror", "mirror", ABLE, minutes=range(3))
    house.channels |= {"websocket": live, "mirror": mirror}
    down = deque([kit.broken("rest")] * 10_000)
    house.rest.failures = down
    async with house.open() as api, api.follow(create_realtime_request("KRW-BTC", history=2)) as events:
        waiting = await told_until(events, lambda event: isinstance(event, Degraded) and "followed" in event.reason)
        assert "is of mirror, and upbit is followed" in waiting.reason
        down.clear()
        loaded = await told_until(events, lambda event: isinstance(event, HistoryLoaded))
        assert loaded.series.venue == "upbit"


def test_what_stands_in_for_a_stream_is_of_its_venue(kit):
    house = House(kit)
    house.channels["websocket"] = kit.LiveChannel(clock=house.clock, venue="upbit")
    house.channels["mirror"] = house.channel("mirror", "mirror", ABLE)
    api = house.open()
    api.update_channel_performance("rest", 1.0, False)
    plan = api.explain(create_realtime_request("KRW-BTC"))
    assert plan.channels == ("websocket", "mirror", "rest")
    directory = {name: channel.venue for name, channel in house.channels.items()}
    assert FeedRoute.of(plan, directory) == FeedRoute("websocket", "rest")


async def test_only_what_is_followed_at_the_same_venue_gives_the_newest_candle(kit, make_scene):
    scene = make_scene(DataKind.CANDLE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.candle(20), is_snapshot=True)
    await scene.until(lambda: scene.feed.is_witnessing(scene.topic) and scene.state.newest is not None)
    assert scene.hub.live_view.tip_of(SeriesKey("test", kit.BTC, Timeframe.M1)) is not None
    assert scene.hub.live_view.tip_of(SeriesKey("mirror", kit.BTC, Timeframe.M1)) is None


def test_a_policy_that_asks_the_wrong_venue_is_told_so(house):
    class Stubborn:
        name = "stubborn"

        def plan(self, request, channels):
            steps = (RouteStep(channel="aaa", action="candles", reason="always"),)
            return RoutePlan(request=str(request), policy=self.name, rule="one", reason="always", steps=steps)

    router = SmartChannelRouter(house.channels, Stubborn(), house.clock, cool_down_s=30.0)
    assert router.explain(create_candle_request(BINANCE)).channels == ("aaa",)
    with pytest.raises(PluginError, match="'aaa', which serves symbols of another venue"):
        router.explain(create_candle_request("KRW-BTC"))


def test_one_question_is_about_one_venue():
    with pytest.raises(UnsupportedRequestError, match="ask for each venue by itself"):
        create_ticker_request(["KRW-BTC", BINANCE])
