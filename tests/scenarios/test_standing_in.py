"""REST stands in for what no socket brings: all at once where it can, in turn where it must; dead codes are found."""

import asyncio

from waiting import untraced

from market_backbone import (
    ChannelSwitched,
    DataKind,
    Degraded,
    OrderBookUpdated,
    Recovered,
    SymbolDelistedError,
    TickerUpdated,
    TradeReceived,
)
from market_backbone.application.streaming.feeds.poller import CODES_PER_ROUND
from market_backbone.application.streaming.feeds.watchdog import COMPARE_EVERY_S
from market_backbone.domain.request import Topic
from market_backbone.domain.symbol import Symbol

MANY = [f"KRW-C{number:02}" for number in range(30)]


class BatchingRest:
    """What a channel that answers batches adds to the fake one."""

    def __init__(self, scene, kit):
        self.scene, self.kit = scene, kit
        self.asked = []
        self.unlisted = set()
        rest = scene.rest
        rest.get_all_tickers, rest.get_orderbooks = self.get_all_tickers, self.get_orderbooks
        rest.get_tickers = self.get_tickers
        rest.quotes |= {code: kit.ticker(code, second=1) for code in MANY}
        self.traded_s = dict.fromkeys(["KRW-BTC", "KRW-ETH", *MANY], 1)

    def trade(self, code):
        self.traded_s[code] = round(self.scene.clock.now - 1000.0)

    async def get_all_tickers(self, quotes):
        self.asked.append(("all tickers", tuple(quotes)))
        listed = {code: second for code, second in self.traded_s.items() if code not in self.unlisted}
        return [self.kit.ticker(code, second=second) for code, second in listed.items()]

    async def get_tickers(self, symbols):
        self.asked.append(("tickers", len(symbols)))
        if self.unlisted & set(symbols):
            msg = "one of them is not listed"
            raise SymbolDelistedError(msg)
        return [self.kit.ticker(code, second=self.traded_s[code]) for code in symbols]

    async def get_orderbooks(self, symbols, depth=15):
        self.asked.append(("books", len(symbols)))
        if self.unlisted & set(symbols):
            msg = "one of them is not listed"
            raise SymbolDelistedError(msg)
        return [self.kit.book(symbol, second=1) for symbol in symbols]


def batching(make_scene, kit, kind, **rest):
    scene = make_scene(kind, **rest)
    return scene, BatchingRest(scene, kit)


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


async def test_a_code_that_is_dead_on_a_living_socket_is_found_filled_and_subscribed_anew(kit, make_scene):
    scene, rest = batching(make_scene, kit, DataKind.TRADE)
    other, subscriber = Topic(DataKind.TRADE, Symbol("KRW-ETH")), None
    _, subscriber = scene.follow(other)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1, milliseconds=1000), is_snapshot=True)
    scene.stream.give(other, kit.trade(1, milliseconds=1000, symbol="KRW-ETH"), scene.clock, is_snapshot=True)
    await scene.until(lambda: scene.feed.is_witnessing(other))
    rest.traded_s["KRW-ETH"] = 3
    dead_since = scene.clock.now
    scene.rest.trades = [kit.trade(n, milliseconds=1000 * n, symbol="KRW-ETH", source="rest") for n in (1, 2, 3)]
    await scene.until(lambda: rest.asked)
    await scene.pass_s(2)
    assert len(scene.live.streams) == 1, "the socket's own data is not later than that trade yet"
    scene.give(kit.trade(9, milliseconds=9000))
    await scene.until(lambda: len(scene.live.streams) == 2)
    assert scene.clock.now - dead_since <= COMPARE_EVERY_S + 2 + 2 < 35
    assert scene.live.streams[1].topics == {other}
    await scene.pass_s(1)
    events = subscriber.buffer.drain()
    assert [event.trade.sequential_id for event in events if isinstance(event, TradeReceived)] == [1, 2, 3]
    assert "REST knows a trade" in next(event.reason for event in events if isinstance(event, ChannelSwitched))
    anew = scene.live.streams[1]
    anew.begin()
    anew.give(other, kit.trade(5, milliseconds=5000, symbol="KRW-ETH"), scene.clock, is_snapshot=True)
    await scene.until(lambda: scene.feed.is_witnessing(other))
    scene.rest.trades += [kit.trade(n, milliseconds=1000 * n, symbol="KRW-ETH", source="rest") for n in (4, 5)]
    await scene.pass_s(3)
    events = subscriber.buffer.drain()
    assert [event.trade.sequential_id for event in events if isinstance(event, TradeReceived)] == [4, 5]
    assert scene.kinds(ChannelSwitched) == [], "nobody else was disturbed"


async def test_a_trade_that_came_late_makes_no_code_dead(kit, make_scene):
    scene, rest = batching(make_scene, kit, DataKind.TRADE)
    other = Topic(DataKind.TRADE, Symbol("KRW-ETH"))
    scene.follow(other)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1, milliseconds=1000), is_snapshot=True)
    for number, at in enumerate((1000, 3000, 1500)):
        scene.stream.give(other, kit.trade(number, milliseconds=at, symbol="KRW-ETH"), scene.clock)
    await scene.until(lambda: scene.feed.is_witnessing(other))
    rest.traded_s["KRW-ETH"] = 3
    await scene.until(lambda: rest.asked)
    scene.give(kit.trade(9, milliseconds=9000))
    await scene.pass_s(5)
    assert len(scene.live.streams) == 1, "the socket has shown the trade that REST knows"


async def test_a_frame_that_is_only_on_its_way_makes_no_code_dead(kit, make_scene):
    scene, rest = batching(make_scene, kit, DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1, milliseconds=1000), is_snapshot=True)
    await scene.until(lambda: scene.kinds(TradeReceived))
    rest.traded_s["KRW-BTC"] = 20
    await scene.until(lambda: rest.asked)
    scene.give(kit.trade(2, milliseconds=20_000))
    await scene.pass_s(5)
    assert len(scene.live.streams) == 1
    assert scene.kinds(ChannelSwitched) == []


async def test_while_rest_is_dead_the_socket_goes_on_and_says_that_repairs_must_wait(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1, milliseconds=1000), is_snapshot=True)
    scene.rest.failures.extend([kit.broken(retryable=True)] * 2)
    await scene.until(lambda: scene.kinds(Degraded))
    assert "cannot be read" in scene.kinds(Degraded)[0].reason
    scene.give(kit.trade(2, milliseconds=2000))
    await scene.until(lambda: len(scene.kinds(TradeReceived)) == 2)
    await scene.until(lambda: scene.kinds(Recovered))
    assert scene.kinds(ChannelSwitched) == []


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


async def test_five_hours_in_which_nobody_trades_are_not_one_needless_switch(kit, make_scene):
    scene, _ = batching(make_scene, kit, DataKind.TICKER, canary="KRW-ETH")
    canary = Topic(DataKind.ORDERBOOK, Symbol("KRW-ETH"))
    await scene.open()
    scene.stream.begin()
    scene.give(kit.ticker(second=1, source="websocket"))
    scene.stream.give(canary, kit.book("KRW-ETH", second=1), scene.clock)
    scene.rest.quotes["KRW-ETH"] = kit.book("KRW-ETH", second=1)
    with untraced():
        await scene.until(lambda: scene.clock.now > 1000 + 5 * 3600, turns=2_000_000)
    assert scene.stream.abandoned == []
    assert len(scene.live.streams) == 1
    assert scene.kinds(ChannelSwitched) == scene.kinds(Degraded) == []
    assert len(scene.rest.calls) <= 5 * 3600 / 30 + 10, "the silence is questioned ever more rarely"
