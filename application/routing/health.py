"""How well each channel does; pure: the clock and what is drawn are passed in."""

from collections import deque
from collections.abc import Mapping
from math import ceil

from attrs import define, field, frozen

from ...domain.backoff import Backoff
from ...domain.routing import ChannelHealth, CircuitState, Grade

OUTCOMES_KEPT = 100
FAILURES_IN_A_ROW = 3
MIN_OUTCOMES = 5
PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
JITTER = 0.1
"""A probe comes up to a tenth of the cool-down later, so that many clients do not probe at one instant."""

MAX_COOL_DOWNS = 8
ROUNDING_S = 1e-6


@frozen
class Outcome:
    """One request or one life of a stream: how long it took and whether it succeeded."""

    latency_ms: float
    success: bool


def percentile(sorted_values: list[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted values; 0 of none."""
    return sorted_values[max(0, ceil(len(sorted_values) * share) - 1)] if sorted_values else 0.0


@frozen
class Threshold:
    """A grade is entered beyond its bounds, and left only well inside them."""

    least_rate: float
    most_ms: float

    def is_crossed(self, rate: float, p90_ms: float, *, leaving: bool) -> bool:
        """Return whether the figures call for the grade; ``leaving`` asks whether they still do."""
        margin = (1.0 - self.least_rate) * 0.4 if leaving else 0.0
        return rate < self.least_rate + margin or p90_ms > self.most_ms * (0.75 if leaving else 1.0)


THRESHOLDS = {Grade.POOR: Threshold(0.80, 5000.0), Grade.DEGRADED: Threshold(0.95, 2000.0)}


def grade_of(before: Grade, rate: float, p90_ms: float, outcomes: int) -> Grade:
    """Return the grade of a channel whose circuit is closed.

    Invariant: a channel whose figures stay between a bound and its margin keeps the grade that it has.
    """
    if outcomes < MIN_OUTCOMES:
        return Grade.GOOD if before is Grade.OUT else before
    for grade, threshold in THRESHOLDS.items():
        if threshold.is_crossed(rate, p90_ms, leaving=before >= grade):
            return grade
    return Grade.GOOD


@define
class ChannelPerformance:
    """The last 100 outcomes of one channel, its grade, and the state of its circuit.

    CLOSED → OPEN after three failures in a row, or at once on a report from outside; OPEN →
    HALF_OPEN when the cool-down is over, which lets one request through at a time; HALF_OPEN → CLOSED on
    a success, → OPEN on a failure, for twice as long as before (at most eight times, until it has closed).
    """

    cool_down_s: float = 30.0
    rejected: int = 0
    _outcomes: deque[Outcome] = field(factory=lambda: deque[Outcome](maxlen=OUTCOMES_KEPT))
    _failures: int = 0
    _probe_at: float | None = None
    _reopened: int = 0
    _is_probing: bool = False
    _since: float = 0.0
    _last_error: str = ""
    _grade: Grade = Grade.GOOD
    _figures: tuple[float, Mapping[str, float]] = field(init=False)
    _known: tuple[tuple[object, ...], ChannelHealth] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        """Begin with the figures of no outcome."""
        self._figures = self._measure()

    def record(self, latency_ms: float, *, success: bool, now: float, error: str = "", draw: float = 0.0) -> None:
        """Take one outcome into account; ``draw`` in [0, 1) says when the next probe may come.

        What began before the circuit let anything through again says nothing about now.
        """
        self._outcomes.append(Outcome(latency_ms, success))
        self._figures = rate, latencies = self._measure()
        is_probe = self._probe_at is not None and now - latency_ms / 1000 >= self._probe_at - ROUNDING_S
        self._judge(now, draw, success=success, is_probe=is_probe)
        self._last_error = self._last_error if success else error
        self._grade = grade_of(self._grade, rate, latencies["p90"], len(self._outcomes))

    def report(self, latency_ms: float, *, success: bool, now: float, draw: float = 0.0) -> None:
        """Take an outcome that somebody outside saw; a failure opens the circuit at once."""
        fingerprint = "" if success else "reported from outside"
        if success and self.state(now) is CircuitState.HALF_OPEN:
            self._close(now)
        self.record(latency_ms, success=success, now=now, error=fingerprint, draw=draw)
        if not success and self.state(now) is not CircuitState.OPEN:
            self._open(now, draw)

    def _judge(self, now: float, draw: float, *, success: bool, is_probe: bool) -> None:
        state = self.state(now)
        self._failures = 0 if success else self._failures + 1
        if state is CircuitState.HALF_OPEN and is_probe and success:
            self._close(now)
        elif state is CircuitState.HALF_OPEN and is_probe:
            self._reopened += 1
            self._open(now, draw)
        elif state is CircuitState.CLOSED and self._failures >= FAILURES_IN_A_ROW:
            self._open(now, draw)

    def begin_probe(self, now: float) -> bool:
        """Note that a request is on its way; answers whether it is the one that a half-open circuit lets through.

        Only that one calls ``end_probe``.
        """
        if self._is_probing or self.state(now) is not CircuitState.HALF_OPEN:
            return False
        self._is_probing = True
        return True

    def end_probe(self) -> None:
        """Note that the probe has ended, however: the next request may be one."""
        self._is_probing = False

    def _open(self, now: float, draw: float) -> None:
        backoff = Backoff(first_s=self.cool_down_s, longest_s=self.cool_down_s * MAX_COOL_DOWNS)
        self._probe_at = now + backoff.delay_s(self._reopened) * (1 + JITTER * draw)
        self._since = now

    def _close(self, now: float) -> None:
        self._probe_at, self._since, self._reopened = None, now, 0

    def state(self, now: float) -> CircuitState:
        """Return the circuit's state at ``now``."""
        if self._probe_at is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self._probe_at else CircuitState.HALF_OPEN

    def _measure(self) -> tuple[float, Mapping[str, float]]:
        """Return the success rate and the percentiles; with each outcome, because each request asks for them."""
        good = sorted([outcome.latency_ms for outcome in self._outcomes if outcome.success])
        rate = len(good) / len(self._outcomes) if self._outcomes else 1.0
        return rate, {name: percentile(good, share) for name, share in PERCENTILES.items()}

    def health(self, now: float) -> ChannelHealth:
        """Return the figures as they stand: the same object while they are the same."""
        (rate, latency_ms), circuit = self._figures, self.state(now)
        grade = Grade.OUT if circuit is CircuitState.OPEN else self._grade
        fingerprint = (
            self._figures,
            len(self._outcomes),
            circuit,
            grade,
            self._is_probing,
            self._since,
            self.rejected,
            self._last_error,
        )
        if self._known is None or fingerprint != self._known[0]:
            self._known = (
                fingerprint,
                ChannelHealth(
                    success_rate=rate,
                    latency_ms=latency_ms,
                    outcomes=len(self._outcomes),
                    circuit=circuit,
                    grade=grade,
                    is_probing=self._is_probing,
                    since=self._since,
                    rejected=self.rejected,
                    last_error=self._last_error,
                ),
            )
        return self._known[1]
