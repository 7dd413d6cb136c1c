"""A feed: one channel delivers at any moment, a change of it is an event, and nothing is lost between."""

import asyncio

from scenes import polled_feed

from market_backbone import (
    CandleUpdated,
    ChannelSwitched,
    DataKind,
    TickerUpdated,
    TradeReceived,
)
from market_backbone.application.streaming.delivery.event_buffer import FollowedEvents
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.feeds.context import FRAMES_IN_A_ROW
from market_backbone.application.streaming.feeds.feed import SETTLED_A_TURN, Feed
from market_backbone.application.streaming.feeds.route import FeedRoute
from market_backbone.domain.request import Topic


async def test_tickers_pass_and_older_ones_do_not(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.begin()
    for price, second in (("1", 5), ("2", 4), ("3", 6)):
        scene.give(kit.ticker(price=price, second=second, source="websocket"))
    await scene.until(lambda: any(event.ticker.price == 3 for event in scene.kinds(TickerUpdated)))
    assert 2 not in [event.ticker.price for event in scene.kinds(TickerUpdated)]
    assert scene.hub.live_view.newest("websocket", scene.topic).price == 3
    assert scene.hub.live_view.followed("websocket") == {"ticker:KRW-BTC"}
    assert scene.hub.live_view.newest("rest", scene.topic) is None


async def test_who_waits_for_the_next_one_gets_every_quote_of_a_burst(kit, make_scene):
    scene = make_scene(DataKind.ORDERBOOK)
    await scene.open()
    scene.stream.begin()
    for second in range(1, 8):
        scene.give(kit.book(second=second, source="websocket"))
    async with asyncio.timeout(5):
        taken = [await scene.subscriber.buffer.get() for _ in range(7)]
    seconds = [(event.orderbook.updated_at - kit.START).total_seconds() for event in taken]
    assert seconds == list(range(1, 8))


async def test_a_lost_socket_is_replaced_by_rest_at_once_and_taken_back_when_it_returns(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.ticker(second=1, source="websocket"))
    await scene.until(lambda: scene.kinds(TickerUpdated))
    lost_at = scene.clock.now
    scene.rest.quotes["KRW-BTC"] = kit.ticker(price="7", second=9)
    scene.stream.end("closed with 1000")
    await scene.until(lambda: scene.kinds(TickerUpdated)[-1].ticker.source == "rest")
    assert scene.clock.now - lost_at <= 1.0
    scene.stream.begin()
    scene.give(kit.ticker(price="8", second=10, source="websocket"))
    await scene.until(lambda: scene.kinds(TickerUpdated)[-1].ticker.price == 8)
    switches = [(event.old, event.new) for event in scene.kinds(ChannelSwitched)]
    assert switches == [("websocket", "rest"), ("rest", "websocket")]
    assert "closed with 1000" in scene.kinds(ChannelSwitched)[0].reason


async def test_trades_of_a_break_come_from_rest_once_each_and_before_the_live_ones(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1))
    await scene.until(lambda: scene.kinds(TradeReceived))
    scene.stream.end()
    scene.rest.trades = [kit.trade(number, source="rest") for number in range(6)]
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 5)
    scene.stream.begin()
    scene.rest.trades = [kit.trade(number, source="rest") for number in range(9)]
    scene.give(kit.trade(8), is_snapshot=True)
    scene.give(kit.trade(9))
    scene.rest.trades.append(kit.trade(9, source="rest"))
    await scene.until(lambda: len(scene.kinds(TradeReceived)) >= 9)
    assert [event.trade.sequential_id for event in scene.kinds(TradeReceived)] == list(range(1, 10))


async def test_rest_stands_in_but_joins_nothing_before_the_new_socket_has_spoken(kit, make_scene):
    """Captured in the sandbox: a stalled exchange accepts the next socket too, and sends no snapshot."""
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1))
    await scene.until(lambda: scene.kinds(TradeReceived))
    scene.stream.end()
    scene.stream.begin()
    scene.rest.trades = [kit.trade(1), kit.trade(2)]
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 2)
    assert scene.state.is_behind
    scene.rest.trades = [kit.trade(number) for number in range(1, 6)]
    scene.give(kit.trade(5))
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 5)
    assert [event.trade.sequential_id for event in scene.kinds(TradeReceived)] == [1, 2, 3, 4, 5]


async def test_a_rest_that_lags_is_read_again(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1))
    await scene.until(lambda: scene.kinds(TradeReceived))
    scene.stream.end()
    scene.stream.begin()
    scene.rest.trades = [kit.trade(1), kit.trade(2)]
    scene.give(kit.trade(3), is_snapshot=True)
    await scene.until(lambda: len(scene.rest.calls) >= 2)
    scene.rest.trades = [kit.trade(1), kit.trade(2), kit.trade(3)]
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 3)
    assert [event.trade.sequential_id for event in scene.kinds(TradeReceived)] == [1, 2, 3]


