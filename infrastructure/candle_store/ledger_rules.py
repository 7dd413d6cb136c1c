"""What a ledger learns from a write, loses when a page contradicts it, and tells about a span.

Invariant: proven and provisional ranges hold whole slots only, and never the same slot.
"""

from collections.abc import Iterable
from datetime import datetime

from attrs import evolve

from ...domain.columns import CandleColumns
from ...domain.coverage import Coverage, ExplainedRange, Reason
from ...domain.ledger import Ledger
from ...domain.time_range import TimeRange, clip, subtract, unite
from ...domain.timeframe import Timeframe
from .rows import unsealed_slots


def apply(ledger: Ledger, coverage: Coverage, columns: CandleColumns) -> Ledger:
    """Return what is known after a series with these columns was written.

    A coverage speaks of its question only: a series that was cut has lost the candles outside. A slot
    whose candle is not FINAL is not known, whatever the coverage says, because its candle is not kept.
    """
    timeframe, unsealed = columns.timeframe, tuple(unsealed_slots(columns))
    # Clipped first: proven ranges may reach beyond the question, where the rows were cut away.
    told_proven = without(_whole(clip(coverage.proven, coverage.asked), timeframe), unsealed)
    told_provisional = without(_whole(clip(coverage.provisional, coverage.asked), timeframe), unsealed)
    proven = unite((*ledger.proven, *told_proven))
    watched = (*ledger.provisional, *told_provisional)
    before_listing = tuple(part.span for part in coverage.explained if part.reason is Reason.BEFORE_LISTING)
    earlier = (*(part.span for part in ledger.explained), *before_listing)
    oldest = proven[0].start if proven else None
    return Ledger(
        proven=proven,
        # Proof replaces a watch; the other way round a contradiction could drop what REST has proven.
        provisional=without(unite(watched), proven) if watched else (),
        explained=tuple(
            ExplainedRange(span.start, span.end, Reason.BEFORE_LISTING)
            for part in (unite(earlier) if earlier else ())
            if (span := _before(part, oldest))
        ),
        verified_at=ledger.verified_at,
    )


def _before(span: TimeRange, oldest: datetime | None) -> TimeRange | None:
    """Return what of a time before the listing lies before the oldest slot that is known: the rest was a lie."""
    if oldest is None or span.end <= oldest:
        return span
    return TimeRange(span.start, oldest) if span.start < oldest else None


def invalidate(ledger: Ledger, span: TimeRange, timeframe: Timeframe) -> Ledger:
    """Return the ledger without provisional coverage of any slot that ``span`` touches."""
    return evolve(ledger, provisional=_whole(without(ledger.provisional, (span,)), timeframe))


def drop(ledger: Ledger, span: TimeRange) -> Ledger:
    """Return the ledger without any coverage of whole slots: their candles are lost."""
    return evolve(ledger, proven=without(ledger.proven, (span,)), provisional=without(ledger.provisional, (span,)))


def coverage_of(ledger: Ledger, span: TimeRange) -> Coverage:
    """Return what is known inside ``span``."""
    explained = ((part.span.intersect(span), part.reason) for part in ledger.explained)
    return Coverage(
        asked=span,
        proven=clip(ledger.proven, span),
        provisional=clip(ledger.provisional, span),
        explained=tuple(ExplainedRange(part.start, part.end, reason) for part, reason in explained if part),
    )


def without(ranges: Iterable[TimeRange], known: Iterable[TimeRange]) -> tuple[TimeRange, ...]:
    """Return what of ``ranges`` no range of ``known`` holds."""
    struck = tuple(known)
    return tuple(part for span in ranges for part in subtract(span, struck))


def _whole(ranges: Iterable[TimeRange], timeframe: Timeframe) -> tuple[TimeRange, ...]:
    """Return the slots that lie inside the ranges entirely."""
    bounds = ((timeframe.ceil(span.start), timeframe.floor(span.end)) for span in ranges)
    return tuple(TimeRange(start, end) for start, end in bounds if start < end)
