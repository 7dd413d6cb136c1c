"""What a stream may lack is asked for, and comes late but once."""

from datetime import timedelta

import pytest

from market_backbone import (
    DataKind,
    Gap,
    TradeReceived,
)
from market_backbone.application.streaming.topics.trades import AUDIT_S
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import Rejected

CANARY = Topic(DataKind.ORDERBOOK, "KRW-ETH")


def canary_at(kit, scene, seconds):
    scene.stream.give(CANARY, kit.book("KRW-ETH", second=seconds, source="websocket"), scene.clock)


def ids(scene):
    return [event.trade.sequential_id for event in scene.kinds(TradeReceived)]


async def test_a_hole_in_the_canarys_stamps_has_trades_filled_back_at_once(kit, make_scene):
    """All of it is read in one burst: only the stamps can tell that something lacks."""
    scene = make_scene(DataKind.TRADE, canary="KRW-ETH")
    await scene.open()
    scene.rest.trades = [kit.trade(number, milliseconds=1000 * number, source="rest") for number in range(1, 7)]
    scene.stream.begin()
    for step in range(40):
        canary_at(kit, scene, 0.1 * step)
    for number in (1, 2, 3):
        scene.give(kit.trade(number, milliseconds=1000 * number))
    canary_at(kit, scene, 6.0)
    scene.give(kit.trade(6, milliseconds=6000))
    await scene.until(lambda: 6 in ids(scene))
    assert ids(scene) == [1, 2, 3, 4, 5, 6]


async def test_a_trade_that_was_dropped_without_a_trace_is_found_by_the_next_comparison(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    for number in (1, 2, 4, 9):
        scene.give(kit.trade(number, milliseconds=1000 * number))
    scene.rest.trades = [kit.trade(number, milliseconds=1000 * number, source="rest") for number in (1, 2, 3, 4, 9)]
    await scene.until(lambda: 3 in ids(scene))
    assert ids(scene) == [1, 2, 4, 9, 3]
    assert scene.kinds(TradeReceived)[-1].trade.is_late
    assert scene.clock.now - 1000.0 <= AUDIT_S + timedelta(seconds=5).total_seconds()


@pytest.mark.parametrize("about", [None, Topic(DataKind.TRADE, "KRW-BTC")])
async def test_a_frame_that_cannot_be_read_has_trades_filled_back_at_once(kit, make_scene, about):
    scene = await after_three_trades(kit, make_scene)
    scene.stream.items.put_nowait(Rejected("not a frame", "{garbage", about))
    scene.give(kit.trade(5, milliseconds=5000))
    await scene.until(lambda: 5 in ids(scene))
    assert ids(scene) == [1, 2, 3, 4, 5], "what the frame told comes before what came after it"


async def test_what_cannot_be_read_of_another_topic_is_no_reason_to_ask(kit, make_scene):
    scene = await after_three_trades(kit, make_scene)
    scene.stream.items.put_nowait(Rejected("no price", "{}", Topic(DataKind.TRADE, "KRW-XRP")))
    scene.give(kit.trade(5, milliseconds=5000))
    await scene.until(lambda: 5 in ids(scene))
    assert ids(scene) == [1, 2, 3, 5]


async def after_three_trades(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.rest.trades = [kit.trade(number, milliseconds=1000 * number, source="rest") for number in range(1, 6)]
    for number in (1, 2, 3):
        scene.give(kit.trade(number, milliseconds=1000 * number))
    await scene.until(lambda: 3 in ids(scene))
    return scene


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
