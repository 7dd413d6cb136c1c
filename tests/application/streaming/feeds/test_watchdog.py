"""Whether a socket tells all: silence is a question, and so is a code of which REST knows more."""

import pytest
from batching_rest import batching
from waiting import untraced

from market_backbone import (
    ChannelSwitched,
    DataKind,
    Degraded,
    SymbolDelistedError,
    TradeReceived,
)
from market_backbone.application.streaming.feeds.watchdog import COMPARE_EVERY_S
from market_backbone.domain.request import Topic
from market_backbone.domain.symbol import Symbol


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
