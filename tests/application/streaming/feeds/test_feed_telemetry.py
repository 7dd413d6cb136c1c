"""What a feed tells of itself: sockets, switches, troubles, and how complete its series are."""

from datetime import timedelta

import pytest
from watching import Watcher

from market_backbone import (
    Completeness,
    DataKind,
    DeliverySwitched,
    SeriesFollowed,
    StreamBegan,
    StreamEnded,
    Timeframe,
    TimeRange,
)
from market_backbone.application.runtime.telemetry import Telemetry
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.feeds.connection import Connection
from market_backbone.application.streaming.feeds.feed_telemetry import FeedTelemetry
from market_backbone.application.streaming.feeds.stall_detector import StallDetector
from market_backbone.application.streaming.topics.candle_tracker import CandleTracker, TrackerOptions
from market_backbone.domain.events import Degraded, Recovered, SubscriptionUnanswered
from market_backbone.domain.request import Topic
from market_backbone.domain.symbol import Symbol


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
def report(watcher, kit):
    return FeedTelemetry(Telemetry(watcher, [watcher]), kit.Clock())


def carrier_of(*codes):
    return Connection(frozenset(Topic(DataKind.TRADE, Symbol(code)) for code in codes), None, StallDetector(2.0))


@pytest.fixture
async def scene(make_scene, watcher):
    made = make_scene(DataKind.TICKER)
    made.router.telemetry = Telemetry(watcher, [watcher])
    await made.until(lambda: made.live.streams)
    stream = made.live.streams[0]
    stream.begin()
    stream.give(made.topic, made.kit.ticker(source="websocket"), made.clock)
    await made.until(lambda: made.events)
    return made


async def test_a_lost_socket_is_told_once_and_so_is_its_return(scene, watcher):
    stream = scene.live.streams[0]
    stream.end("closed with 1000")
    for _ in range(3):  # attempts that fail are no news
        stream.end("refused with 503")
    await scene.pass_s(5)
    stream.begin()
    stream.give(scene.topic, scene.kit.ticker(second=9, source="websocket"), scene.clock)
    await scene.pass_s(1)
    (lost,) = watcher.told("stream_lost")
    assert (lost["cause"], lost["codes"], lost["channel"]) == ("closed with 1000", 1, "websocket")
    (restored,) = watcher.told("stream_restored")
    assert restored["codes"] == 1
    assert restored["down_s"] >= 4
    assert [one.is_reconnect for one in watcher.of(StreamBegan)] == [False, True]
    assert [one.is_lost for one in watcher.of(StreamEnded)] == [True]


async def test_a_switch_is_one_line_and_there_and_back_are_two(scene, watcher):
    stream = scene.live.streams[0]
    stream.end()
    await scene.pass_s(3)
    stream.begin()
    stream.give(scene.topic, scene.kit.ticker(second=9, source="websocket"), scene.clock)
    await scene.pass_s(1)
    assert [(one["old"], one["new"], one["codes"]) for one in watcher.told("channel_switched")] == [
        ("websocket", "rest", 1),
        ("rest", "websocket", 1),
    ]
    assert [(one.topic, one.new) for one in watcher.of(DeliverySwitched)] == [
        (scene.topic, "rest"),
        (scene.topic, "websocket"),
    ]


async def test_the_sockets_of_a_feed_that_ends_have_been_closed_and_not_lost(scene, watcher):
    await scene.hub.leave(scene.state, scene.route, scene.subscriber)
    assert [one.is_lost for one in watcher.of(StreamEnded)] == [False]
    assert watcher.told("stream_lost") == []


async def test_a_socket_for_which_nobody_is_left_is_no_loss_to_the_next(scene, watcher):
    """Its followers have gone while it was down: whoever comes then has lost nothing."""
    other = Topic(DataKind.TRADE, Symbol("KRW-ETH"))
    subscriber = Subscriber.of(10, waits_for_history=False)
    state = scene.hub.join(other, scene.route, subscriber)
    await scene.until(lambda: len(scene.live.streams) == 2)
    scene.live.streams[1].end("refused")
    await scene.pass_s(1)
    await scene.hub.leave(state, scene.route, subscriber)
    await scene.pass_s(1)
    scene.hub.join(other, scene.route, subscriber)
    await scene.until(lambda: len(scene.live.streams) == 3)
    scene.live.streams[2].begin()
    scene.live.streams[2].give(other, scene.kit.trade(1, symbol="KRW-ETH"), scene.clock)
    await scene.pass_s(1)
    assert [one.is_reconnect for one in watcher.of(StreamBegan)] == [False, False]
    assert watcher.told("stream_restored") == []
    assert scene.feed.context.telemetry._lost == {}


