"""A feed on a bad day: silence, refusals, faults of others and of our own; nobody is left waiting."""

import asyncio

import pytest
from attrs import evolve
from scenes import RULES, polled_feed
from shared_clock import SharedClock

from market_backbone import (
    ChannelError,
    DataKind,
    Degraded,
    Gap,
    ItemRejected,
    OrderBookUpdated,
    Recovered,
    SmartRoutingPolicy,
    SymbolDelistedError,
    TickerUpdated,
    TradeReceived,
    create_realtime_request,
)
from market_backbone.application.routing.router import SmartChannelRouter
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.hub import FeedRoute
from market_backbone.application.streaming.topics.quotes import QuoteTopic
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import Rejected


async def test_while_both_are_dead_the_follower_is_told_and_recovers_by_itself(kit, make_scene):
    scene = make_scene(DataKind.ORDERBOOK)
    await scene.open()
    scene.rest.failures.extend([kit.broken(retryable=True)] * 3)
    scene.stream.begin()
    scene.stream.end()
    await scene.until(lambda: scene.kinds(Recovered))
    assert scene.kinds(Degraded)[0].staleness_s >= 0
    await scene.until(lambda: scene.kinds(OrderBookUpdated))


async def test_after_a_silence_that_ended_by_itself_rest_is_asked_what_was_missed(kit, make_scene):
    scene = make_scene(DataKind.TRADE, canary="KRW-ETH")
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1), is_snapshot=True)
    await scene.until(lambda: scene.kinds(TradeReceived))
    scene.clock.now += 2.5
    scene.rest.trades = [kit.trade(1), kit.trade(2), kit.trade(3)]
    scene.give(kit.trade(3))
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 3)
    assert [event.trade.sequential_id for event in scene.kinds(TradeReceived)] == [1, 2, 3]


async def test_a_silent_socket_is_questioned_and_given_up_when_rest_is_newer(kit, make_scene):
    scene = make_scene(DataKind.TICKER, canary="KRW-ETH")
    await scene.open()
    canary = Topic(DataKind.ORDERBOOK, "KRW-ETH")
    assert canary in scene.live.topics[0]
    scene.stream.begin()
    scene.stream.give(canary, kit.book("KRW-ETH", second=1, source="websocket"), scene.clock)
    scene.rest.quotes["KRW-ETH"] = kit.book("KRW-ETH", second=1)
    await scene.until(lambda: len(scene.rest.calls) >= 2)
    assert scene.stream.abandoned == []
    scene.rest.quotes["KRW-ETH"] = kit.book("KRW-ETH", second=60)
    await scene.until(lambda: scene.stream.abandoned)
    assert "silent for" in scene.stream.abandoned[0]


@pytest.mark.parametrize("failure", ["channel", "symbol"])
async def test_a_question_that_rest_cannot_answer_costs_the_socket_nothing(kit, make_scene, failure):
    scene = make_scene(DataKind.TICKER, canary="KRW-ETH")
    await scene.open()
    scene.stream.begin()
    scene.give(kit.ticker(second=1, source="websocket"))
    scene.stream.give(Topic(DataKind.ORDERBOOK, "KRW-ETH"), kit.book("KRW-ETH", second=1), scene.clock)
    error = kit.broken() if failure == "channel" else SymbolDelistedError("gone")
    scene.rest.failures.extend([error] * 2)
    await scene.until(lambda: scene.clock.now > 1000 + 20)
    assert scene.stream.abandoned == []


async def test_a_malformed_frame_is_counted_and_told_and_the_stream_goes_on(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.begin()
    scene.stream.items.put_nowait(Rejected("not a frame", "{garbage"))
    scene.give(kit.ticker(second=1))
    await scene.until(lambda: scene.kinds(TickerUpdated))
    assert [(event.reason, event.excerpt) for event in scene.kinds(ItemRejected)] == [("not a frame", "{garbage")]
    assert scene.router.channel_health()["websocket"].rejected == 1


async def test_who_follows_something_else_is_not_told_of_a_malformed_frame(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.begin()
    scene.stream.items.put_nowait(Rejected("no price", "{}", Topic(DataKind.TRADE, "KRW-ETH")))
    scene.stream.items.put_nowait(Rejected("no price", "{}", scene.topic))
    scene.give(kit.ticker(second=1))
    await scene.until(lambda: scene.kinds(TickerUpdated))
    assert len(scene.kinds(ItemRejected)) == 1


async def test_a_strangers_channel_that_raises_anything_fails_like_any_other_and_the_stream_goes_on(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.rest.failures.extend([ZeroDivisionError("in the adapter")] * 2)
    await scene.until(lambda: scene.kinds(TickerUpdated))
    told = scene.kinds(Degraded)[0]
    assert told.reason == "rest: failed with ZeroDivisionError: in the adapter; report this to the channel's author"


async def test_a_subscription_that_the_exchange_refuses_leaves_its_followers_to_rest(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.items.put_nowait(kit.broken("websocket", retryable=False))
    await scene.until(lambda: scene.kinds(TickerUpdated))
    assert scene.kinds(TickerUpdated)[0].ticker.source == "rest"


async def test_without_rest_a_refused_subscription_ends_its_followers_with_the_reason(kit, make_scene):
    scene = make_scene(DataKind.TICKER, rest=None)
    await scene.open()
    scene.stream.items.put_nowait(kit.broken("websocket", retryable=False))
    with pytest.raises(type(kit.broken()), match="broken on purpose"):
        await scene.read_to_the_end()


async def test_a_fault_of_our_own_ends_its_followers_with_the_reason_and_the_next_one_gets_a_new_feed(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.items.put_nowait(KeyError("nobody thought of this"))
    with pytest.raises(ChannelError, match="KeyError"):
        await scene.read_to_the_end()
    assert [type(error) for _, error in scene.reports] == [KeyError]
    other = Subscriber.of(10, waits_for_history=False)
    scene.hub.join(scene.topic, scene.route, other)
    await scene.until(lambda: len(scene.live.streams) == 2)


async def test_without_rest_trades_go_on_after_a_break_with_a_gap_before_them(kit, make_scene):
    scene = make_scene(DataKind.TRADE, rest=None)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1))
    await scene.until(lambda: scene.kinds(TradeReceived))
    scene.stream.end("cut")
    await scene.until(lambda: scene.kinds(Degraded))
    scene.stream.begin()
    scene.give(kit.trade(9))
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 2)
    assert [type(event) for event in scene.events if isinstance(event, Gap | Recovered)] == [Recovered, Gap]


async def test_trades_wait_for_a_dead_rest_only_so_long(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1))
    await scene.until(lambda: scene.kinds(TradeReceived))
    scene.rest.failures.extend([kit.broken()] * 1000)
    scene.stream.end()
    scene.stream.begin()
    began = scene.clock.now
    scene.give(kit.trade(9), is_snapshot=True)
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 2)
    assert 30 <= scene.clock.now - began <= 60
    assert len(scene.kinds(Gap)) == 1


