"""What is held: inventory, coverage and outages."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta

from attrs import define, evolve

from ...domain.coverage import ExplainedRange, Reason
from ...domain.coverage_report import CoverageReport, merge_explained
from ...domain.errors import ChannelError, UnsupportedRequestError
from ...domain.ledger import Ledger, SeriesKey
from ...domain.ports import CandleStore
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange, clip
from ...domain.timeframe import Timeframe
from ...domain.timestamps import EPOCH, to_utc
from ..cache.series_cache import SeriesCache


@define(eq=False, kw_only=True)
class CandleCatalog:
    """The candles of one API that outlive a request."""

    cache: SeriesCache

    @property
    def store(self) -> CandleStore:
        """The store.

        Raises:
            UnsupportedRequestError: there is none.

        """
        if self.cache.channel is None:
            msg = "no channel keeps candles; allow 'cache' in plugins.adapters"
            raise UnsupportedRequestError(msg)
        return self.cache.channel.store

    def key(self, symbol: str, timeframe: str) -> SeriesKey:
        """Return what a series is kept under, at the venue of the moment."""
        market = Symbol(symbol)
        return SeriesKey(self.cache.directory.venue_of(market.venue_prefix), market, Timeframe.parse(timeframe))

    async def label(self, series: CandleSeries) -> CandleSeries:
        """Return the series with outages told apart from quiet, as far as what is held shows them."""
        if self.cache.channel is None or not series.has_empty_slots:
            return series
        if not any(part.reason is Reason.NO_TRADE for part in series.quiet()):
            return series
        try:
            return await label_outages(
                series, self.store, self.cache.directory.reference_symbols_of(series.symbol.venue_prefix)
            )
        except ChannelError as error:
            self.cache.errors.report(str(error))
            return series

    async def coverage(
        self, symbol: str, timeframe: str, start: datetime | None = None, end: datetime | None = None
    ) -> CoverageReport:
        """Return what is held between two instants; asks no venue.

        Args:
            symbol: such as ``KRW-BTC``.
            timeframe: such as ``1m``.
            start: the first slot; the oldest held when left out.
            end: exclusive; the end of what is held when left out.

        Raises:
            UnsupportedRequestError: nothing keeps candles.
            ChannelError: the store failed.

        """
        key = self.key(symbol, timeframe)
        await self.cache.write_behind.flush()
        first = None if start is None else to_utc(start, "start")
        last = None if end is None else to_utc(end, "end")
        span = held_span(self.store.ledger(key), first, last)
        if span is None:
            at = first or last or EPOCH
            return CoverageReport(key=key, span=TimeRange(at, at), rows=0, slots=0)
        return await coverage_report(
            self.store, key, span, self.cache.directory.reference_symbols_of(key.symbol.venue_prefix)
        )

    async def parts(self, symbol: str, timeframe: str, start: datetime, end: datetime) -> AsyncGenerator[CandleSeries]:
        """Yield what is held of a range in parts of bounded size, oldest first; asks no venue."""
        key = self.key(symbol, timeframe)
        span = TimeRange(to_utc(start, "start"), to_utc(end, "end"))
        async for part in iter_parts(
            self.store, key, span, self.cache.directory.reference_symbols_of(key.symbol.venue_prefix)
        ):
            yield part


MIN_OUTAGE = timedelta(minutes=3)
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
        silent = [span for window in silent for span in clip(empty, window) if span.end - span.start >= MIN_OUTAGE]
        if not silent:
            return series
    coverage = series.coverage
    for span in silent:
        coverage = coverage.explain(span, Reason.OUTAGE)
    return evolve(series, coverage=coverage)


def _is_long(part: ExplainedRange) -> bool:
    return part.reason is Reason.NO_TRADE and part.end - part.start >= MIN_OUTAGE


async def iter_parts(
    store: CandleStore, key: SeriesKey, span: TimeRange, references: Sequence[str] = ()
) -> AsyncGenerator[CandleSeries]:
    """Yield what is held of ``span`` in parts of bounded size, oldest first, each with its coverage."""
    cursor = key.timeframe.ceil(span.start)
    end = max(cursor, key.timeframe.ceil(span.end))
    while cursor < end:
        beyond = min(end, key.timeframe.ceil(key.timeframe.move(cursor, SLOTS_AT_ONCE)))
        yield await label_outages(await store.read(key, TimeRange(cursor, beyond)), store, references)
        cursor = beyond


async def coverage_report(
    store: CandleStore,
    key: SeriesKey,
    span: TimeRange,
    references: Sequence[str] = (),
    just_learnt: tuple[ExplainedRange, ...] = (),
) -> CoverageReport:
    """Return what is held of ``span``, and why the rest is not.

    Args:
        store: where it is held.
        key: which series.
        span: the range.
        references: symbols whose silence is the venue's.
        just_learnt: reasons that were told just now and are not for keeping.

    """
    ledger = store.ledger(key)
    quiet: list[ExplainedRange] = []
    gaps: list[ExplainedRange] = []
    rows = 0
    async for part in iter_parts(store, key, span, references):
        rows += len(part)
        quiet += part.quiet()
        gaps += evolve(part, coverage=evolve(part.coverage, explained=(*part.coverage.explained, *just_learnt))).gaps()
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
    """Return the range to report on where a bound was left out; None when nothing is held and one was."""
    known = (*ledger.proven, *ledger.provisional)
    if not known and (start is None or end is None):
        return None
    first = min(span.start for span in known) if start is None else start
    last = max(span.end for span in known) if end is None else end
    return TimeRange(min(first, last) if start is None else first, max(first, last) if end is None else last)
