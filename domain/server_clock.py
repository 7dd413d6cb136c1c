"""The server's clock as an interval on our monotonic clock; the PC's wall clock plays no part.

Invariant: while server and monotonic clock run at the same speed within 100 ppm, the true server
time at monotonic instant ``m`` lies in ``[earliest(m), latest(m))``.

A reply with ``Date`` D (whole seconds), sent at s and received at r, proves ``server(r) >= D`` and
``server(s) < D + 1``: two bounds of one offset.
"""

from typing import Self

from attrs import evolve, frozen

DRIFT = 100e-6
DATE_RESOLUTION_S = 1.0


@frozen
class ServerClock:
    """Bounds of ``server - monotonic``, in seconds, as they were at ``as_of`` (monotonic).

    Attributes:
        restarts: how often the proofs contradicted each other and measuring began anew.

    """

    low: float = 0.0
    high: float = 0.0
    as_of: float = 0.0
    is_known: bool = False
    restarts: int = 0

    def observe(self, date_s: float, *, sent: float, received: float) -> Self:
        """Return the clock after a reply dated ``date_s`` (epoch seconds)."""
        drift = (received - sent) * DRIFT  # the upper bound was proved at ``sent`` and is told as of ``received``
        low, high = date_s - received, date_s + DATE_RESOLUTION_S - sent + drift
        fresh = evolve(self, low=low, high=high, as_of=received, is_known=True)
        if not self.is_known:
            return fresh
        at = max(self.as_of, received)  # replies may come back in another order than they were sent
        since, ago = self._drift_to(at), (at - received) * DRIFT
        low, high = max(self.low - since, low - ago), min(self.high + since, high + ago)
        if low >= high:
            return evolve(fresh, restarts=self.restarts + 1)
        return evolve(self, low=low, high=high, as_of=at)

    def witness(self, stamp_s: float, *, received: float) -> Self:
        """Return the clock after a frame stamped ``stamp_s``.

        A stamp may raise the lower bound inside the interval only: one microsecond stamp read as
        milliseconds would otherwise finalise everything.
        """
        if not self.is_known:
            return self
        at = max(self.as_of, received)
        drift, offset = self._drift_to(at), stamp_s - received - (at - received) * DRIFT
        if not self.low - drift < offset < self.high + drift:  # nearly always: asked for each frame
            return self
        return evolve(self.widened_to(at), low=offset)

    def earliest(self, at: float) -> float | None:
        """Return the earliest server time (epoch seconds) at monotonic ``at``; None when unknown."""
        return at + self.low - self._drift_to(at) if self.is_known else None

    def latest(self, at: float) -> float | None:
        """Return the latest server time (epoch seconds) at monotonic ``at``; None when unknown."""
        return at + self.high + self._drift_to(at) if self.is_known else None

    def widened_to(self, at: float) -> Self:
        """Return the interval as it must be taken at another instant: both clocks may have drifted since."""
        drift = self._drift_to(at)
        return evolve(self, low=self.low - drift, high=self.high + drift, as_of=max(at, self.as_of))

    def _drift_to(self, at: float) -> float:
        return abs(at - self.as_of) * DRIFT
