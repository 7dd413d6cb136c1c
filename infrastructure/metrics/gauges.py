"""How things are, as gauges that are read anew at each scrape."""

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from ...domain.coverage_report import Completeness
from ...domain.routing import CircuitState
from ...domain.status import Status, StreamStatus

OTHER = "(other)"
"""Stands for every series that is one too many."""

PREFIX = "market_backbone"


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", documentation, labels=labels)


@frozen(eq=False)
class StatusCollector:
    """Makes metrics of a status.

    Attributes:
        read: takes a snapshot.
        most: how many topics are told apart; the rest is summed up.

    """

    read: Callable[[], Status]
    most: int

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        status = self.read()
        yield from _of_queue(status)
        yield from _of_streams(status, self.most)
        yield from _of_budget(status)
        yield from _of_health(status)


def _of_queue(status: Status) -> Iterator[Metric]:
    depth = _gauge("queue_depth", "Requests that wait for a place.", "priority")
    for priority, waiting in status.queued.items():
        depth.add_metric([priority.name.lower()], waiting)
    yield depth
    serving = _gauge("requests_in_service", "Requests that are being served.")
    serving.add_metric([], status.in_service)
    yield serving


def _of_streams(status: Status, most: int) -> Iterator[Metric]:
    followers = _gauge("followers", "Who follows anything.")
    followers.add_metric([], status.followers)
    yield followers
    sockets = _gauge("open_sockets", "Open sockets of streams.", "channel")
    for channel, number in status.sockets.items():
        sockets.add_metric([channel], number)
    yield sockets
    streams = sorted(status.streams, key=lambda stream: str(stream.topic))
    yield _staleness(streams[:most], streams[most:])
    yield _slots(streams[:most], streams[most:])


def _labels(stream: StreamStatus) -> list[str]:
    return [stream.topic.symbol, str(stream.topic.timeframe or "")]


def _staleness(streams: Sequence[StreamStatus], others: Sequence[StreamStatus]) -> Metric:
    documentation = "Market seconds since the data was last known to be fresh; of (other) the most."
    gauge = _gauge("stream_staleness_seconds", documentation, "symbol", "timeframe", "kind", "channel")
    for stream in streams:
        gauge.add_metric([*_labels(stream), stream.topic.kind.value, stream.channel], stream.staleness_s)
    if others:
        gauge.add_metric([OTHER] * 4, max(stream.staleness_s for stream in others))
    return gauge


def _slots(streams: Sequence[StreamStatus], others: Sequence[StreamStatus]) -> Metric:
    documentation = "Slots that are over since somebody follows a series, and what became of them."
    gauge = _gauge("followed_slots", documentation, "symbol", "timeframe", "state")
    for stream in streams:
        if stream.completeness is not None:
            for state, number in stream.completeness.by_state():
                gauge.add_metric([*_labels(stream), state], number)
    rest = [stream.completeness for stream in others if stream.completeness is not None]
    if rest:
        for state, number in sum(rest, Completeness()).by_state():
            gauge.add_metric([OTHER, OTHER, state], number)
    return gauge


def _of_budget(status: Status) -> Iterator[Metric]:
    left = _gauge("budget_headroom_requests", "Requests that could be sent at once.", "channel", "group")
    limit = _gauge("budget_limit_requests_per_second", "Requests that are allowed.", "channel", "group")
    blocked = _gauge("budget_blocked_seconds", "For how long a refusal stops the group.", "channel", "group")
    for channel, groups in status.headroom.items():
        for group, room in groups.items():
            left.add_metric([channel, group], room.left)
            limit.add_metric([channel, group], room.limit)
            blocked.add_metric([channel, group], room.blocked_for_s)
    yield from (left, limit, blocked)


def _of_health(status: Status) -> Iterator[Metric]:
    success = _gauge("channel_success_ratio", "Share of the last 100 outcomes that were ok.", "channel")
    usable = _gauge("channel_usable", "1 while the circuit is closed, 0.5 half-open, 0 open.", "channel")
    grade = _gauge("channel_grade", "0 good, 1 degraded, 2 poor, 3 out.", "channel")
    states = {CircuitState.CLOSED: 1.0, CircuitState.HALF_OPEN: 0.5, CircuitState.OPEN: 0.0}
    for channel, health in status.health.items():
        success.add_metric([channel], health.success_rate)
        usable.add_metric([channel], states[health.circuit])
        grade.add_metric([channel], health.grade)
    yield from (success, usable, grade)