async def test_a_delisting_ends_the_followers_of_that_symbol(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.rest.failures.append(SymbolDelistedError("KRW-BTC is no longer listed"))
    scene.stream.begin()
    scene.stream.end()
    with pytest.raises(SymbolDelistedError):
        await scene.read_to_the_end()


def test_what_is_skipped_for_its_circuit_stays_part_of_a_followers_route(kit):
    clock = kit.Clock()
    channels = {"rest": kit.Channel(clock=clock), "websocket": kit.LiveChannel(clock=clock)}
    router = SmartChannelRouter(channels, SmartRoutingPolicy(), clock, cool_down_s=30.0)
    request = create_realtime_request("KRW-BTC")
    for name in channels:
        router.update_channel_performance(name, 1.0, False)
        assert FeedRoute.of(router.explain(request)) == FeedRoute("websocket", "rest")
        clock.now += 31
        router.update_channel_performance(name, 1.0, True)


async def test_rest_is_asked_at_once_and_after_a_failure_soon_again_however_rarely_it_is_asked(kit):
    clock, rest = SharedClock(), kit.Channel(failures=[kit.broken()])
    clock.now = 5.0  # a computer that has just been started
    topic = QuoteTopic(Topic(DataKind.TICKER, kit.BTC))
    topic.subscribers.members.add(Subscriber.of(10, waits_for_history=False))
    feed = polled_feed(kit, clock, rest, evolve(RULES, polling_interval_s=60.0))
    feed.add({topic.topic: topic})
    asked, read = [], rest.get_ticker

    async def noted(symbol):
        asked.append(clock.now)
        return await read(symbol)

    rest.get_ticker = noted
    task = asyncio.create_task(feed.run())
    while len(asked) < 3:
        await kit.turns(1)
    task.cancel()
    await asyncio.wait([task])
    assert asked[0] < 6
    assert asked[1] - asked[0] < 5
    assert asked[2] - asked[1] >= 60


async def test_who_leaves_a_stream_that_has_ended_takes_nobody_else_with_him(kit, make_scene):
    scene = make_scene(DataKind.TICKER, rest=None)
    await scene.open()
    scene.stream.items.put_nowait(kit.broken("websocket"))
    with pytest.raises(ChannelError):
        await scene.read_to_the_end()
    comes_back = Subscriber.of(10, waits_for_history=False)
    again = scene.hub.join(scene.topic, scene.route, comes_back)
    assert again is not scene.state
    await scene.hub.leave(scene.state, scene.route, scene.subscriber)
    assert scene.hub.join(scene.topic, scene.route, Subscriber.of(10, waits_for_history=False)) is again
    await scene.until(lambda: len(scene.live.streams) == 2)
    await scene.until(lambda: len(scene.live.topics) == 2 and scene.topic in scene.live.topics[1])


async def test_a_socket_that_speaks_while_rest_is_asked_about_its_silence_is_kept(kit, make_scene):
    """A process that was held up hears nothing for a while, and then everything at once."""
    scene = make_scene(DataKind.TICKER, canary="KRW-ETH")
    await scene.open()
    scene.stream.begin()
    scene.give(kit.ticker(second=1, source="websocket"))
    scene.stream.give(Topic(DataKind.ORDERBOOK, "KRW-ETH"), kit.book("KRW-ETH", second=1), scene.clock)
    asked = []

    async def get_orderbook(symbol, depth=15):
        asked.append(symbol)
        scene.give(kit.ticker(second=len(asked) + 1, source="websocket"))
        await kit.turns(5)
        return kit.book("KRW-ETH", second=60)

    scene.rest.get_orderbook = get_orderbook
    await scene.until(lambda: len(asked) == 3)
    assert scene.stream.abandoned == []