async def test_candles_are_final_once_and_in_order_across_a_cut(kit, make_scene):
    scene = make_scene(DataKind.CANDLE, minutes=range(6))
    await scene.open()
    scene.stream.begin()
    scene.give(kit.candle(0), is_snapshot=True)
    await scene.until(lambda: scene.kinds(CandleUpdated))
    scene.stream.end()
    await scene.until(lambda: scene.clock.now > 1000 + 150)
    scene.stream.begin()
    scene.give(kit.candle(3), is_snapshot=True)
    await scene.until(lambda: len([e for e in scene.kinds(CandleUpdated) if e.candle.is_final]) >= 3)
    finals = kit.minutes([event.candle for event in scene.kinds(CandleUpdated) if event.candle.is_final])
    assert finals[:3] == [0, 1, 2]


async def test_a_late_joiner_of_a_quiet_market_has_the_newest_value_at_once(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.ticker(price="5", second=1))
    await scene.until(lambda: scene.kinds(TickerUpdated))
    assert [event.ticker.price for event in scene.state.snapshot()] == [5]


async def test_without_a_stream_rest_is_asked_again_and_again(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    polled = Subscriber.of(1000, waits_for_history=False)
    scene.hub.join(Topic(DataKind.TICKER, "KRW-ETH"), FeedRoute(None, "rest"), polled)
    scene.rest.quotes["KRW-ETH"] = kit.ticker("KRW-ETH", second=1)
    await scene.until(lambda: len(polled.buffer) == 1)
    scene.rest.quotes["KRW-ETH"] = kit.ticker("KRW-ETH", second=2)
    first = await polled.buffer.get()
    await scene.until(lambda: len(polled.buffer) == 1)
    assert (await polled.buffer.get()).ticker.updated_at > first.ticker.updated_at


def test_a_feed_without_a_live_channel_has_no_canary(kit):
    clock = kit.Clock()
    feed = polled_feed(kit, clock, None)
    assert feed.pool is None
    assert not feed.is_witnessing(Topic(DataKind.TICKER, kit.BTC))


async def test_a_burst_that_waited_in_a_buffer_is_not_sealed_by_the_time_at_which_it_is_read(kit, make_scene):
    """A process that slept reads minutes of frames at once; each frame says itself how far the market was."""
    scene = make_scene(DataKind.CANDLE, canary="KRW-BTC", rest=None)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.candle(0, volume="1", second=1))
    await scene.until(lambda: scene.kinds(CandleUpdated))
    scene.clock.now += 600
    scene.give(kit.candle(0, volume="2", second=30))
    await scene.until(lambda: scene.kinds(CandleUpdated)[-1].candle.volume == 2)
    for _ in range(50):
        await scene.clock.sleep(0.2)
    scene.give(kit.candle(0, volume="3", second=59))
    scene.give(kit.candle(1, volume="1", second=7))
    await scene.until(lambda: any(event.candle.is_final for event in scene.kinds(CandleUpdated)))
    assert [event.candle.volume for event in scene.kinds(CandleUpdated) if event.candle.is_final] == [3]


async def test_however_much_comes_at_once_who_keeps_up_is_never_too_slow(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    _, small = scene.follow(scene.topic, capacity=2 * FRAMES_IN_A_ROW)
    read = []

    async def keep_up():
        async for event in FollowedEvents(small.buffer):
            read.append(event)  # noqa: PERF401 - counted while it grows

    reader = asyncio.create_task(keep_up())
    await scene.open()
    scene.stream.begin()
    for number in range(20 * FRAMES_IN_A_ROW):  # of one reading: the clock stands still
        scene.give(kit.trade(number))
    await scene.until(lambda: len(read) == 20 * FRAMES_IN_A_ROW or reader.done())
    reader.cancel()
    assert not small.buffer.has_failed
    assert len(read) == 20 * FRAMES_IN_A_ROW


async def test_a_minute_that_ends_for_all_codes_at_once_leaves_everybody_their_turns(kit, make_scene, monkeypatch):
    scene, turns, settled_at = make_scene(DataKind.CANDLE), 0, []
    await scene.open()
    scene.stream.begin()
    scene.give(kit.candle(0), is_snapshot=True)
    await scene.until(lambda: scene.kinds(CandleUpdated))
    feed, many = scene.feed, 3 * SETTLED_A_TURN
    (subscription,) = feed.subscriptions.values()
    monkeypatch.setattr(Feed, "_settle_one", lambda *_: settled_at.append(turns))
    monkeypatch.setattr(type(subscription.state), "is_at_rest", lambda *_: False)
    feed.subscriptions = dict.fromkeys(range(many), subscription)

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await feed._settle()
    counting.cancel()
    assert len(settled_at) == many
    assert max(map(settled_at.count, settled_at)) <= SETTLED_A_TURN
