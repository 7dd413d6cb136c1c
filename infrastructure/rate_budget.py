"""The venue's limits per wire group; a request waits here rather than earn a refusal.

Invariant: with J >= largest - smallest delay from send to arrival, at most ``limit`` sends in any
closed window of 1 s + J cannot become ``limit + 1`` in any second at the server, whatever the phase
of its windows.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from attrs import define, field, frozen

from ..domain.ports import Clock

WINDOW_S = 1.0
MEMORY_S = 600.0
SAMPLES_BEFORE_TRUST = 20
SAMPLES_KEPT = 2_000


@frozen(kw_only=True)
class BudgetLimits:
    """Calls per second of a group, and how uncertain delays are assumed to be, in seconds."""

    per_second: int = 10
    least_jitter_s: float = 0.02
    first_jitter_s: float = 0.25


@define
class Jitter:
    """J: the largest less the least round trip of the last ten minutes."""

    limits: BudgetLimits
    _samples: deque[tuple[float, float]] = field(factory=lambda: deque[tuple[float, float]](maxlen=SAMPLES_KEPT))

    def add(self, round_trip_s: float, now: float) -> None:
        """Take one round trip into account."""
        self._samples.append((now, round_trip_s))

    def seconds(self, now: float) -> float:
        """Return J at ``now``."""
        while self._samples and self._samples[0][0] < now - MEMORY_S:
            self._samples.popleft()
        if len(self._samples) < SAMPLES_BEFORE_TRUST:
            return self.limits.first_jitter_s
        trips = [trip for _, trip in self._samples]
        return max(self.limits.least_jitter_s, max(trips) - min(trips))


@define
class GroupBudget:
    """The sends of one group; pure: every method takes the present instant."""

    limit: int
    _sends: deque[float] = field(factory=deque[float])
    _blocked_until: float = 0.0

    def next_send_at(self, now: float, window: float) -> float:
        """Return the earliest instant at which one more send keeps the invariant."""
        while self._sends and self._sends[0] < now - 2 * window:
            self._sends.popleft()
        if len(self._sends) < self.limit:
            return max(now, self._blocked_until)
        return max(now, self._blocked_until, self._sends[-self.limit] + window + 1e-6)

    def record(self, now: float) -> None:
        """Count one send."""
        self._sends.append(now)

    def block(self, until: float) -> None:
        """Send nothing before ``until``."""
        self._blocked_until = max(self._blocked_until, until)

    def correct(self, left: int, now: float, window: float) -> None:
        """Believe the server when it says that less is left: others share our address.

        What others took is counted as sends of our own, so that it ages out by itself.
        """
        ours = sum(1 for sent in self._sends if sent > now - window)
        for _ in range(self.limit - left - ours):
            self._sends.append(now)


class RateBudget:
    """The budget of one address at one venue: the shell that makes callers wait."""

    def __init__(self, limits: BudgetLimits, clock: Clock, on_wait: Callable[[str, float], None] | None = None) -> None:
        """Start with nothing spent; ``on_wait(group, seconds)`` hears of each wait."""
        self._limits = limits
        self._clock = clock
        self._jitter = Jitter(limits)
        self._groups: dict[str, GroupBudget] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._on_wait = on_wait

    def _group(self, group: str) -> GroupBudget:
        return self._groups.setdefault(group, GroupBudget(self._limits.per_second))

    def _window(self, now: float) -> float:
        return WINDOW_S + self._jitter.seconds(now)

    async def wait_for_turn(self, group: str) -> float:
        """Return when a request of ``group`` may be sent, in the order of asking; answers seconds waited."""
        started = self._clock.monotonic()
        async with self._turns.setdefault(group, asyncio.Lock()):
            while (delay := self.delay(group)) > 0:
                await self._clock.sleep(delay)
            now = self._clock.monotonic()
            self._group(group).record(now)
        if self._on_wait is not None:
            self._on_wait(group, now - started)
        return now - started

    def delay(self, group: str) -> float:
        """Return how many seconds a request of ``group`` would have to wait now."""
        now = self._clock.monotonic()
        return self._group(group).next_send_at(now, self._window(now)) - now

    def learn(self, expected: str, group: str, left: int, round_trip_s: float) -> None:
        """Take a ``Remaining-Req`` into account.

        A group that the server names otherwise than we expected is the same group from then on.
        """
        now = self._clock.monotonic()
        self._jitter.add(round_trip_s, now)
        if group != expected and group not in self._groups:
            self._groups[group] = self._group(expected)
        self._group(group).correct(left, now, self._window(now))

    def pause(self, group: str) -> None:
        """Stop a group after a 429, for 1 s + J."""
        now = self._clock.monotonic()
        self._group(group).block(now + self._window(now))

    def stop_all(self, seconds: float, groups: tuple[str, ...]) -> None:
        """Stop every group after a 418."""
        now = self._clock.monotonic()
        for group in {*self._groups, *groups}:
            self._group(group).block(now + seconds)
