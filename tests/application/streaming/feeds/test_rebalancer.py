"""Sockets are merged and replaced, make before break, and silent codes are tried again."""

import pytest
from scenes import open_more, trades_of

from market_backbone import (
    CandleUpdated,
    ChannelSwitched,
    DataKind,
    SubscriptionUnanswered,
    TickerUpdated,
    TradeReceived,
)
from market_backbone.application.streaming.feeds.rebalancer import MAX_SOCKETS

CODES = ("KRW-ETH", "KRW-XRP", "KRW-SOL")


def ids(scene):
    return [event.trade.sequential_id for event in scene.kinds(TradeReceived)]


async def crowded(make_scene, kit, kind=DataKind.TRADE, *, after_s=0):
    """A feed with a socket more than it may have: the scene's topic on the first; the merged one has just opened."""
    scene = make_scene(kind)
    await scene.open()
    scene.stream.begin()
    first = kit.trade(1) if kind is DataKind.TRADE else kit.candle(0)
    scene.give(first, is_snapshot=True)
    await scene.until(lambda: scene.feed.is_witnessing(scene.topic))
    scene.clock.now += after_s
    await open_more(scene, kit, map(trades_of, CODES))
    await scene.until(lambda: len(scene.live.streams) == MAX_SOCKETS + 2)
    merged = scene.live.streams[-1]
    assert merged.topics == {scene.topic, *map(trades_of, CODES)}
    return scene, merged


def show_rest(scene, merged, kit):
    for code in CODES:
        merged.give(trades_of(code), kit.trade(1, symbol=code), scene.clock, is_snapshot=True)


def let_old_ones_catch_up(scene, kit):
    """Let the old sockets of the others bring what is later than all that the new one brings."""
    for old, code in zip(scene.live.streams[1:], CODES, strict=False):
        old.give(trades_of(code), kit.trade(2, milliseconds=900, symbol=code), scene.clock)


async def test_merging_closes_the_old_sockets_only_after_every_code_has_shown_itself_on_the_new_one(kit, make_scene):
    scene, merged = await crowded(make_scene, kit)
    merged.begin()
    show_rest(scene, merged, kit)
    let_old_ones_catch_up(scene, kit)
    scene.give(kit.trade(2, milliseconds=900))
    await scene.pass_s(5)
    assert len(scene.sockets) == MAX_SOCKETS + 2, "the scene's own code has not shown itself there"
    merged.give(scene.topic, kit.trade(1), scene.clock, is_snapshot=True)
    await scene.until(lambda: scene.sockets == [merged], turns=4000)
    assert scene.kinds(ChannelSwitched) == []


async def test_trades_of_both_sockets_are_delivered_once_while_they_overlap(kit, make_scene):
    scene, merged = await crowded(make_scene, kit)
    merged.begin()
    show_rest(scene, merged, kit)
    let_old_ones_catch_up(scene, kit)
    merged.give(scene.topic, kit.trade(2, milliseconds=20), scene.clock, is_snapshot=True)
    scene.give(kit.trade(2, milliseconds=20))
    for number in (3, 4):
        merged.give(scene.topic, kit.trade(number, milliseconds=10 * number), scene.clock)
    for number in (4, 90):  # the old socket never brings the third
        scene.give(kit.trade(number, milliseconds=10 * number))
    await scene.until(lambda: scene.sockets == [merged])
    for number in (90, 91):
        merged.give(scene.topic, kit.trade(number, milliseconds=10 * number), scene.clock)
    await scene.until(lambda: 91 in ids(scene))
    assert sorted(ids(scene)) == [1, 2, 3, 4, 90, 91]
    assert scene.rest.calls == [], "nothing had to be read back"


async def test_an_old_socket_that_lags_is_read_until_it_has_delivered_what_the_new_one_never_saw(kit, make_scene):
    """The new socket begins with trade 9; 2 to 8 are still on their way through the old one."""
    scene, merged = await crowded(make_scene, kit)
    merged.begin()
    show_rest(scene, merged, kit)
    merged.give(scene.topic, kit.trade(9, milliseconds=9000), scene.clock, is_snapshot=True)
    await scene.pass_s(4)
    assert scene.stream in scene.sockets
    for number in range(2, 11):
        scene.give(kit.trade(number, milliseconds=1000 * number))
    await scene.until(lambda: scene.sockets == [merged])
    assert sorted(ids(scene)) == list(range(1, 11))


async def test_what_an_old_socket_had_not_delivered_when_the_time_was_up_is_read_back(kit, make_scene):
    scene, merged = await crowded(make_scene, kit)
    merged.begin()
    show_rest(scene, merged, kit)
    merged.give(scene.topic, kit.trade(9, milliseconds=9000), scene.clock, is_snapshot=True)
    scene.rest.trades = [kit.trade(number, milliseconds=1000 * number, source="rest") for number in range(1, 10)]
    await scene.until(lambda: scene.sockets == [merged])
    await scene.until(lambda: len(ids(scene)) == 9)
    assert sorted(ids(scene)) == list(range(1, 10))


async def test_a_merging_that_does_not_succeed_costs_nobody_anything(kit, make_scene):
    scene, merged = await crowded(make_scene, kit)
    merged.items.put_nowait(kit.broken("websocket", retryable=False))
    await scene.until(lambda: merged.is_closed)
    scene.give(kit.trade(2))
    await scene.until(lambda: 2 in ids(scene))
    await scene.pass_s(60)
    assert len(scene.live.streams) == MAX_SOCKETS + 2, "a union that was refused is not tried again soon"
    assert scene.kinds(ChannelSwitched) == []


