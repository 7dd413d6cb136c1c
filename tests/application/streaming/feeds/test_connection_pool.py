"""The sockets of a feed: opened, lost, refused; whose frames count."""

import pytest
from scenes import open_more, trades_of

from market_backbone import (
    DataKind,
    SubscriptionRefused,
    TickerUpdated,
    Timeframe,
)
from market_backbone.domain.request import Topic

CODES = ("KRW-ETH", "KRW-XRP", "KRW-SOL")


def values_of(subscriber):
    return subscriber.buffer.drain()


async def test_a_batch_that_comes_later_gets_a_socket_of_its_own_in_the_same_feed(kit, make_scene):
    scene = make_scene(DataKind.TRADE)
    await scene.open()
    await open_more(scene, kit, [trades_of("KRW-ETH")])
    assert [stream.topics for stream in scene.sockets] == [{scene.topic}, {trades_of("KRW-ETH")}]
    assert len(scene.hub.live_view.feeds) == 1


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
