"""One series: candles in order, what is known about the rest, and how the answer came about."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, overload

from attrs import evolve, field, frozen

from .candle import Candle
from .columns import CandleColumns, cut
from .coverage import Coverage, ExplainedRange, Reason
from .coverage_report import Completeness
from .errors import IntegrityError
from .finality import Finality
from .routing import RoutePlan, Seam
from .series_export import to_arrow, to_numpy, to_pandas, to_polars
from .symbol import Symbol
from .time_range import TimeRange
from .timeframe import Timeframe
from .timestamps import from_micros, to_micros

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa


NAMED_GAPS = 5


@frozen(eq=False, repr=False)
class CandleSeries(Sequence[Candle]):
    """Candles of one venue, symbol and timeframe: oldest first, unique by ``opened_at``.

    Candles are kept as columns and made on access. ``coverage`` says in which ranges the absence of
    a candle is proven; ``trace`` says which channels were asked, and why.
    """

    columns: CandleColumns
    coverage: Coverage
    seams: tuple[Seam, ...] = ()
    trace: RoutePlan | None = field(default=None)

    @classmethod
    def of(
        cls,
        venue: str,
        symbol: Symbol,
        timeframe: Timeframe,
        candles: Iterable[Candle],
        coverage: Coverage,
        *,
        seams: tuple[Seam, ...] = (),
        trace: RoutePlan | None = None,
    ) -> Self:
        """Build a series of candles in any order.

        Raises:
            IntegrityError: a candle belongs to another series, or a slot occurs twice.

        """
        rows = sorted(candles, key=lambda candle: candle.opened_at)
        for candle in rows:
            if candle.identity[:3] != (venue, symbol, timeframe):
                msg = f"{candle!r} does not belong to a series of {symbol} {timeframe} at {venue}"
                raise IntegrityError(msg)
        for older, newer in pairwise(rows):
            if older.opened_at == newer.opened_at:
                msg = f"a series holds one candle per slot, got two views of it: {older!r} and {newer!r}"
                raise IntegrityError(msg)
        return cls(CandleColumns.of(venue, symbol, timeframe, rows), coverage, seams, trace)

    @property
    def venue(self) -> str:
        """Whose data this is."""
        return self.columns.venue

    @property
    def symbol(self) -> Symbol:
        """The market."""
        return self.columns.symbol

    @property
    def timeframe(self) -> Timeframe:
        """The width of each slot."""
        return self.columns.timeframe

    def __len__(self) -> int:
        """Return the number of candles."""
        return len(self.columns)

    @overload
    def __getitem__(self, index: int) -> Candle: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Candle | Self:
        """Return one candle, or a shorter series for a slice without a step."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                msg = f"a series can be cut but not thinned or reversed, got a step of {step}; use list(series)[...]"
                raise ValueError(msg)
            return self._cut(start, max(start, stop))
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            msg = f"a series of {len(self)} candles has no number {index}"
            raise IndexError(msg)
        return self.columns.candle(row)

    def __iter__(self) -> Iterator[Candle]:
        """Yield the candles, oldest first."""
        return (self.columns.candle(row) for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Compare the candles; coverage, seams and trace do not matter."""
        if not isinstance(other, CandleSeries):
            return NotImplemented
        mine = (self.venue, self.symbol, self.timeframe, len(self))
        theirs = (other.venue, other.symbol, other.timeframe, len(other))
        return mine == theirs and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # pyright: ignore[reportAssignmentType] - a series may be a million rows

    def _cut(self, start: int, stop: int) -> Self:
        columns = self.columns.slice(start, stop)
        if not len(columns):
            return evolve(self, columns=columns, coverage=self.coverage.within(TimeRange(self._end, self._end)))
        first = self.coverage.asked.start if start == 0 else from_micros(columns.opened[0])
        beyond = self.coverage.asked.end if stop == len(self) else self.timeframe.next(from_micros(columns.opened[-1]))
        return evolve(self, columns=columns, coverage=self.coverage.within(TimeRange(first, beyond)))

    @property
    def _end(self) -> datetime:
        return self.coverage.asked.end

    def opened_at(self, row: int) -> datetime:
        """Return when the slot of a row opens; negative rows count from the end. The candle itself is not made."""
        return from_micros(self.columns.opened[row])

    def gaps(self) -> tuple[ExplainedRange, ...]:
        """Return the ranges of which nothing is known: start, end and reason of each."""
        return tuple(self.coverage.gaps(self.columns.opened, self.timeframe))

    def quiet(self) -> tuple[ExplainedRange, ...]:
        """Return the ranges that are known to hold no candle: start, end and reason of each."""
        return tuple(self.coverage.quiet(self.columns.opened, self.timeframe))

    @property
    def has_empty_slots(self) -> bool:
        """Whether a slot that was asked for has no candle, for whatever reason; told by counting."""
        return len(self) < self.timeframe.count_slots(self.coverage.asked)

    def completeness(self) -> Completeness:
        """Return how many slots were asked for, and what became of them, without walking the candles."""
        width, opened = self.timeframe, self.columns.opened
        expected, unknown = width.count_slots(self.coverage.asked), 0
        for span in self.coverage.unknown(width):
            held = bisect_left(opened, to_micros(span.end)) - bisect_left(opened, to_micros(span.start))
            unknown += width.count_slots(span) - held
        quiet = expected - len(self) - unknown
        return Completeness(expected=expected, received=len(self), quiet=quiet, unknown=unknown)

    def below(self, at: datetime) -> Self:
        """Return the part below ``at``, with what is said of its slots; a claimed beginning stays one."""
        asked = self.coverage.asked
        start, end = min(asked.start, at), min(asked.end, at)
        columns = cut(self.columns, TimeRange(start, at)) if start < at else self.columns.slice(0, 0)
        claimed = self.coverage.claimed_beginning
        coverage: Coverage = evolve(self.coverage, claimed_beginning=None if claimed is None else min(claimed, at))
        return evolve(self, columns=columns, coverage=coverage.within(TimeRange(start, max(start, end))))

    def beyond(self, floor: datetime) -> Self:
        """Return the part from ``floor`` on, where ``floor`` lies inside; it claims no beginning."""
        asked = self.coverage.asked
        if asked.start >= floor or asked.end <= floor:
            return self
        coverage: Coverage = evolve(self.coverage, claimed_beginning=None)
        kept = TimeRange(floor, asked.end)
        return evolve(self, columns=cut(self.columns, kept), coverage=coverage.within(kept))

    def strict(self) -> Self:
        """Return the series itself if nothing that was asked for is unknown.

        Raises:
            IntegrityError: it has gaps; the message names the first of them.

        """
        if unknown := self.gaps():
            msg = f"{self.symbol} {self.timeframe} is not complete: {_named(unknown)}; ask again later, or for less"
            raise IntegrityError(msg)
        return self

    def drop_empty(self) -> Self:
        """Return the series without the fillers of ``fill_forward``: candles of slots that traded."""
        if not any(mark.is_empty for mark in self.columns.marks):
            return self
        traded = (candle for candle in self if not candle.is_empty)
        return evolve(self, columns=CandleColumns.of(self.venue, self.symbol, self.timeframe, traded))

    def fill_forward(self, *, partial: bool = False) -> Self:
        """Return the series with slots that saw no trade as flat candles, ``is_empty=True``.

        A filler repeats the close before it, with volume 0. Slots before the first candle stay out.

        Args:
            partial: leave unknown slots out instead of refusing, and with them the quiet slots up to
                the next candle: nobody knows the close before those.

        Raises:
            IntegrityError: something inside the series is not known (and ``partial`` is False).

        """
        if not len(self):
            return self
        first = from_micros(self.columns.opened[0])
        unknown = [gap for gap in self.gaps() if gap.end > first]
        if unknown and not partial:
            named = _named(unknown)
            msg = f"cannot fill what is not known: {named}; ask again later, or pass partial=True to leave it out"
            raise IntegrityError(msg)
        fillable = {Reason.NO_TRADE, Reason.OUTAGE}
        empty = [part.span for part in self.quiet() if part.reason in fillable and part.start >= first]
        empty = list(self._with_known_close(empty, unknown))
        candles = CandleColumns.of(self.venue, self.symbol, self.timeframe, self._filled(empty))
        return evolve(self, columns=candles)

    def _with_known_close(self, empty: Iterable[TimeRange], unknown: list[ExplainedRange]) -> Iterator[TimeRange]:
        for span in empty:
            before = bisect_left(self.columns.opened, to_micros(span.start)) - 1
            last = from_micros(self.columns.opened[before])
            if not any(last < gap.start < span.start for gap in unknown):
                yield span

    def _filled(self, empty: list[TimeRange]) -> Iterator[Candle]:
        spans = iter(empty)
        span = next(spans, None)
        last: Candle | None = None
        for candle in self:
            while last is not None and span is not None and span.start < candle.opened_at:
                yield from _flat(last, span)
                span = next(spans, None)
            yield candle
            last = candle
        while last is not None and span is not None:
            yield from _flat(last, span)
            span = next(spans, None)

    def to_pandas(self, *, exact: bool = False) -> "pd.DataFrame":
        """Return a DataFrame indexed by ``opened_at`` (UTC): open, high, low, close, volume, quote_volume.

        Numbers are float64, or ``Decimal`` objects with ``exact=True``. Needs the extra ``pandas``.
        """
        return to_pandas(self.columns, exact=exact)

    def to_polars(self, *, exact: bool = False) -> "pl.DataFrame":
        """Return a DataFrame with the column ``opened_at`` (UTC) first. Needs the extra ``polars``."""
        return to_polars(self.columns, exact=exact)

    def to_arrow(self, *, exact: bool = False) -> "pa.Table":
        """Return a Table with the column ``opened_at`` (UTC) first. Needs the extra ``arrow``."""
        return to_arrow(self.columns, exact=exact)

    def to_numpy(self, *, exact: bool = False) -> "np.ndarray[Any, Any]":
        """Return a structured array with the field ``opened_at`` (datetime64[us], UTC) first. Needs ``numpy``."""
        return to_numpy(self.columns, exact=exact)

    def __repr__(self) -> str:
        """Show what, how many, from when to when, and how much of it is not known."""
        span = f"{self.coverage.asked}" if len(self) else "empty"
        return (
            f"<CandleSeries {self.symbol} {self.timeframe} at {self.venue}: {len(self)} candles {span}, "
            f"{len(self.quiet())} quiet, {len(self.gaps())} gaps>"
        )


def _named(unknown: Sequence[ExplainedRange]) -> str:
    """Name gaps, but never a thousand of them."""
    more = f" and {len(unknown) - NAMED_GAPS} more" if len(unknown) > NAMED_GAPS else ""
    return ", ".join(f"{gap.span} {gap.reason}" for gap in unknown[:NAMED_GAPS]) + more


def _flat(last: Candle, span: TimeRange) -> Iterator[Candle]:
    for opened_at in last.timeframe.slots(span):
        yield evolve(
            last,
            opened_at=opened_at,
            open=last.close,
            high=last.close,
            low=last.close,
            volume=last.volume * 0,
            quote_volume=last.volume * 0,
            updated_at=None,
            finality=Finality.CLOSED,
            sealed_by=None,
            is_empty=True,
        )
