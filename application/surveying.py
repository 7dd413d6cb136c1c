"""What is held, told with reasons, in constant memory; asks no venue."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta

from attrs import evolve

from ..domain.coverage import ExplainedRange, Reason
from ..domain.coverage_report import CoverageReport, merge_explained
from ..domain.holding import Ledger, SeriesKey
from ..domain.ports import CandleStore
from ..domain.series import CandleSeries
from ..domain.symbol import Symbol
from ..domain.time_range import TimeRange, clip
from ..domain.timeframe import Timeframe

SHORTEST_OUTAGE = timedelta(minutes=3)
SLOTS_AT_ONCE = 20_000


async def label_outages(series: CandleSeries, store: CandleStore, references: Sequence[str]) -> CandleSeries:
    """Return the series with OUTAGE as the reason of slots in which the whole venue was silent.

    That is: at least three consecutive minutes without a candle in the proven one-minute coverage of all
    reference symbols. It is computed from what is held; nothing is fetched for it.
    """
    quiet = [part.span for part in series.quiet() if _is_long(part)]
    if not quiet or not references:
        return series
    silent = [TimeRange(quiet[0].start, quiet[-1].end)]
    for symbol in references:
        key = SeriesKey(series.venue, Symbol(symbol), Timeframe.M1)
        held = await store.read(key, TimeRange(silent[0].start, silent[-1].end))
        empty = [part.span for part in held.quiet() if _is_long(part)]
        silent = [span for window in silent for span in clip(empty, window) if span.end - span.start >= SHORTEST_OUTAGE]
        if not silent:
            return series
    coverage = series.coverage
    for span in silent:
        coverage = coverage.explain(span, Reason.OUTAGE)
    return evolve(series, coverage=coverage)


def _is_long(part: ExplainedRange) -> bool:
    return part.reason is Reason.NO_TRADE and part.end - part.start >= SHORTEST_OUTAGE


async def each_part(
    store: CandleStore, key: SeriesKey, span: TimeRange, references: Sequence[str] = ()
) -> AsyncGenerator[CandleSeries]:
    """Yield what is held of ``span`` in parts of bounded size, oldest first, each with its coverage."""
    cursor = key.timeframe.ceil(span.start)
    end = max(cursor, key.timeframe.ceil(span.end))
    while cursor < end:
        beyond = min(end, key.timeframe.ceil(key.timeframe.move(cursor, SLOTS_AT_ONCE)))
        yield await label_outages(await store.read(key, TimeRange(cursor, beyond)), store, references)
        cursor = beyond


async def survey(
    store: CandleStore,
    key: SeriesKey,
    span: TimeRange,
    references: Sequence[str] = (),
    told: tuple[ExplainedRange, ...] = (),
) -> CoverageReport:
    """Return what is held of ``span``, and why the rest is not.

    Args:
        store: where it is held.
        key: which series.
        span: the range.
        references: symbols whose silence is the venue's.
        told: reasons that were told just now and are not for keeping.

    """
    ledger = store.ledger(key)
    quiet: list[ExplainedRange] = []
    gaps: list[ExplainedRange] = []
    rows = 0
    async for part in each_part(store, key, span, references):
        rows += len(part)
        quiet += part.quiet()
        gaps += evolve(part, coverage=evolve(part.coverage, explained=(*part.coverage.explained, *told))).gaps()
    return CoverageReport(
        key=key,
        span=span,
        rows=rows,
        slots=key.timeframe.count_slots(span),
        proven=clip(ledger.proven, span),
        provisional=clip(ledger.provisional, span),
        quiet=merge_explained(quiet),
        gaps=merge_explained(gaps),
        verified_at=ledger.verified_at,
    )


def held_span(ledger: Ledger, start: datetime | None, end: datetime | None) -> TimeRange | None:
    """Return the range to survey where a bound was left out; None when nothing is held and one was."""
    known = (*ledger.proven, *ledger.provisional)
    if not known and (start is None or end is None):
        return None
    first = min(span.start for span in known) if start is None else start
    last = max(span.end for span in known) if end is None else end
    return TimeRange(min(first, last) if start is None else first, max(first, last) if end is None else last)
