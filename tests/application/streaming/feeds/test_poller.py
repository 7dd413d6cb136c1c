"""REST serves what no socket brings: many by one call, the rest in turn."""

import asyncio

from attrs import evolve
from batching_rest import MANY, batching
from scenes import RULES, polled_feed
from shared_clock import SharedClock
from waiting import untraced

from market_backbone import (
    DataKind,
    Degraded,
    OrderBookUpdated,
    Recovered,
    SymbolDelistedError,
    TickerUpdated,
)
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.feeds.poller import CODES_PER_ROUND
from market_backbone.application.streaming.topics.quotes import QuoteTopic
from market_backbone.domain.request import Topic
from market_backbone.domain.symbol import Symbol


async def lose(scene, topics=(), values=()):
    """Let the socket show everything, then lose it."""
    await scene.open()
    scene.stream.begin()
    for topic, value in zip(topics, values, strict=True):
        scene.stream.give(topic, value, scene.clock, is_snapshot=True)
    await scene.until(lambda: all(scene.feed.is_witnessing(topic) for topic in topics))
    scene.stream.end("cut")
    return scene.clock.now


async def test_all_tickers_come_by_one_call_within_a_second_of_the_loss(kit, make_scene):
    scene, rest = batching(make_scene, kit, DataKind.TICKER)
    topics = [Topic(DataKind.TICKER, Symbol(code)) for code in MANY]
    followers = [scene.follow(topic)[1] for topic in topics]
    lost_at = await lose(scene, [scene.topic, *topics], [kit.ticker(c, source="websocket") for c in ("KRW-BTC", *MANY)])
    for subscriber in followers:
        subscriber.buffer.drain()
    await scene.until(lambda: any(e.ticker.source == "rest" for e in scene.kinds(TickerUpdated)))
    assert scene.clock.now - lost_at <= 1.0
    for subscriber in followers:
        fresh = [event for event in subscriber.buffer.drain() if isinstance(event, TickerUpdated)]
        assert fresh[-1].ticker.source == "rest"
    assert rest.asked == [("all tickers", ("KRW",))]
    assert scene.rest.calls == []


async def test_books_come_a_hundred_a_call_and_a_delisted_one_costs_only_its_own_followers(kit, make_scene):
    scene, rest = batching(make_scene, kit, DataKind.ORDERBOOK)
    topics = [Topic(DataKind.ORDERBOOK, Symbol(code)) for code in MANY]
    followers = {topic: scene.follow(topic)[1] for topic in topics}
    rest.unlisted = {MANY[3]}
    asked_one = scene.rest.get_orderbook

    async def get_orderbook(symbol, depth=15):
        if symbol in rest.unlisted:
            raise SymbolDelistedError(symbol)
        return await asked_one(symbol, depth)

    scene.rest.get_orderbook = get_orderbook
    await lose(scene, [scene.topic, *topics], [kit.book(c, source="websocket") for c in ("KRW-BTC", *MANY)])
    for subscriber in followers.values():
        subscriber.buffer.drain()
    await scene.until(lambda: ("books", 30) in rest.asked)
    assert rest.asked[0] == ("books", 31)
    for topic, subscriber in followers.items():
        assert bool(subscriber.buffer._error) == (topic.symbol == MANY[3])
    assert any(event.orderbook.source == "rest" for event in scene.kinds(OrderBookUpdated))


async def test_more_trade_codes_than_calls_are_read_in_turn_and_those_that_traded_come_first(kit, make_scene):
    scene, rest = batching(make_scene, kit, DataKind.TRADE)
    topics = {code: Topic(DataKind.TRADE, Symbol(code)) for code in MANY}
    followers = {code: scene.follow(topic)[1] for code, topic in topics.items()}
    reads = []

    async def get_trade_page(symbol, count, *, before_id=None, days_ago=None):
        reads.append((scene.clock.now, symbol))
        return []

    scene.rest.get_trade_page = get_trade_page
    values = [kit.trade(1, milliseconds=2000, symbol=code) for code in ("KRW-BTC", *MANY)]
    lost_at = await lose(scene, [scene.topic, *topics.values()], values)
    await scene.until(lambda: len({symbol for _, symbol in reads}) == 31)
    assert scene.clock.now - lost_at <= 2 + 31 / CODES_PER_ROUND
    for at, _ in reads:
        assert sum(at <= other < at + 0.99 for other, _ in reads) <= CODES_PER_ROUND
    traded = MANY[::5]
    for code in traded:
        rest.trade(code)
    at = scene.clock.now
    await scene.until(lambda: {symbol for when, symbol in reads if when > at} >= set(traded))
    assert scene.clock.now - at <= 2 + len(traded) / 9
    told = [event for event in followers[MANY[0]].buffer.drain() if isinstance(event, Degraded)]
    assert told
    assert all(2.0 <= event.staleness_s <= 2 + 31 / 9 for event in told)
    assert "in turn" in told[0].reason


async def test_five_hours_without_an_exchange_are_one_event_and_no_storm(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.ticker(second=1, source="websocket"))
    await scene.until(lambda: scene.kinds(TickerUpdated))

    async def down(symbol):
        scene.rest.calls.append(symbol)
        await asyncio.sleep(0)
        raise kit.broken(retryable=True)

    asked, scene.rest.get_ticker = scene.rest.get_ticker, down
    scene.stream.end("closed with 1001")
    with untraced():
        await scene.until(lambda: scene.clock.now > 1000 + 5 * 3600, turns=2_000_000)
    assert len(scene.kinds(Degraded)) == 1
    assert len(scene.rest.calls) <= 5 * 3600 / 30 + 10
    scene.rest.get_ticker = asked
    scene.rest.quotes["KRW-BTC"] = kit.ticker(second=9)
    await scene.until(lambda: scene.kinds(Recovered))


async def test_a_crowd_that_has_shrunk_is_told_to_be_over(kit, make_scene):
    scene, _ = batching(make_scene, kit, DataKind.TRADE)
    topics = [Topic(DataKind.TRADE, Symbol(code)) for code in MANY]
    followed = [scene.follow(topic) for topic in topics]
    values = [kit.trade(1, milliseconds=2000, symbol=code) for code in ("KRW-BTC", *MANY)]
    await lose(scene, [scene.topic, *topics], values)
    await scene.until(lambda: scene.kinds(Degraded))
    for state, subscriber in followed[4:]:
        await scene.hub.leave(state, scene.route, subscriber)
    await scene.until(lambda: scene.kinds(Recovered))
    assert len(scene.kinds(Degraded)) == 1


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
