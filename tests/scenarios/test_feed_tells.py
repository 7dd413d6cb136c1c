"""Each thing that befalls the sockets of a feed is told where it happens, once."""

import pytest
from watching import Watcher

from market_backbone import DataKind, StreamBegan, StreamEnded
from market_backbone.application.runtime.telemetry import Telemetry
from market_backbone.application.streaming.feeds.rebalancer import MAX_SOCKETS
from market_backbone.domain.request import Topic

CODES = ("KRW-ETH", "KRW-XRP", "KRW-SOL")


def trades_of(code):
    return Topic(DataKind.TRADE, code)


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
def told(make_scene, watcher):
    def make(kind, **rest):
        scene = make_scene(kind, **rest)
        scene.router.telemetry = Telemetry(watcher, [watcher])
        return scene

    return make


async def show(scene, kit, stream, topics):
    stream.begin()
    for topic in topics:
        stream.give(topic, kit.trade(1, symbol=topic.symbol), scene.clock, is_snapshot=True)
    await scene.until(lambda: all(scene.feed.is_witnessing(topic) for topic in topics))


async def open_more(scene, kit, codes):
    for number, code in enumerate(codes, start=2):
        scene.follow(trades_of(code))
        await scene.until(lambda number=number: len(scene.live.streams) == number)
        await show(scene, kit, scene.live.streams[-1], [trades_of(code)])


async def test_a_merging_is_told_with_how_many_sockets_there_were(told, kit, watcher):
    scene = told(DataKind.TRADE)
    await scene.open()
    await show(scene, kit, scene.stream, [scene.topic])
    await open_more(scene, kit, CODES)
    await scene.until(lambda: len(scene.live.streams) == MAX_SOCKETS + 2)
    merged = scene.live.streams[-1]
    merged.begin()
    for stream in scene.live.streams:
        for topic in stream.topics:
            stream.give(topic, kit.trade(2, milliseconds=900, symbol=topic.symbol), scene.clock)
            merged.give(topic, kit.trade(2, milliseconds=900, symbol=topic.symbol), scene.clock)
    await scene.until(lambda: scene.sockets == [merged])
    (line,) = watcher.told("sockets_merged")
    assert (line["before"], line["after"], line["codes"]) == (4, 1, 4)
    assert [one.is_lost for one in watcher.of(StreamEnded)] == [False] * 4
    assert watcher.told("stream_lost") == []


async def test_a_merging_that_fails_is_none(told, kit, watcher):
    scene = told(DataKind.TRADE)
    await scene.open()
    await show(scene, kit, scene.stream, [scene.topic])
    await open_more(scene, kit, CODES)
    await scene.until(lambda: len(scene.live.streams) == MAX_SOCKETS + 2)
    await scene.pass_s(15)
    assert watcher.told("sockets_merged") == []


async def test_the_socket_that_comes_back_for_all_that_were_lost_is_a_reconnect(told, kit, watcher):
    scene = told(DataKind.TRADE)
    await scene.open()
    await show(scene, kit, scene.stream, [scene.topic])
    await open_more(scene, kit, CODES[:2])
    for stream in scene.sockets:
        stream.end("the exchange is down")
    await scene.until(lambda: len(scene.sockets) == 1 and len(scene.live.streams) == 4)
    await show(scene, kit, scene.sockets[0], [scene.topic])
    assert [one.is_reconnect for one in watcher.of(StreamBegan)] == [False, False, False, True]
    assert [line["cause"] for line in watcher.told("stream_lost")] == ["the exchange is down"] * 3
    assert [line["codes"] for line in watcher.told("stream_restored")] == [3]


async def test_a_stalled_feed_is_told_with_how_long_it_was_silent(told, kit, watcher):
    scene = told(DataKind.TICKER, canary="KRW-ETH")
    await scene.open()
    canary = Topic(DataKind.ORDERBOOK, "KRW-ETH")
    scene.rest.quotes["KRW-ETH"] = kit.book("KRW-ETH", second=60)
    scene.stream.begin()
    scene.stream.give(canary, kit.book("KRW-ETH", second=1, source="websocket"), scene.clock)
    await scene.until(lambda: scene.stream.abandoned)
    (line,) = watcher.told("feed_stalled")
    assert 2 <= line["silent_s"] < 4


async def test_a_code_that_is_dead_on_a_living_socket_is_told_by_its_name(told, kit, watcher):
    scene = told(DataKind.TRADE)
    await scene.open()
    await show(scene, kit, scene.stream, [scene.topic])
    scene.feed.pool.resubscribe(scene.feed.subscriptions[scene.topic], "silent", scene.clock.monotonic())
    assert [line["topic"] for line in watcher.told("code_silent")] == ["trade:KRW-BTC"]
    assert watcher.told("stream_lost") == []


@pytest.mark.parametrize("rest", ["rest", None])
async def test_a_refused_topic_is_told_whether_rest_stands_in_or_not(told, kit, watcher, rest):
    scene = told(DataKind.TICKER, rest=rest)
    await scene.open()
    scene.stream.begin()
    scene.stream.items.put_nowait(kit.broken("websocket", retryable=False))
    await scene.until(lambda: watcher.told("subscription_refused"))
    (line,) = watcher.told("subscription_refused")
    assert (line["topic"], "broken on purpose" in line["error"]) == ("ticker:KRW-BTC", True)
    assert [one.is_lost for one in watcher.of(StreamEnded)] == [False]


async def test_a_code_of_which_nothing_comes_is_told_once(told, kit, watcher):
    scene = told(DataKind.TICKER)
    scene.follow(trades_of("KRW-ETH"))
    await scene.open()
    scene.stream.begin()
    scene.stream.give(trades_of("KRW-ETH"), kit.trade(1, symbol="KRW-ETH"), scene.clock, is_snapshot=True)
    await scene.pass_s(40)
    (line,) = watcher.told("subscription_unanswered")
    assert (line["codes"], line["examples"]) == (1, ["ticker:KRW-BTC"])


async def test_while_both_channels_are_dead_the_trouble_is_told_once_and_its_end(told, kit, watcher):
    scene = told(DataKind.TICKER)
    scene.rest.failures.extend(kit.broken(retryable=True) for _ in range(8))
    await scene.open()
    scene.stream.end("refused")
    await scene.until(lambda: watcher.told("data_recovered"))
    await scene.pass_s(20)
    assert len(watcher.told("data_degraded")) == 1
    assert len(watcher.told("data_recovered")) == 1
