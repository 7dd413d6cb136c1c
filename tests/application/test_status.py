"""Status of a feed over a fake exchange: who delivers, since when, and that quiet is not stale."""

from market_backbone import DataKind
from market_backbone.application.status import current_status
from market_backbone.domain.request import Topic
from market_backbone.domain.request_options import Priority


class IdleQueue:
    in_service = 0

    def depth(self):
        return dict.fromkeys(Priority, 0)


def status_of(scene):
    return current_status(IdleQueue(), scene.hub.feeds, scene.router)


async def test_a_quiet_pair_on_a_socket_that_lives_is_not_stale(make_scene, kit):
    scene = make_scene(DataKind.TICKER)
    busy = Topic(DataKind.TICKER, "KRW-ETH")
    scene.follow(busy)
    await scene.open()
    scene.stream.begin()
    for topic in (scene.topic, busy):
        scene.stream.give(topic, kit.ticker(topic.symbol, source="websocket"), scene.clock)
    for second in range(1, 20):
        await scene.pass_s(1)
        scene.stream.give(busy, kit.ticker("KRW-ETH", second=second, source="websocket"), scene.clock)
    await scene.pass_s(0.5)
    quiet = next(one for one in status_of(scene).streams if one.topic == scene.topic)
    assert (quiet.channel, quiet.is_live, quiet.followers) == ("websocket", True, 1)
    assert quiet.staleness_s < 2
    assert quiet.completeness is None
    assert status_of(scene).sockets == {"websocket": 1}


async def test_while_nobody_delivers_staleness_is_the_age_of_the_last_news(make_scene, kit):
    scene = make_scene(DataKind.TICKER)
    scene.rest.failures.extend(kit.broken(retryable=True) for _ in range(50))
    await scene.open()
    scene.stream.begin()
    scene.give(kit.ticker(source="websocket"))
    await scene.until(lambda: scene.events)
    scene.stream.end()
    await scene.pass_s(10)
    (status,) = status_of(scene).streams
    assert not status.is_live
    assert 9 <= status.staleness_s <= 12
    assert status_of(scene).sockets == {"websocket": 0}


async def test_a_followed_series_carries_its_completeness(make_scene):
    scene = make_scene(DataKind.CANDLE, minutes=range(20))
    await scene.open()
    scene.stream.end()
    await scene.pass_s(200)
    (status,) = status_of(scene).streams
    assert status.channel == "rest"
    assert status.completeness.received == status.completeness.expected >= 2
