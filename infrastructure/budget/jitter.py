"""J: how uncertain the delay from send to arrival is. Pure."""

import math
from collections import deque

from attrs import define, field, frozen

MEMORY_S = 600.0
SPAN_S = 5.0
SAMPLES_BEFORE_TRUST = 8
RECENT = 64
"""Round trips of which the median is taken."""
SHORTFALL = 6.0
"""How many times the median excess, over the root of their number, round trips may all have lain above the least."""


@frozen(kw_only=True)
class BudgetLimits:
    """Calls and connects per second, and how uncertain delays are assumed to be, in market seconds."""

    per_second: int = 10
    connects_per_second: int = 5
    least_jitter_s: float = 0.02
    first_jitter_s: float = 0.25


@define
class Jitter:
    """J, judged by round trips: what stands for the lateness of calls that are on their way.

    J is the largest excess over the least round trip of the last ten minutes; an excess loses its
    weight evenly over these ten minutes, so that one slow answer does not throttle for long. The spread
    of n samples falls short of the true one: evenly spread delays make it (n - 1)/(n + 1) of that on
    average, so that it is stretched by the inverse. Before eight samples J is an assumption.

    All instants and durations are real seconds; ``market_second_s`` is how many of them make a market second.
    """

    _spans: deque["_Span"] = field(factory=deque["_Span"])
    _recent: deque[float] = field(factory=lambda: deque[float](maxlen=RECENT))

    def add(self, round_trip_s: float, now: float, market_second_s: float = 1.0) -> None:
        """Take one round trip into account."""
        if not self._spans or now - self._spans[-1].began_at >= SPAN_S * market_second_s:
            self._spans.append(_Span(now, round_trip_s, round_trip_s))
        span = self._spans[-1]
        span.least, span.largest = min(span.least, round_trip_s), max(span.largest, round_trip_s)
        span.count += 1
        self._recent.append(round_trip_s)

    def seconds(self, limits: BudgetLimits, now: float, market_second_s: float = 1.0) -> float:
        """Return J at ``now``."""
        measured = self._measured(now, market_second_s)
        return max(measured, (limits.least_jitter_s if self.is_trusted else limits.first_jitter_s) * market_second_s)

    def least_possible_s(self) -> float:
        """Return what a round trip takes at the least, in real seconds, whether it was seen or not.

        Delays that vary evenly on both ways come as near to their least as 1/sqrt(n) of their median excess, of n
        samples, and seldom miss it by more than some times that.
        """
        median = sorted(self._recent)[len(self._recent) // 2] if self._recent else 0.0
        return self.least_s - SHORTFALL * max(0.0, median - self.least_s) / math.sqrt(max(1, self._count()))

    @property
    def is_trusted(self) -> bool:
        """Whether enough round trips were seen to believe their spread."""
        return self._count() >= SAMPLES_BEFORE_TRUST

    @property
    def least_s(self) -> float:
        """The least round trip, in real seconds; 0 before there is one."""
        return min((span.least for span in self._spans), default=0.0)

    def _count(self) -> int:
        return sum(span.count for span in self._spans)

    def _measured(self, now: float, market_second_s: float) -> float:
        memory = MEMORY_S * market_second_s
        while self._spans and self._spans[0].began_at < now - memory:
            self._spans.popleft()
        count = self._count()
        # One sample has no spread, and the factor below no value.
        if count <= 1:
            return 0.0
        least = self.least_s
        # By span, not by sample: ten minutes of ten calls a second would be 6,000 of them at each pace.
        excess = max((span.largest - least) * (1 - (now - span.began_at) / memory) for span in self._spans)
        return excess * (count + 1) / (count - 1)


@define
class _Span:
    """The extremes of the round trips of a few seconds."""

    began_at: float
    least: float
    largest: float
    count: int = 0
