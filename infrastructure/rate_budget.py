"""The venue's limits per wire group; a request waits here rather than earn a refusal.

Invariant: with J >= largest - smallest delay from send to arrival, at most ``limit`` sends in any
closed window of 1 s + J cannot become ``limit + 1`` in any second at the server, whatever the phase
of its windows.
"""

import asyncio
import math
from bisect import insort
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from attrs import define, field, frozen

from ..domain.ports import Clock

WINDOW_S = 1.0
MEMORY_S = 600.0
SAMPLES_BEFORE_TRUST = 20
SPAN_S = 5.0
ASK_AGAIN_S = 0.02


@frozen(kw_only=True)
class BudgetLimits:
    """Calls per second of a group, and how uncertain delays are assumed to be, in seconds."""

    per_second: int = 10
    least_jitter_s: float = 0.02
    first_jitter_s: float = 0.25


@define
class Jitter:
    """J: how uncertain the delay from send to arrival is, judged by round trips.

    J is the largest excess over the least round trip of the last ten minutes; an excess loses its
    weight evenly over these ten minutes, so that one slow answer does not throttle for long.
    """

    limits: BudgetLimits
    _spans: deque["_Span"] = field(factory=deque["_Span"])

    def add(self, round_trip_s: float, now: float) -> None:
        """Take one round trip into account."""
        if not self._spans or now - self._spans[-1].began_at >= SPAN_S:
            self._spans.append(_Span(now, round_trip_s, round_trip_s))
        span = self._spans[-1]
        span.least, span.largest = min(span.least, round_trip_s), max(span.largest, round_trip_s)
        span.count += 1

    def seconds(self, now: float) -> float:
        """Return J at ``now``."""
        while self._spans and self._spans[0].began_at < now - MEMORY_S:
            self._spans.popleft()
        if sum(span.count for span in self._spans) < SAMPLES_BEFORE_TRUST:
            return self.limits.first_jitter_s
        least = min(span.least for span in self._spans)
        excesses = ((span.largest - least) * (1 - (now - span.began_at) / MEMORY_S) for span in self._spans)
        return max(self.limits.least_jitter_s, *excesses)


@define
class _Span:
    """The extremes of the round trips of a few seconds."""

    began_at: float
    least: float
    largest: float
    count: int = 0


@define
class GroupBudget:
    """The sends of one group; pure: every method takes the present instant."""

    limit: int
    sends: list[float] = field(factory=list[float])
    blocked_until: float = 0.0

    def next_send_at(self, now: float, window: float) -> float:
        """Return the earliest instant at which one more send keeps the invariant.

        While a place is taken by a request whose bytes are not written yet, nobody can know: the answer
        is then a little later than now, when to ask again.
        """
        if len(self.sends) < self.limit:
            return max(now, self.blocked_until)
        decisive = self.sends[-self.limit]
        free_at = now + ASK_AGAIN_S if math.isinf(decisive) else decisive + window + 1e-6
        return max(now, self.blocked_until, free_at)

    def record(self, now: float) -> None:
        """Count one send."""
        insort(self.sends, now)
        del self.sends[: -2 * self.limit]

    def reserve(self) -> None:
        """Count a send whose instant is not known yet: it may happen at any time from now on."""
        self.record(math.inf)

    def settle(self, sent_at: float) -> None:
        """Say when a reserved send happened."""
        self.sends.pop()
        self.record(sent_at)

    def block(self, until: float) -> None:
        """Send nothing before ``until``."""
        self.blocked_until = max(self.blocked_until, until)

    def blocked_for(self, now: float) -> float:
        """Return how many seconds nothing may be sent at all."""
        return max(0.0, self.blocked_until - now)

    def correct(self, left: int, sent_at: float, window: float) -> None:
        """Believe the server when it says that less was left when our request arrived: others share our address.

        What others took is counted as sends of our own at ``sent_at``, so that it ages out by itself.
        """
        ours = sum(1 for sent in self.sends if sent_at - window < sent <= sent_at + window - WINDOW_S)
        for _ in range(self.limit - left - ours):
            self.record(sent_at)

    def absorb(self, other: "GroupBudget") -> None:
        """Count what another name of the same group has sent."""
        self.sends = sorted([*self.sends, *other.sends])[-2 * self.limit :]
        self.blocked_until = max(self.blocked_until, other.blocked_until)


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
        """Return when a request of ``group`` may be sent, in the order of asking; answers seconds waited.

        The send is taken to happen at once; see ``turn`` for one that needs a connection first.
        """
        waited = await self._reserved(group)
        self._group(group).settle(self._clock.monotonic())
        return waited

    @asynccontextmanager
    async def turn(self, group: str) -> AsyncGenerator[Callable[[], None]]:
        """Wait for a turn; inside, call what is given whenever a request's bytes have been written.

        Until then the place counts as a send that may still happen: a handshake takes its time, and
        the server counts arrivals. A request that was abandoned unwritten counts as sent.
        """
        await self._reserved(group)
        is_settled = False

        def written() -> None:
            nonlocal is_settled
            now = self._clock.monotonic()
            (self._group(group).record if is_settled else self._group(group).settle)(now)
            is_settled = True

        try:
            yield written
        finally:
            if not is_settled:
                written()

    async def _reserved(self, group: str) -> float:
        started = self._clock.monotonic()
        async with self._turns.setdefault(group, asyncio.Lock()):
            while (delay := self.delay(group)) > 0:
                await self._clock.sleep(delay)
            self._group(group).reserve()
        waited = self._clock.monotonic() - started
        if self._on_wait is not None:
            self._on_wait(group, waited)
        return waited

    def delay(self, group: str) -> float:
        """Return how many seconds a request of ``group`` would have to wait now."""
        now = self._clock.monotonic()
        return self._group(group).next_send_at(now, self._window(now)) - now

    def blocked_for(self, group: str) -> float:
        """Return how many seconds a refusal stops ``group`` altogether."""
        return self._group(group).blocked_for(self._clock.monotonic())

    def learn(
        self, expected: str, group: str, left: int, round_trip_s: float, *, per_second: int | None = None
    ) -> None:
        """Take a ``Remaining-Req`` of a reply that has just arrived into account.

        A group that the server names otherwise than we expected is that group from then on, with the
        server's limit if that is tighter than ours.
        """
        now = self._clock.monotonic()
        self._jitter.add(round_trip_s, now)
        if group != expected:
            self._rename(expected, group)
        budget = self._group(group)
        if per_second is not None:
            budget.limit = max(1, min(self._limits.per_second, per_second))
        budget.correct(left, now - round_trip_s, self._window(now))

    def _rename(self, expected: str, group: str) -> None:
        ours, theirs = self._group(expected), self._groups.get(group)
        if theirs is None:
            self._groups[group] = ours
        elif theirs is not ours:
            theirs.absorb(ours)
            self._groups[expected] = theirs

    def pause(self, group: str) -> None:
        """Stop a group after a 429, for 1 s + J."""
        now = self._clock.monotonic()
        self._group(group).block(now + self._window(now))

    def stop_all(self, seconds: float, groups: tuple[str, ...]) -> None:
        """Stop every group after a 418."""
        now = self._clock.monotonic()
        for group in {*self._groups, *groups}:
            self._group(group).block(now + seconds)
