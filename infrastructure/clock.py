"""The only place that reads the time; market time may run faster than real time in a sandbox."""

import asyncio
import math
import time
from datetime import datetime

from ..domain.server_clock import ServerClock
from ..domain.timestamps import from_seconds


class MarketClock:
    """Market time: the machine's monotonic clock, scaled by the speed that a sandbox announced.

    Invariant: ``monotonic()`` never jumps back, also when the speed changes.
    """

    def __init__(self, *, follows_speed: bool = False) -> None:
        """Start at speed 1; ``follows_speed`` allows a sandbox to change that."""
        self._follows_speed = follows_speed
        self._speed = 1.0
        self._real_anchor = time.monotonic()
        self._market_anchor = self._real_anchor

    @property
    def speed(self) -> float:
        """Market seconds per real second."""
        return self._speed

    def monotonic(self) -> float:
        """Return market seconds since some fixed point."""
        return self._market_anchor + (time.monotonic() - self._real_anchor) * self._speed

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of market time."""
        await asyncio.sleep(self.to_real_s(seconds))

    def to_real_s(self, seconds: float) -> float:
        """Return how many real seconds ``seconds`` of market time take."""
        return max(0.0, seconds) / self._speed

    def follow_speed(self, speed: float) -> None:
        """Run at the speed that a sandbox announced; ignored unless the settings allow it, and if it is no speed."""
        if not self._follows_speed or speed == self._speed or not 0 < speed < math.inf:
            return
        self._market_anchor, self._real_anchor = self.monotonic(), time.monotonic()
        self._speed = speed


class MeasuredServerTime:
    """What the replies of all channels of one venue prove about its clock."""

    def __init__(self, clock: MarketClock) -> None:
        self._clock = clock
        self._measured = ServerClock()
        self._known: tuple[ServerClock, float, datetime | None] | None = None

    @property
    def measured(self) -> ServerClock:
        """The interval itself."""
        return self._measured

    def observe_reply(self, date_s: float, *, sent: float, received: float) -> None:
        """Learn from a reply dated ``date_s``."""
        self._measured = self._measured.observe(date_s, sent=sent, received=received)

    def observe_stamp(self, stamp_s: float, *, received: float) -> None:
        """Learn from the time stamp of a frame."""
        self._measured = self._measured.witness(stamp_s, received=received)

    def earliest(self, at: float | None = None) -> datetime | None:
        """Return the earliest server time at monotonic ``at``."""
        seconds = self._measured.earliest(self._clock.monotonic() if at is None else at)
        return None if seconds is None else from_seconds(seconds)

    def latest(self, at: float | None = None) -> datetime | None:
        """Return the latest server time at monotonic ``at``; each frame that comes alone makes two ask for the same."""
        known = self._known
        if known is not None and known[0] is self._measured and known[1] == at:
            return known[2]
        instant = self._clock.monotonic() if at is None else at
        seconds = self._measured.latest(instant)
        latest = None if seconds is None else from_seconds(seconds)
        self._known = self._measured, instant, latest
        return latest


class VenueTimes:
    """One clock a venue, by the prefix of its symbols: what one venue's replies prove says nothing of another's."""

    def __init__(self, clock: MarketClock) -> None:
        self._clock = clock
        self._known: dict[str, MeasuredServerTime] = {}

    def __call__(self, prefix: str) -> MeasuredServerTime:
        """Return the clock of a venue; the same at each call."""
        if prefix not in self._known:
            self._known[prefix] = MeasuredServerTime(self._clock)
        return self._known[prefix]


def read_wall_clock() -> datetime:
    """Return what this computer believes the time is; for ``doctor`` and names of files, nothing is decided by it."""
    return from_seconds(time.time())


def read_monotonic() -> float:
    """Return real seconds since some fixed point: the same for all processes of this machine until it restarts."""
    return time.monotonic()
