"""What happened, counted for Prometheus; how things are is read anew at each scrape (see :mod:`.gauges`)."""

from collections.abc import Callable, Hashable
from functools import partial

from attrs import define, field
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from ...domain.status import Status
from ...domain.telemetry_events import (
    OK,
    BudgetWaited,
    ChannelTried,
    CircuitSwitched,
    DeliverySwitched,
    FollowerLost,
    ItemDropped,
    LoopBlocked,
    RequestEnded,
    SeriesAnswered,
    StreamBegan,
    StreamEnded,
    TelemetryEvent,
)
from .gauges import OTHER, StatusCollector

MAX_SERIES = 500
"""Series of candles that are told apart; all others together are ``(other)``."""
MAX_RULES = 50
LATENCIES_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
PREFIX = "market_backbone"


@define(eq=False)
class Bound:
    """Lets the first ``most`` keys through, so that labels cannot explode."""

    most: int
    _known: set[Hashable] = field(factory=set[Hashable])

    def admits(self, key: Hashable) -> bool:
        """Return whether a key has a series of its own."""
        if key not in self._known and len(self._known) < self.most:
            self._known.add(key)
        return key in self._known


def _counter(registry: CollectorRegistry, name: str, documentation: str, *labels: str) -> Counter:
    return Counter(f"{PREFIX}_{name}", documentation, labels, registry=registry)


class PrometheusObserver:
    """Counts observations in a registry of its own: several APIs of a process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._series, self._rules = Bound(MAX_SERIES), Bound(MAX_RULES)
        self._channels = _ChannelCounters(self.registry)
        self._requests = _RequestCounters(self.registry)
        count = partial(_counter, self.registry)
        self._slow = count("slow_followers", "Followers that were ended because they read too slowly.", "kind")
        self._loop_blocks = count("loop_blocks", "How often the event loop stood still.")
        self._loop_blocked_s = count("loop_blocked_seconds", "Real seconds in which the event loop stood still.")

    def watch(self, read: Callable[[], Status]) -> None:
        """Ask ``read`` at each scrape how things are."""
        self.registry.register(StatusCollector(read, MAX_SERIES))

    def text(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self.registry)

    def observe(self, event: TelemetryEvent) -> None:
        """Count a fact."""
        match event:
            case RequestEnded():
                rule = event.rule if self._rules.admits(event.rule) else OTHER
                self._requests.count(event, rule)
            case SeriesAnswered():
                key = (str(event.symbol), str(event.timeframe))
                self._requests.count_slots(event, key if self._series.admits(key) else (OTHER, OTHER))
            case FollowerLost():
                self._slow.labels(event.topic.kind.value).inc()
            case LoopBlocked():
                self._loop_blocks.inc()
                self._loop_blocked_s.inc(event.real_s)
            case _:
                self._channels.count(event)


class _RequestCounters:
    """What is counted of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        count = partial(_counter, registry)
        self._ended = count("requests", "Requests that ended.", "kind", "rule", "outcome")
        self._latency = Histogram(
            f"{PREFIX}_request_latency_seconds",
            "From the question to the answer, in market seconds; answered requests only.",
            ("kind",),
            buckets=LATENCIES_S,
            registry=registry,
        )
        self._calls = count("request_calls", "Calls that answered requests cost.", "kind")
        self._rows = count("request_rows", "Rows that requests were answered with.", "kind")
        self._waited = count("request_wait_seconds", "Market seconds that requests waited for the budget.", "kind")
        self._slots = count("answered_slots", "Slots of answered series.", "symbol", "timeframe", "state")

    def count(self, ended: RequestEnded, rule: str) -> None:
        kind = ended.kind.value
        self._ended.labels(kind, rule, ended.outcome).inc()
        if ended.outcome == OK:
            self._latency.labels(kind).observe(ended.latency_s)
        self._calls.labels(kind).inc(ended.calls)
        self._rows.labels(kind).inc(ended.rows)
        self._waited.labels(kind).inc(ended.waited_s)

    def count_slots(self, answered: SeriesAnswered, key: tuple[str, str]) -> None:
        for state, number in answered.completeness.by_state():
            self._slots.labels(*key, state).inc(max(0, number))


class _ChannelCounters:
    """What is counted of channels and their streams."""

    def __init__(self, registry: CollectorRegistry) -> None:
        count = partial(_counter, registry)

        def time(name: str, documentation: str, *labels: str) -> Histogram:
            return Histogram(f"{PREFIX}_{name}", documentation, labels, buckets=LATENCIES_S, registry=registry)

        self._tries = count("channel_tries", "Outcomes of asking a channel or its stream.", "channel", "outcome")
        self._latency = time("channel_latency_seconds", "Market seconds to an outcome that was ok.", "channel")
        self._waited = time("budget_wait_seconds", "Market seconds that a call waited.", "channel", "group")
        self._began = count("streams_begun", "Sockets that were opened.", "channel")
        self._ended = count("streams_ended", "Sockets that were lost or closed.", "channel", "how")
        self._reconnects = count("stream_reconnects", "Sockets that stand for a lost one.", "channel")
        self._switches = count("channel_switches", "Topics that another channel delivers since.", "old", "new")
        self._circuits = count("circuit_openings", "How often a channel was left alone.", "channel")
        self._dropped = count("rejected_items", "Malformed items that were dropped.", "channel")

    def count(self, event: TelemetryEvent) -> None:
        match event:
            case ChannelTried(channel=channel, outcome=outcome):
                self._tries.labels(channel, outcome).inc()
                if outcome == OK:
                    self._latency.labels(channel).observe(event.latency_s)
            case BudgetWaited(channel=channel, group=group):
                self._waited.labels(channel, group).observe(event.waited_s)
            case DeliverySwitched(old=old, new=new):
                self._switches.labels(old, new).inc()
            case CircuitSwitched(channel=channel, is_open=True):
                self._circuits.labels(channel).inc()
            case ItemDropped(channel=channel):
                self._dropped.labels(channel).inc()
            case _:
                self._count_stream(event)

    def _count_stream(self, event: TelemetryEvent) -> None:
        match event:
            case StreamBegan(channel=channel):
                self._began.labels(channel).inc()
                self._reconnects.labels(channel).inc(event.is_reconnect)
            case StreamEnded(channel=channel):
                self._ended.labels(channel, "lost" if event.is_lost else "closed").inc()
            case _:
                return