def test_three_hundred_codes_of_one_socket_are_one_line(report, watcher):
    topics = [Topic(DataKind.TICKER, Symbol(f"KRW-C{number}")) for number in range(300)]
    for number, topic in enumerate(topics):
        report.listener(topic)(Degraded("rest", float(number), "rest: refused"))
    report.flush()
    report.flush()
    (line,) = watcher.told("data_degraded")
    assert (line["codes"], len(line["examples"]), line["staleness_s"]) == (300, 5, 299.0)


def test_recoveries_and_unanswered_codes_are_lines_of_their_own(report, watcher):
    topic = Topic(DataKind.TICKER, Symbol("KRW-BTC"))
    listen = report.listener(topic)
    listen(Recovered("rest"))
    listen(SubscriptionUnanswered(topic, 10.04, "unknown"))
    report.flush()
    assert [one["channel"] for one in watcher.told("data_recovered")] == ["rest"]
    assert [one["waited_s"] for one in watcher.told("subscription_unanswered")] == [10.0]


def test_a_socket_that_replaces_lost_ones_stands_for_them(report, watcher):
    lost, heir = carrier_of("KRW-BTC"), carrier_of("KRW-BTC", "KRW-ETH")
    report.life_began(lost, "websocket")
    report.life_lost(lost, "websocket", "closed with 1000")
    report.replaced([lost, carrier_of("KRW-ETH")], heir)
    report.closed(lost)
    report.life_began(heir, "websocket")
    report.life_proven(heir, "websocket")
    assert [one.is_reconnect for one in watcher.of(StreamBegan)] == [False, True]
    assert [(one["codes"], one["down_s"]) for one in watcher.told("stream_restored")] == [(2, 0.0)]


def test_what_is_told_at_once(report, watcher):
    topic = Topic(DataKind.CANDLE, Symbol("KRW-BTC"), Timeframe.M1)
    report.stalled(carrier_of("KRW-BTC"), "websocket", 2.34)
    report.merged("websocket", 4, 1, 9)
    report.code_silent(topic, "REST knows more")
    report.refused(topic, ValueError("no such stream"))
    assert watcher.names == ["feed_stalled", "sockets_merged", "code_silent", "subscription_refused"]
    assert watcher.told("feed_stalled")[0]["silent_s"] == 2.3


def tracker_of(kit, pending_backfill=()):
    rules = TrackerOptions(timeframe=Timeframe.M1, grace=kit.GRACE, repair_bound=timedelta(seconds=30))
    tracker = CandleTracker(rules)
    tracker.start_at(kit.START)
    tracker.frontier = kit.START + timedelta(minutes=10)
    tracker.pending_backfill = tuple(
        TimeRange(*(kit.START + timedelta(minutes=m) for m in span)) for span in pending_backfill
    )
    return tracker


@pytest.mark.parametrize(
    ("pending_backfill", "received", "known"),
    [
        ((), 10, (10, 10, 0, 0)),
        ((), 7, (10, 7, 3, 0)),
        (((2, 4), (6, 7)), 5, (10, 5, 2, 3)),
        (((8, 12),), 8, (10, 8, 0, 2)),
    ],
)
def test_each_slot_that_is_over_was_received_or_is_quiet_or_is_owed(kit, pending_backfill, received, known):
    assert tuple(number for _, number in tracker_of(kit, pending_backfill).completeness(received).by_state()) == known


def test_before_the_first_promise_there_is_nothing_to_complete(kit):
    rules = TrackerOptions(timeframe=Timeframe.M1, grace=kit.GRACE, repair_bound=timedelta(seconds=30))
    assert CandleTracker(rules).completeness(0) == Completeness()


async def test_a_followed_series_tells_its_completeness_each_time_that_it_changes(make_scene, watcher):
    made = make_scene(DataKind.CANDLE, minutes=[0, 1, 3, 4, 5, 6, 7])
    made.router.telemetry = Telemetry(watcher, [watcher])
    await made.until(lambda: made.live.streams)
    made.live.streams[0].end()  # REST alone
    await made.pass_s(420)
    told = [one.completeness for one in watcher.of(SeriesFollowed)]
    finals = sum(event.candle.is_final for event in made.events if hasattr(event, "candle"))
    assert len(told) == len(set(told)) >= 4
    assert (told[-1].received, told[-1].unknown) == (finals, 0)
    assert told[-1].quiet == told[-1].expected - finals <= 1
