"""Events and status as metrics: what is counted, what is read, and that labels stay few."""

import re
from pathlib import Path

import pytest

from market_backbone import (
    BudgetWaited,
    ChannelHealth,
    ChannelTried,
    CircuitState,
    CircuitSwitched,
    Completeness,
    DataKind,
    DeliverySwitched,
    FollowerLost,
    Headroom,
    ItemDropped,
    LoopBlocked,
    Priority,
    RequestEnded,
    SeriesAnswered,
    SeriesFollowed,
    Status,
    StreamBegan,
    StreamEnded,
    StreamStatus,
    Symbol,
    Timeframe,
)
from market_backbone.domain.request import Topic
from market_backbone.infrastructure.metrics import prometheus_observer

DOCS = Path(__file__).resolve().parents[3] / "docs" / "observability.md"
IDLE = Status(queued={}, in_service=0)


@pytest.fixture
def observer():
    return prometheus_observer()


def value(observer, name, **labels):
    return observer.registry.get_sample_value(f"market_backbone_{name}", labels)


def topic(number=0):
    return Topic(DataKind.CANDLE, Symbol(f"KRW-C{number}"), Timeframe.M1)


def ended(rule="candles-bulk", outcome="ok", **rest):
    return RequestEnded(kind=DataKind.CANDLE, rule=rule, outcome=outcome, latency_s=0.2, **rest)


KNOWN = Completeness(expected=10, received=7, quiet=2, unknown=1)


@pytest.mark.parametrize(
    ("observation", "name", "labels", "counted"),
    [
        (ended(calls=3), "requests_total", {"kind": "candle", "rule": "candles-bulk", "outcome": "ok"}, 1),
        (ended(calls=3), "request_calls_total", {"kind": "candle"}, 3),
        (ended(rows=500), "request_rows_total", {"kind": "candle"}, 500),
        (ended(waited_s=1.5), "request_wait_seconds_total", {"kind": "candle"}, 1.5),
        (ended(), "request_latency_seconds_count", {"kind": "candle"}, 1),
        (ended(outcome="QueueFullError"), "request_latency_seconds_count", {"kind": "candle"}, None),
        (
            ChannelTried(channel="rest", outcome="ok", latency_s=0.3),
            "channel_latency_seconds_sum",
            {"channel": "rest"},
            0.3,
        ),
        (
            ChannelTried(channel="rest", outcome="RateLimitedError", latency_s=0.3),
            "channel_tries_total",
            {"channel": "rest", "outcome": "RateLimitedError"},
            1,
        ),
        (
            ChannelTried(channel="websocket", outcome="stream-lost", latency_s=900.0),
            "channel_latency_seconds_count",
            {"channel": "websocket"},
            None,
        ),
        (
            BudgetWaited(channel="rest", group="candles", waited_s=0.7),
            "budget_wait_seconds_sum",
            {"channel": "rest", "group": "candles"},
            0.7,
        ),
        (StreamBegan(channel="websocket", is_reconnect=False), "stream_reconnects_total", {"channel": "websocket"}, 0),
        (StreamBegan(channel="websocket", is_reconnect=True), "stream_reconnects_total", {"channel": "websocket"}, 1),
        (StreamBegan(channel="websocket", is_reconnect=True), "streams_begun_total", {"channel": "websocket"}, 1),
        (
            StreamEnded(channel="websocket", lasted_s=9, is_lost=True),
            "streams_ended_total",
            {"channel": "websocket", "how": "lost"},
            1,
        ),
        (
            DeliverySwitched(topic=topic(), old="websocket", new="rest"),
            "channel_switches_total",
            {"old": "websocket", "new": "rest"},
            1,
        ),
        (CircuitSwitched(channel="rest", is_open=True), "circuit_openings_total", {"channel": "rest"}, 1),
        (CircuitSwitched(channel="rest", is_open=False), "circuit_openings_total", {"channel": "rest"}, None),
        (ItemDropped(channel="rest"), "rejected_items_total", {"channel": "rest"}, 1),
        (FollowerLost(topic=topic()), "slow_followers_total", {"kind": "candle"}, 1),
        (LoopBlocked(real_s=0.4), "loop_blocked_seconds_total", {}, 0.4),
        (
            SeriesAnswered(symbol=Symbol("KRW-BTC"), timeframe=Timeframe.M1, completeness=KNOWN),
            "answered_slots_total",
            {"symbol": "KRW-BTC", "timeframe": "1m", "state": "quiet"},
            2,
        ),
        (
            SeriesFollowed(symbol=Symbol("KRW-BTC"), timeframe=Timeframe.M1, completeness=KNOWN),
            "answered_slots_total",
            {"symbol": "KRW-BTC", "timeframe": "1m", "state": "quiet"},
            None,
        ),
    ],
)
def test_an_observation_is_counted(observer, observation, name, labels, counted):
    observer.observe(observation)
    assert value(observer, name, **labels) == counted


