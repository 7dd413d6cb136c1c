"""Sockets of a feed come and go: what is followed loses nothing by it and gets nothing twice."""

import pytest

from market_backbone import (
    CandleUpdated,
    ChannelSwitched,
    DataKind,
    SubscriptionRefused,
    SubscriptionUnanswered,
    TickerUpdated,
    Timeframe,
    TradeReceived,
)
from market_backbone.application.streaming.feeds.rebalancer import MAX_SOCKETS
from market_backbone.domain.request import Topic

CODES = ("KRW-ETH", "KRW-XRP", "KRW-SOL")


def trades_of(code):
    return Topic(DataKind.TRADE, code)


def ids(scene):
    return [event.trade.sequential_id for event in scene.kinds(TradeReceived)]


def values_of(subscriber):
    return subscriber.buffer.drain()


async def open_more(scene, kit, topics):
    """Follow more topics, one batch after another; each gets its own socket, which shows it."""
    for topic in topics:
        scene.follow(topic)
        opened = len(scene.live.streams)
        await scene.until(lambda opened=opened: len(scene.live.streams) > opened)
        stream = scene.live.streams[-1]
        stream.begin()
        stream.give(topic, kit.trade(1, symbol=topic.symbol), scene.clock, is_snapshot=True)
        await scene.until(lambda topic=topic: scene.feed.is_witnessing(topic))


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


async def test_a_batch_that_comes_later_gets_a_socket_of_its_own_in_the_same_feed(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    await open_more(scene, kit, [trades_of("KRW-ETH")])
    assert [stream.topics for stream in scene.sockets] == [{scene.topic}, {trades_of("KRW-ETH")}]
    assert len(scene.hub.live_view.feeds) == 1


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


async def test_who_comes_back_to_a_code_that_is_still_carried_needs_no_new_subscription(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    other = Topic(DataKind.TRADE, "KRW-ETH")
    state, subscriber = scene.follow(other)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1), is_snapshot=True)
    scene.stream.give(other, kit.trade(5, symbol="KRW-ETH"), scene.clock, is_snapshot=True)
    await scene.until(lambda: scene.feed.is_witnessing(other))
    await scene.hub.leave(state, scene.route, subscriber)
    scene.stream.give(other, kit.trade(6, symbol="KRW-ETH"), scene.clock)
    await scene.pass_s(5)
    again, subscriber = scene.follow(other)
    assert again is state
    scene.stream.give(other, kit.trade(7, symbol="KRW-ETH"), scene.clock)
    await scene.until(lambda: len(subscriber.buffer))
    assert [event.trade.sequential_id for event in values_of(subscriber)] == [7]
    assert len(scene.live.streams) == 1


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


async def test_what_was_refused_and_left_is_subscribed_again_for_whoever_comes_back(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    scene.stream.begin()
    scene.give(kit.trade(1), is_snapshot=True)
    state, subscriber = scene.follow(trades_of("KRW-ETH"))
    await scene.until(lambda: len(scene.live.streams) == 2)
    scene.live.streams[-1].items.put_nowait(kit.broken("websocket", retryable=False))
    await scene.until(lambda: [one for one in values_of(subscriber) if isinstance(one, SubscriptionRefused)])
    await scene.pass_s(2)
    assert scene.feed.state_of(trades_of("KRW-ETH")) is state, "it is followed, by REST"
    await scene.hub.leave(state, scene.route, subscriber)
    await scene.until(lambda: scene.feed.state_of(trades_of("KRW-ETH")) is None)
    again, _ = scene.follow(trades_of("KRW-ETH"))
    assert again is not state
    await scene.until(lambda: len(scene.live.streams) == 3)
    assert scene.live.streams[-1].topics == {trades_of("KRW-ETH")}


async def test_only_the_topic_that_the_exchange_refuses_is_left_to_rest(kit, make_scene):
    """An error frame does not name the guilty element: it is found by halving."""
    scene = make_scene(DataKind.TICKER)
    guilty = Topic(DataKind.CANDLE, "KRW-ETH", Timeframe.M1)
    followers = {topic: scene.follow(topic)[1] for topic in (*map(trades_of, CODES), guilty)}
    served = set()
    for _ in range(20):
        await scene.pass_s(0.5)
        for stream in scene.sockets:
            if guilty in stream.topics:
                stream.items.put_nowait(kit.broken("websocket", retryable=False))
            elif stream.life == 0:
                stream.begin()
                for topic in stream.topics:
                    value = kit.ticker(second=1) if topic == scene.topic else kit.trade(1, symbol=topic.symbol)
                    stream.give(topic, value, scene.clock, is_snapshot=True)
                served |= stream.topics
    assert served == {scene.topic, *map(trades_of, CODES)}
    told = [event for event in values_of(followers[guilty]) if isinstance(event, SubscriptionRefused)]
    assert [(event.topic, event.error.retryable) for event in told] == [(guilty, False)]
    others = [event for topic in map(trades_of, CODES) for event in values_of(followers[topic])]
    assert not [event for event in others if isinstance(event, SubscriptionRefused)]
    assert len(scene.live.streams) <= 2 * 5
    assert scene.feed.subscriptions[guilty].channel == "rest"


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
