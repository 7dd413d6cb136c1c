"""What is held of one series, slot by slot: how much, where the holes are, and why."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from attrs import frozen

from .coverage import ExplainedRange, Reason
from .ledger import SeriesKey
from .time_range import TimeRange, clip

CANDLES, QUIET, PROVISIONAL, HOLE = "█", "·", "▒", "x"
LEGEND = (
    f"{CANDLES} candles  {QUIET} known to be empty  {PROVISIONAL} watched, not confirmed  {HOLE} something is unknown"
)


@frozen(kw_only=True)
class CoverageReport:
    """The ledger of one series inside ``span``.

    Attributes:
        rows: FINAL candles that are held.
        slots: how many slots the span has.
        proven: ranges in which every slot is known.
        provisional: ranges that a stream watched and no later page has confirmed.
        quiet: ranges that are known to hold no candle, with the reason.
        gaps: ranges of which nothing is known, with the reason.
        verified_at: when held pages were last compared with the venue.

    """

    key: SeriesKey
    span: TimeRange
    rows: int
    slots: int
    proven: tuple[TimeRange, ...] = ()
    provisional: tuple[TimeRange, ...] = ()
    quiet: tuple[ExplainedRange, ...] = ()
    gaps: tuple[ExplainedRange, ...] = ()
    verified_at: datetime | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every slot is known."""
        return not self.gaps

    def slots_by_reason(self) -> dict[Reason, int]:
        """Return how many slots without a candle there are for each reason."""
        counts: dict[Reason, int] = {}
        for part in (*self.quiet, *self.gaps):
            counts[part.reason] = counts.get(part.reason, 0) + self.key.timeframe.count_slots(part.span)
        return counts

    def strip(self, width: int = 72) -> str:
        """Draw the span as one line of at most ``width`` cells; a cell shows the worst of its slots."""
        cells = min(width, self.slots)
        step = (self.span.end - self.span.start) / cells if cells else timedelta()
        bounds = [self.span.start + step * number for number in range(cells)] + [self.span.end]
        return "".join(self._cell(TimeRange(*pair)) for pair in pairwise(bounds))

    def _cell(self, part: TimeRange) -> str:
        if _share(self.gaps, part):
            watched = clip(self.provisional, part)
            unknown = clip((gap.span for gap in self.gaps), part)
            return PROVISIONAL if all(clip(watched, span) == (span,) for span in unknown) else HOLE
        return QUIET if _share(self.quiet, part) >= part.end - part.start else CANDLES


def _share(parts: Iterable[ExplainedRange], window: TimeRange) -> timedelta:
    found = clip((part.span for part in parts), window)
    return sum((span.end - span.start for span in found), timedelta())


def merge_explained(parts: Iterable[ExplainedRange]) -> tuple[ExplainedRange, ...]:
    """Return neighbours of one reason as one range; ``parts`` come in time order."""
    merged: list[ExplainedRange] = []
    for part in parts:
        if merged and merged[-1].end == part.start and merged[-1].reason is part.reason:
            merged[-1] = ExplainedRange(merged[-1].start, part.end, part.reason)
        else:
            merged.append(part)
    return tuple(merged)


@frozen(kw_only=True)
class Completeness:
    """What became of the slots of a series: each was received, or is known to be empty, or is not known.

    Invariant: ``expected == received + quiet + unknown``.
    """

    expected: int = 0
    received: int = 0
    quiet: int = 0
    unknown: int = 0

    def __add__(self, other: "Completeness") -> "Completeness":
        """Return both together."""
        return Completeness(
            expected=self.expected + other.expected,
            received=self.received + other.received,
            quiet=self.quiet + other.quiet,
            unknown=self.unknown + other.unknown,
        )

    def by_state(self) -> Iterator[tuple[str, int]]:
        """Yield each figure with its name."""
        yield from (
            ("expected", self.expected),
            ("received", self.received),
            ("quiet", self.quiet),
            ("unknown", self.unknown),
        )
