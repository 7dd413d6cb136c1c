"""Plans: which channels will be asked, for what, at what cost, and why; afterwards, what happened."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from attrs import evolve, field, frozen

from .capabilities import Capabilities


def _read_only(figures: Mapping[str, float]) -> Mapping[str, float]:
    return MappingProxyType(dict(figures))


class Holding(StrEnum):
    """How much of a request a channel holds already, without asking anybody."""

    NOTHING = "nothing"
    PART = "part"
    WHOLE = "whole"


@frozen(kw_only=True)
class Held:
    """What a channel holds of one request; ``missing_slots`` is None when nobody can tell beforehand."""

    extent: Holding = Holding.NOTHING
    missing_slots: int | None = None


class CircuitState(StrEnum):
    """Whether a channel may be asked."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@frozen(kw_only=True)
class ChannelHealth:
    """How a channel did in its last 100 outcomes.

    Attributes:
        success_rate: 0 to 1; 1 before the first outcome.
        latency_ms: latency percentiles of successful outcomes, by their name (p50, p90, p99).
        outcomes: how many outcomes the figures rest on.
        circuit: whether the channel may be asked.
        since: monotonic instant (seconds) of the circuit's last change.
        rejected: malformed items that were dropped, in all.
        last_error: what went wrong last, on one line.

    """

    success_rate: float = 1.0
    latency_ms: Mapping[str, float] = field(factory=dict[str, float], converter=_read_only)
    outcomes: int = 0
    circuit: CircuitState = CircuitState.CLOSED
    since: float = 0.0
    rejected: int = 0
    last_error: str = ""


@frozen(kw_only=True)
class ChannelView:
    """What a policy may know of one channel when it makes a plan.

    Attributes:
        followed: symbols with kinds (``candle.1m:KRW-BTC``) that a witnessed life delivers now.
        holding: how much of the request at hand it holds already.

    """

    name: str
    capabilities: Capabilities
    health: ChannelHealth = ChannelHealth()
    followed: frozenset[str] = frozenset()
    holding: Held = Held()

    @property
    def is_usable(self) -> bool:
        """Whether the circuit lets a request through."""
        return self.health.circuit is not CircuitState.OPEN


STREAM, POLL, REFRESH = "stream", "poll", "refresh"
"""What a step of a plan for a live request does; ``stream 1m`` streams another timeframe than the one followed."""


class StepStatus(StrEnum):
    """What became of one step of a plan."""

    PLANNED = "planned"
    SERVED = "served"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen(kw_only=True)
class RouteStep:
    """One channel in the plan's order.

    Attributes:
        calls: how many calls the step is expected to cost, or has cost once it was taken.
        rows: how many rows it answered with.
        retries: how many of its calls were repeated.
        latency_ms: from the step's start to its end.
        waited_ms: what part of that was spent waiting for the budget.
        joins_next: the channel gives its part to the answer of the step below, and nothing alone.

    """

    channel: str
    action: str
    reason: str
    calls: int = 0
    status: StepStatus = StepStatus.PLANNED
    rows: int = 0
    retries: int = 0
    latency_ms: float = 0.0
    waited_ms: float = 0.0
    error: str = ""
    joins_next: bool = False


@frozen(kw_only=True)
class RoutePlan:
    """The order in which channels are asked, and why; as ``trace`` of an answer, what happened.

    ``print(plan)`` shows it as a table.
    """

    request: str
    policy: str
    rule: str
    reason: str
    steps: tuple[RouteStep, ...]
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names in the order in which they are asked."""
        return tuple(step.channel for step in self.steps)

    @property
    def calls(self) -> int:
        """Calls of the first channel before the request, of all channels after it."""
        taken = [step for step in self.steps if step.status is not StepStatus.PLANNED]
        first = next((number for number, step in enumerate(self.steps) if not step.joins_next), 0)
        return sum(step.calls for step in taken or self.steps[: first + 1])

    @property
    def served_by(self) -> tuple[str, ...]:
        """The channels that answered."""
        return tuple(step.channel for step in self.steps if step.status is StepStatus.SERVED)

    def with_step(self, index: int, step: RouteStep) -> Self:
        """Return the plan with one step replaced by what happened."""
        return evolve(self, steps=(*self.steps[:index], step, *self.steps[index + 1 :]))

    def with_note(self, note: str) -> Self:
        """Return the plan with one more remark."""
        return evolve(self, notes=(*self.notes, note))

    def __str__(self) -> str:
        """Lay the plan out as a table that a person reads."""
        head = ("", "channel", "what", "calls", "status", "rows", "ms", "why")
        rows = [head, *(_row(number, step) for number, step in enumerate(self.steps, start=1))]
        notes = "".join(f"\n  note: {note}" for note in self.notes)
        title = f"{self.request}\n  rule: {self.rule} ({self.policy}), because {self.reason}"
        return f"{title}\n{_table(rows)}{notes}"


def _row(number: int, step: RouteStep) -> tuple[str, ...]:
    taken = step.status in {StepStatus.SERVED, StepStatus.FAILED}
    return (
        f"{number}.",
        step.channel,
        step.action,
        str(step.calls),
        step.status.value,
        str(step.rows) if taken else "-",
        f"{step.latency_ms:.0f}" if taken else "-",
        step.error or step.reason,
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"  {line.rstrip()}" for line in lines)