async def test_a_socket_that_is_lost_while_it_is_replaced_hands_over_at_once(kit, make_scene):
    scene, merged = await crowded(make_scene, kit)
    merged.begin()
    merged.give(scene.topic, kit.trade(1), scene.clock, is_snapshot=True)
    await scene.pass_s(1)
    scene.rest.trades = [kit.trade(number, source="rest") for number in (1, 2, 3)]
    scene.stream.end()
    merged.give(scene.topic, kit.trade(3), scene.clock)
    await scene.until(lambda: 3 in ids(scene))
    assert ids(scene) == [1, 2, 3], "the second was under way in the socket that was lost"
    assert scene.kinds(ChannelSwitched) == []


async def test_a_candle_goes_on_over_the_change_and_is_final_once_with_all_its_volume(kit, make_scene):
    scene, merged = await crowded(make_scene, kit, DataKind.CANDLE)
    scene.give(kit.candle(0, volume="2", second=30))
    merged.begin()
    show_rest(scene, merged, kit)
    merged.give(scene.topic, kit.candle(0, volume="3", second=40), scene.clock, is_snapshot=True)
    merged.give(scene.topic, kit.candle(0, volume="5", second=41), scene.clock)
    await scene.until(lambda: scene.sockets == [merged])
    scene.rest.minutes = []
    scene.clock.now = 1000.0 + 75
    merged.give(scene.topic, kit.candle(1, volume="1", second=10), scene.clock)
    await scene.until(lambda: any(event.candle.is_final for event in scene.kinds(CandleUpdated)))
    assert [event.candle.volume for event in scene.kinds(CandleUpdated) if event.candle.is_final] == [5]


async def test_a_slot_that_the_new_socket_did_not_see_is_sealed_by_rest_only(kit, make_scene):
    """The old socket saw minute 0 and the new one began in minute 1: what lies between, nobody can know."""
    scene, merged = await crowded(make_scene, kit, DataKind.CANDLE, after_s=60)
    merged.begin()
    show_rest(scene, merged, kit)
    merged.give(scene.topic, kit.candle(1, second=1), scene.clock, is_snapshot=True)
    await scene.until(lambda: scene.sockets == [merged])
    merged.give(scene.topic, kit.candle(1, volume="2", second=20), scene.clock)
    await scene.until(lambda: any(event.candle.is_final for event in scene.kinds(CandleUpdated)))
    final = next(event.candle for event in scene.kinds(CandleUpdated) if event.candle.is_final)
    assert (kit.minutes([final]), final.source, str(final.sealed_by)) == ([0], "rest", "rest")


async def test_a_socket_that_carries_nothing_wanted_is_closed(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    state, subscriber = scene.follow(trades_of("KRW-ETH"))
    await scene.until(lambda: len(scene.sockets) == 2)
    await scene.hub.leave(state, scene.route, subscriber)
    await scene.until(lambda: scene.sockets == [scene.stream])
    again, _ = scene.follow(trades_of("KRW-ETH"))
    assert again is not state
    await scene.until(lambda: len(scene.sockets) == 2)


async def test_after_the_loss_of_all_sockets_one_comes_back(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1), is_snapshot=True)
    await open_more(scene, kit, map(trades_of, CODES[:2]))
    for stream in scene.sockets:
        stream.end("the exchange is down")
    await scene.until(lambda: len(scene.sockets) == 1 and len(scene.live.streams) == 4)
    assert scene.sockets[0].topics == {scene.topic, *map(trades_of, CODES[:2])}


async def test_a_socket_that_is_back_before_the_others_are_replaced_is_kept(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1), is_snapshot=True)
    await open_more(scene, kit, map(trades_of, CODES[:2]))
    lost = scene.sockets
    for stream in lost:
        stream.end("the exchange is down")
    scene.stream.begin()
    await scene.until(lambda: len(scene.live.streams) == 4)
    await scene.pass_s(1)
    assert scene.sockets == [scene.stream, scene.live.streams[-1]]
    assert scene.live.streams[-1].topics == set(map(trades_of, CODES[:2]))


async def test_a_code_of_which_nothing_comes_is_reported_once_and_served_by_rest(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    scene.follow(trades_of("KRW-ETH"))
    await scene.open()
    scene.stream.begin()
    scene.stream.give(trades_of("KRW-ETH"), kit.trade(1, symbol="KRW-ETH"), scene.clock, is_snapshot=True)
    await scene.until(lambda: scene.kinds(SubscriptionUnanswered))
    (told,) = scene.kinds(SubscriptionUnanswered)
    assert (told.topic, 10 <= told.waited_s <= 11) == (scene.topic, True)
    assert "does not know" in told.reason
    await scene.until(lambda: scene.kinds(TickerUpdated))
    assert scene.kinds(TickerUpdated)[0].ticker.source == "rest"
    await scene.pass_s(30)
    assert len(scene.kinds(SubscriptionUnanswered)) == 1


async def test_a_socket_that_shows_nothing_at_all_is_given_up_ever_more_patiently(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.open()
    given_up = []
    scene.stream.begin()
    for _ in range(4):
        before = len(scene.stream.abandoned)
        began = scene.clock.now
        await scene.until(lambda before=before: len(scene.stream.abandoned) > before)
        given_up.append(round(scene.clock.now - began))
        scene.stream.end()
        scene.stream.begin()
        await kit.turns(3)
    assert given_up == [pytest.approx(patience, abs=1) for patience in (10, 20, 40, 60)]
