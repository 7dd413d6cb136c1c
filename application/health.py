"""How well each channel does; pure, the clock is passed in."""

from collections import deque
from math import ceil

from attrs import define, field, frozen

from ..domain.routing import ChannelHealth, CircuitState

OUTCOMES_KEPT = 100
FAILURES_IN_A_ROW = 3
PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99}


@frozen
class Outcome:
    """One request or one life of a stream: how long it took and whether it succeeded."""

    latency_ms: float
    success: bool


def percentile(sorted_values: list[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted values; 0 of none."""
    return sorted_values[max(0, ceil(len(sorted_values) * share) - 1)] if sorted_values else 0.0


@define
class ChannelPerformance:
    """The last 100 outcomes of one channel, and the state of its circuit.

    CLOSED → OPEN after three failures in a row, or at once on a report from outside; OPEN →
    HALF_OPEN when the cool-down is over; HALF_OPEN → CLOSED on a success, → OPEN on a failure.
    """

    cool_down_s: float = 30.0
    rejected: int = 0
    _outcomes: deque[Outcome] = field(factory=lambda: deque[Outcome](maxlen=OUTCOMES_KEPT))
    _failures: int = 0
    _opened_at: float | None = None
    _since: float = 0.0
    _last_error: str = ""

    def record(self, latency_ms: float, *, success: bool, now: float, error: str = "") -> None:
        """Take one outcome into account."""
        self._outcomes.append(Outcome(latency_ms, success))
        if success:
            self._failures = 0
            self._close(now)
            return
        self._last_error = error
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW or self.state(now) is CircuitState.HALF_OPEN:
            self._open(now)

    def report(self, latency_ms: float, *, success: bool, now: float) -> None:
        """Take an outcome that somebody outside saw; a failure opens the circuit at once."""
        self.record(latency_ms, success=success, now=now, error="" if success else "reported from outside")
        if not success:
            self._open(now)

    def _open(self, now: float) -> None:
        self._opened_at = self._since = now

    def _close(self, now: float) -> None:
        if self._opened_at is not None and self.state(now) is not CircuitState.OPEN:
            self._opened_at, self._since = None, now

    def state(self, now: float) -> CircuitState:
        """Return the circuit's state at ``now``."""
        if self._opened_at is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self._opened_at + self.cool_down_s else CircuitState.HALF_OPEN

    def health(self, now: float) -> ChannelHealth:
        """Return the figures as they stand."""
        good = sorted(outcome.latency_ms for outcome in self._outcomes if outcome.success)
        return ChannelHealth(
            success_rate=len(good) / len(self._outcomes) if self._outcomes else 1.0,
            latency_ms={name: percentile(good, share) for name, share in PERCENTILES.items()},
            outcomes=len(self._outcomes),
            circuit=self.state(now),
            since=self._since,
            rejected=self.rejected,
            last_error=self._last_error,
        )