def test_rules_and_series_beyond_the_bound_are_counted_together(observer):
    for number in range(600):
        observer.observe(ended(rule=f"rule {number}"))
        observer.observe(SeriesAnswered(symbol=Symbol(f"KRW-C{number}"), timeframe=Timeframe.M1, completeness=KNOWN))
    assert value(observer, "requests_total", kind="candle", rule="(other)", outcome="ok") == 550
    slots = {"timeframe": "1m", "state": "expected"}
    assert value(observer, "answered_slots_total", symbol="KRW-C499", **slots) == 10
    assert value(observer, "answered_slots_total", symbol="KRW-C500", **slots) is None
    assert value(observer, "answered_slots_total", symbol="(other)", timeframe="(other)", state="expected") == 1000


def stream(number, *, staleness_s=0.5, completeness=KNOWN):
    return StreamStatus(
        topic=topic(number), channel="websocket", is_live=True, staleness_s=staleness_s, followers=2,
        completeness=completeness,
    )  # fmt: skip


def test_how_things_are_is_read_at_each_scrape(observer):
    status = [
        Status(
            queued={Priority.BULK: 3, Priority.REPAIR: 0},
            in_service=8,
            streams=(stream(0), stream(1, completeness=None)),
            sockets={"websocket": 2},
            headroom={"rest": {"candles": Headroom(limit=10, left=4, blocked_for_s=1.5, jitter_s=0.02)}},
            health={"rest": ChannelHealth(success_rate=0.9, circuit=CircuitState.HALF_OPEN)},
        ),
        IDLE,
    ]
    observer.watch(lambda: status[0])
    bitcoin = {"symbol": "KRW-C0", "timeframe": "1m"}
    candles = {"channel": "rest", "group": "candles"}
    assert value(observer, "queue_depth", priority="bulk") == 3
    assert value(observer, "requests_in_service") == 8
    assert value(observer, "followers") == 4
    assert value(observer, "open_sockets", channel="websocket") == 2
    assert value(observer, "stream_staleness_seconds", **bitcoin, kind="candle", channel="websocket") == 0.5
    assert value(observer, "followed_slots", **bitcoin, state="unknown") == 1
    assert value(observer, "followed_slots", symbol="KRW-C1", timeframe="1m", state="unknown") is None
    assert value(observer, "budget_headroom_requests", **candles) == 4
    assert value(observer, "budget_limit_requests_per_second", **candles) == 10
    assert value(observer, "budget_blocked_seconds", **candles) == 1.5
    assert value(observer, "channel_success_ratio", channel="rest") == 0.9
    assert value(observer, "channel_usable", channel="rest") == 0.5
    status.pop(0)
    assert value(observer, "requests_in_service") == 0
    assert value(observer, "queue_depth", priority="bulk") is None


def test_followed_series_beyond_the_bound_are_shown_together(observer):
    streams = tuple(stream(number, staleness_s=float(number)) for number in range(502))
    observer.watch(lambda: Status(queued={}, in_service=0, streams=streams))
    text = observer.text().decode()
    assert text.count("market_backbone_stream_staleness_seconds{") == 501
    assert text.count("market_backbone_followed_slots{") == 4 * 501
    assert value(observer, "followed_slots", symbol="(other)", timeframe="(other)", state="received") == 14


def test_two_observers_of_one_process_do_not_meet(observer):
    other = prometheus_observer()
    observer.observe(ItemDropped(channel="rest"))
    assert value(other, "rejected_items_total", channel="rest") is None


def test_the_docs_show_every_metric_with_its_type(observer):
    observer.watch(lambda: IDLE)
    made = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type, family.documentation.rstrip("."))
        for family in observer.registry.collect()
    }
    rows = re.findall(r"^\| `(market_backbone_\w+)` \| (\w+) \|(?: .*)? \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    assert set(rows) == made
    assert len(rows) == len(made)


def test_the_docs_show_every_label(observer):
    observer.watch(lambda: Status(queued={}, in_service=0))
    labels = {name.removesuffix("_total"): set(re.findall(r"`(\w+)`", cell)) for name, cell in label_cells()}
    collectors = observer.registry._collector_to_names
    made = {one._name: set(one._labelnames) for one in collectors if hasattr(one, "_labelnames")}
    made |= {family.name: set(family._labelnames) for family in observer.registry.collect() if family.type == "gauge"}
    assert labels == made


def label_cells():
    return re.findall(r"^\| `(market_backbone_\w+)` \| \w+ \|(.*?)\| .* \|$", DOCS.read_text(), re.MULTILINE)
