"""Who follows what: one feed a route, which ends with its last follower."""

import pytest

from market_backbone import (
    ChannelError,
    ClosedError,
    DataKind,
    SmartRoutingPolicy,
    create_realtime_request,
)
from market_backbone.application.routing.router import SmartChannelRouter
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.feeds.route import FeedRoute
from market_backbone.domain.request import Topic


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


async def test_a_feed_ends_with_its_last_follower_and_a_thousand_followers_share_one(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    followers = [Subscriber.of(10, waits_for_history=False) for _ in range(999)]
    for subscriber in followers:
        scene.hub.join(scene.topic, scene.route, subscriber)
    await scene.open()
    assert len(scene.live.streams) == 1
    for subscriber in followers:
        await scene.hub.leave(scene.state, scene.route, subscriber)
    assert scene.tasks.count == 1
    await scene.hub.leave(scene.state, scene.route, scene.subscriber)
    await kit.turns()
    assert scene.tasks.count == 0


async def test_a_follower_that_leaves_before_the_socket_opens_leaves_nothing(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    await scene.hub.leave(scene.state, scene.route, scene.subscriber)
    await kit.turns(50)
    assert scene.live.streams == []
    assert scene.tasks.count == 0


async def test_topics_asked_for_together_share_a_socket(kit, make_scene):
    scene = make_scene(DataKind.TICKER)
    other = Subscriber.of(10, waits_for_history=False)
    scene.hub.join(Topic(DataKind.TRADE, "KRW-ETH"), scene.route, other)
    await scene.open()
    assert {str(topic) for topic in scene.live.topics[0]} == {"ticker:KRW-BTC", "trade:KRW-ETH"}
    scene.hub.end_all(ClosedError("closed"))
    assert scene.subscriber.buffer.has_failed
    assert other.buffer.has_failed
