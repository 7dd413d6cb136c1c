"""Plans: which channels will be asked, for what, at what cost, and why; afterwards, what happened."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Self, TypeVar

from attrs import evolve, field, frozen

from .capabilities import Capabilities
from .timestamps import to_text

REST, WEBSOCKET, CACHE = "rest", "websocket", "cache"
STALE = "stale: nobody could be asked for what is not held; the gaps say what lacks"
INCOMPLETE = "incomplete, the rest failed"
Item = TypeVar("Item")


class SeamVerdict(StrEnum):
    """How far a joint has been checked."""

    PENDING = "PENDING"
    """The coverages touch, nothing has been compared yet."""
    PROVEN = "PROVEN"
    """The first slot that both sources saw is equal."""
    REPAIRED = "REPAIRED"
    """It differed; the REST view won."""
    UNPROVEN = "UNPROVEN"
    """The sources do not touch."""


@frozen(kw_only=True)
class Seam:
    """One joint between an older and a newer source."""

    at: datetime
    older: str
    newer: str
    verdict: SeamVerdict
    detail: str = ""


def _read_only(figures: Mapping[str, float]) -> Mapping[str, float]:
    return MappingProxyType(dict(figures))


class Extent(StrEnum):
    """How much of a request a channel holds already, without asking anybody."""

    NOTHING = "nothing"
    PART = "part"
    WHOLE = "whole"


@frozen(kw_only=True)
class Holdings:
    """What a channel holds of one request.

    Attributes:
        missing_slots: None when nobody can tell beforehand.
        lacks_only_tip: of what was asked for, only the slot that is open now is missing.

    """

    extent: Extent = Extent.NOTHING
    missing_slots: int | None = None
    lacks_only_tip: bool = False


class CircuitState(StrEnum):
    """Whether a channel may be asked."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Grade(IntEnum):
    """How well a channel does, better ones first."""

    GOOD = 0
    DEGRADED = 1
    POOR = 2
    OUT = 3

    def __str__(self) -> str:
        """Print the name: numbers mean nothing to a reader."""
        return self.name


@frozen(kw_only=True)
class ChannelHealth:
    """How a channel did in its last 100 outcomes.

    Attributes:
        grade: what the figures amount to; it does not change back at once, so that nothing flaps.
        success_rate: 0 to 1; 1 before the first outcome.
        latency_ms: latency percentiles of successful outcomes, by their name (p50, p90, p99).
        outcomes: how many outcomes the figures rest on.
        circuit: whether the channel may be asked.
        is_probing: the one request that a half-open circuit lets through is on its way.
        since: monotonic instant (seconds) of the circuit's last change.
        rejected: malformed items that were dropped, in all.
        last_error: what went wrong last, on one line.

    """

    success_rate: float = 1.0
    latency_ms: Mapping[str, float] = field(factory=dict[str, float], converter=_read_only)
    outcomes: int = 0
    circuit: CircuitState = CircuitState.CLOSED
    grade: Grade = Grade.GOOD
    is_probing: bool = False
    since: float = 0.0
    rejected: int = 0
    last_error: str = ""


@frozen(kw_only=True)
class ChannelView:
    """What a policy may know of one channel when it makes a plan.

    Attributes:
        followed: symbols with kinds (``candle.1m:KRW-BTC``) that a witnessed life delivers now.
        holding: how much of the request at hand it holds already.
        tips_served: how often it was chosen to serve a forming tip that both channels can give.

    """

    name: str
    capabilities: Capabilities
    health: ChannelHealth = ChannelHealth()
    followed: frozenset[str] = frozenset()
    holding: Holdings = Holdings()
    tips_served: int = 0

    @property
    def is_usable(self) -> bool:
        """Whether the circuit lets a request through."""
        health = self.health
        return health.circuit is CircuitState.CLOSED or (
            health.circuit is CircuitState.HALF_OPEN and not health.is_probing
        )


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
        serves_tip: the channel was chosen in turn to give the forming candle that another could give as well.

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
    serves_tip: bool = False


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
    seams: tuple[Seam, ...] = ()

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
        head = ("", "channel", "what", "calls", "status", "rows", "waited", "ms", "why")
        rows = [head, *(_row(number, step) for number, step in enumerate(self.steps, start=1))]
        remarks = [f"note: {note}" for note in self.notes]
        remarks += [f"seam at {to_text(seam.at)}: {seam.older} | {seam.newer} {seam.verdict}" for seam in self.seams]
        title = f"{self.request}\n  rule: {self.rule} ({self.policy}), because {self.reason}"
        return "\n  ".join((f"{title}\n{_table(rows)}", *remarks))


def _row(number: int, step: RouteStep) -> tuple[str, ...]:
    taken = step.status in {StepStatus.SERVED, StepStatus.FAILED}
    return (
        f"{number}.",
        step.channel,
        step.action,
        str(step.calls),
        step.status.value,
        str(step.rows) if taken else "-",
        f"{step.waited_ms:.0f}" if taken else "-",
        f"{step.latency_ms:.0f}" if taken else "-",
        step.error or step.reason,
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"  {line.rstrip()}" for line in lines)


class TracedList(list[Item]):
    """A list that knows which channels were asked for it, and why.

    Attributes:
        trace: the plan, filled with what happened.

    """

    def __init__(self, items: Iterable[Item], trace: RoutePlan) -> None:
        """Hold ``items``."""
        super().__init__(items)
        self.trace = trace
