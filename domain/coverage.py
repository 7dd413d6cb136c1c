"""In which ranges every slot is known, and why a slot has no candle.

A slot without a trade has no candle: a fact about the market, not a hole. What separates the two
is *coverage*: ranges in which the absence of a candle is proven.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from attrs import evolve, field, frozen

from .time_range import TimeRange, clip, subtract, unite
from .timeframe import Timeframe
from .timestamps import MICROSECOND, from_micros, to_micros


class Reason(StrEnum):
    """Why a slot has no candle. The first three are knowledge, the rest is the lack of it."""

    NO_TRADE = "NO_TRADE"
    OUTAGE = "OUTAGE"
    BEFORE_LISTING = "BEFORE_LISTING"
    BEYOND_RETENTION = "BEYOND_RETENTION"
    DELISTED = "DELISTED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_known_empty(self) -> bool:
        """Whether it is certain that no candle exists."""
        return self in {Reason.NO_TRADE, Reason.OUTAGE, Reason.BEFORE_LISTING}


@frozen
class ExplainedRange:
    """Slots without candles, and why."""

    start: datetime
    end: datetime
    reason: Reason

    @property
    def span(self) -> TimeRange:
        """The range without its reason."""
        return TimeRange(self.start, self.end)


@frozen(kw_only=True)
class Coverage:
    """What is known of the range that was asked for.

    Attributes:
        asked: the range of the question; gaps are told inside it only.
        proven: disjoint ranges in which every slot is known.
        provisional: ranges that a live stream watched but no later REST page has confirmed.
        explained: ranges without candles that have a reason of their own.
        claimed_beginning: the source answered a short page and so *claims* that nothing is older
            than this; it takes a second read to prove it.

    """

    asked: TimeRange
    proven: tuple[TimeRange, ...] = field(default=(), converter=unite)
    provisional: tuple[TimeRange, ...] = field(default=(), converter=unite)
    explained: tuple[ExplainedRange, ...] = ()
    claimed_beginning: datetime | None = None

    def __attrs_post_init__(self) -> None:
        """Keep explained ranges in time order."""
        object.__setattr__(self, "explained", tuple(sorted(self.explained, key=lambda part: part.start)))

    @classmethod
    def nothing(cls, at: datetime) -> Self:
        """Return the coverage of an empty question."""
        return cls(asked=TimeRange(at, at))

    def join(self, other: Self) -> Self:
        """Return what both know together; the question becomes the range that spans both."""
        asked = TimeRange(min(self.asked.start, other.asked.start), max(self.asked.end, other.asked.end))
        if not self.asked or not other.asked:
            asked = self.asked or other.asked
        older, newer = (self, other) if self.asked.start <= other.asked.start else (other, self)
        is_tie = older.asked.start == newer.asked.start  # an empty page below a full one begins where that begins
        return evolve(
            self,
            asked=asked,
            proven=(*self.proven, *other.proven),
            provisional=(*self.provisional, *other.provisional),
            explained=(*self.explained, *other.explained),
            claimed_beginning=(older.claimed_beginning or newer.claimed_beginning)
            if is_tie
            else older.claimed_beginning,
        )

    def within(self, asked: TimeRange) -> Self:
        """Return the same knowledge for another question."""
        return evolve(self, asked=asked)

    def explain(self, span: TimeRange, reason: Reason) -> Self:
        """Return a coverage that also knows why ``span`` holds no candles."""
        return evolve(self, explained=(*self.explained, ExplainedRange(span.start, span.end, reason))) if span else self

    def quiet(self, opened: Sequence[int], timeframe: Timeframe) -> Iterator[ExplainedRange]:
        """Yield the ranges inside the question that are known to hold no candle, oldest first.

        Every slot of the question has a candle, or is quiet, or is a gap: exactly one of them.

        Args:
            opened: openings of the candles that exist, in microseconds, oldest first.
            timeframe: the grid.

        """
        labels = [part for part in self.explained if part.reason.is_known_empty]
        known = clip(self._known(timeframe), _on_grid(self.asked, timeframe))
        for empty in _between_candles(known, opened, timeframe):
            yield from _labelled(empty, labels, timeframe, otherwise=Reason.NO_TRADE)

    def gaps(self, opened: Sequence[int], timeframe: Timeframe) -> Iterator[ExplainedRange]:
        """Yield the ranges inside the question of which nothing is known, with the reason, oldest first."""
        excuses = [part for part in self.explained if not part.reason.is_known_empty]
        for hole in _between_candles(self.unknown(timeframe), opened, timeframe):
            yield from _labelled(hole, excuses, timeframe, otherwise=Reason.UNKNOWN)

    def unknown(self, timeframe: Timeframe) -> tuple[TimeRange, ...]:
        """Return the ranges inside the question in which the absence of a candle proves nothing, oldest first."""
        return tuple(subtract(_on_grid(self.asked, timeframe), self._known(timeframe)))

    def _known(self, timeframe: Timeframe) -> list[TimeRange]:
        """Return what is proven or explained as empty, less the slots that it holds in part only."""
        parts = (*self.proven, *(part.span for part in self.explained if part.reason.is_known_empty))
        whole = ((timeframe.ceil(part.start), timeframe.floor(part.end)) for part in unite(parts))
        return [TimeRange(start, end) for start, end in whole if start < end]


def _on_grid(span: TimeRange, timeframe: Timeframe) -> TimeRange:
    """Return the slots that open inside ``span``."""
    start, end = timeframe.ceil(span.start), timeframe.ceil(span.end)
    return TimeRange(start, max(start, end))


def _labelled(
    span: TimeRange, labels: Iterable[ExplainedRange], timeframe: Timeframe, *, otherwise: Reason
) -> Iterator[ExplainedRange]:
    """Cut ``span`` by the reason of each slot: the first label that holds its opening."""
    parts: list[ExplainedRange] = []
    rest = [span]
    for label in labels:
        shared = [part for left in rest if (part := _on_grid(label.span, timeframe).intersect(left))]
        parts += [ExplainedRange(part.start, part.end, label.reason) for part in shared]
        rest = [part for left in rest for part in subtract(left, shared)]
    parts += [ExplainedRange(part.start, part.end, otherwise) for part in rest]
    yield from sorted(parts, key=lambda part: part.start)


def _between_candles(spans: Iterable[TimeRange], opened: Sequence[int], timeframe: Timeframe) -> Iterator[TimeRange]:
    """Yield what no candle fills of ranges on the grid, oldest first; runs of neighbouring candles are leapt over."""
    width = timeframe.nominal_width // MICROSECOND if timeframe.is_fixed else 0
    row = 0
    for span in spans:
        cursor = span.start
        row, beyond = (bisect_left(opened, to_micros(bound), row) for bound in (span.start, span.end))
        while row < beyond:
            if (first := from_micros(opened[row])) > cursor:
                yield TimeRange(cursor, first)
            last = _end_of_run(opened, row, beyond, width) if width else row
            cursor = from_micros(opened[last] + width) if width else timeframe.next(first)
            row = last + 1
        if cursor < span.end:
            yield TimeRange(cursor, span.end)


def _end_of_run(opened: Sequence[int], row: int, beyond: int, width: int) -> int:
    """Return the last row of the run of neighbouring slots that begins at ``row``.

    Found by doubling and halving: a million candles without a hole take microseconds, a walk took half a second.
    """
    first, leap = opened[row], 1
    while row + leap < beyond and opened[row + leap] - first == leap * width:
        leap *= 2
    rows = range(row + leap // 2 + 1, min(row + leap, beyond))
    return rows.start - 1 + bisect_left(rows, x=True, key=lambda at: opened[at] - first > (at - row) * width)


@frozen(kw_only=True)
class PageRead:
    """How one page of candles was asked for and answered.

    Attributes:
        to: exclusive upper bound that was asked; None for "now".
        count: rows that were asked for, after the venue's own clamp.
        read_at: the read instant: the earliest server time at which the data can have been read.
        grace: how long after a slot's end the venue may still revise it.

    """

    to: datetime | None
    count: int
    read_at: datetime
    grace: timedelta


def page_coverage(opened: Sequence[datetime], timeframe: Timeframe, page: PageRead) -> Coverage:
    """Return what one page with rows of these openings proves, oldest first; see ``coverage_between``."""
    ends = (opened[0], opened[-1]) if opened else None
    return coverage_between(ends, timeframe, page, is_short=len(opened) < page.count)


def coverage_between(
    ends: tuple[datetime, datetime] | None, timeframe: Timeframe, page: PageRead, *, is_short: bool
) -> Coverage:
    """Return what one page proves whose oldest and newest rows open at ``ends``; None for a page without rows.

    It proves ``[oldest row, min(ceil(to), floor(read_at - grace)))``, never a slot that was not over
    by the grace when it was read. In the unproven tail, absence says nothing. A page that is shorter
    than its count only *claims* the beginning of history; an empty page proves nothing at all. A slot
    that is still open is no part of the question, unless the page has a candle of it.
    """
    is_past = page.to is not None and page.to <= page.read_at
    end = timeframe.ceil(page.to) if is_past and page.to is not None else timeframe.floor(page.read_at)
    if ends is None:
        return Coverage(asked=TimeRange(end, end), claimed_beginning=end if is_short else None)
    oldest, newest = ends
    sealed = min(end, timeframe.floor(page.read_at - page.grace))
    return Coverage(
        asked=TimeRange(oldest, max(end, timeframe.next(newest))),
        proven=(TimeRange(oldest, sealed),) if sealed > oldest else (),
        claimed_beginning=oldest if is_short else None,
    )
