"""Fill the store with a whole range, in constant memory, and go on where the last time stopped.

The ledger is the state of a download: what it proves is never asked for again, so a run that was
interrupted anywhere is resumed by running it again.
"""

from collections.abc import Awaitable, Callable

from attrs import define, evolve, field, frozen

from ...domain.coverage import ExplainedRange, Reason
from ...domain.coverage_report import CoverageReport
from ...domain.errors import AllChannelsFailedError, ChannelError, MarketDataError, SymbolDelistedError
from ...domain.ledger import SeriesKey
from ...domain.ports import CandleStore, Channel, Clock
from ...domain.request import CandleRequest
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ..cache.cached_channel import CachedChannel
from ..paging.candle_pager import CandlePager, Page
from ..paging.prefetch import PagePrefetcher
from ..routing.router import HistoryRewrittenError
from .catalog import coverage_report

MAX_PAUSE_S = 60.0
FIRST_PAUSE_S = 1.0
MAX_FAILURES = 8
"""Failures of one page in a row before a download gives up: about two minutes of an exchange that is down."""

RESTARTS = 3


@frozen(kw_only=True)
class Progress:
    """How far one download is.

    Attributes:
        reached: everything from here to the end of the range is settled.
        rows: candles that came from the venue in this run.
        calls: calls that this run has cost.

    """

    key: SeriesKey
    span: TimeRange
    reached: TimeRange
    rows: int
    calls: int


@frozen(kw_only=True)
class DownloadResult:
    """What became of one series.

    Attributes:
        report: what is held of the range now.
        calls: calls that this run has cost.
        rows: candles that came from the venue in this run.
        error: why the run ended early; None when it did not.

    """

    report: CoverageReport
    calls: int
    rows: int
    error: MarketDataError | None = None

    @property
    def is_answered(self) -> bool:
        """Whether everything that was asked for is held, or known not to exist."""
        return not any(gap.reason in {Reason.UNKNOWN, Reason.BEYOND_RETENTION} for gap in self.report.gaps)


AskPage = Callable[[CandleRequest, Channel, Callable[[], Awaitable[CandleSeries]]], Awaitable[CandleSeries]]


@define(eq=False, kw_only=True)
class SeriesDownload:
    """One series on its way into the store.

    Attributes:
        request: start and end; the end is over by the grace.
        channel: the channel that is asked.
        decorate: puts the channel and the store together.
        ask: runs the asking of one page when its turn has come.
        tell: hears of progress after each page.

    """

    request: CandleRequest
    channel: Channel
    store: CandleStore
    clock: Clock
    wrap: Callable[[PagePrefetcher], CachedChannel]
    ask: AskPage
    tell: Callable[[Progress], None]
    references: tuple[str, ...] = ()
    _calls: int = 0
    rows: int = 0
    _error: MarketDataError | None = None
    _told: tuple[ExplainedRange, ...] = field(default=())

    @property
    def key(self) -> SeriesKey:
        """What the series is kept under."""
        return SeriesKey(self.channel.venue, self.request.symbol, self.request.timeframe)

    @property
    def span(self) -> TimeRange:
        """The range that is wanted."""
        start, end = self.request.start, self.request.end
        if start is None or end is None:
            msg = "a download has a start and an end"
            raise AssertionError(msg)
        return TimeRange(start, end)

    async def run(self) -> None:
        """Ask for whatever is not held, newest first, until all is settled or nothing can be had."""
        for _ in range(RESTARTS):
            try:
                await self._walk()
            except HistoryRewrittenError:
                continue
            except SymbolDelistedError as delisted:
                self._error = delisted
                self._told = (*self._told, ExplainedRange(self.span.start, self.span.end, Reason.DELISTED))
            except MarketDataError as failure:
                self._error = failure
            break

    async def outcome(self) -> DownloadResult:
        """Return what is held of the range now, and what it has cost."""
        report = await coverage_report(self.store, self.key, self.span, self.references, self._told)
        return DownloadResult(report=report, calls=self._calls, rows=self.rows, error=self._error)

    async def _walk(self) -> None:
        prefetcher = PagePrefetcher(self.channel, self.clock, is_optimistic=True)
        try:
            await self._walk_through(self.wrap(prefetcher), prefetcher)
        finally:
            await prefetcher.close()
            self._calls += prefetcher.wasted

    async def _walk_through(self, cached: CachedChannel, prefetcher: PagePrefetcher) -> None:
        pager = CandlePager.of(self.request, self.channel.capabilities.candles_per_call)
        pager.discards = True
        while (page := pager.next_page()) is not None:
            held = None if page.end is None else await cached.skip_held(self.key, page.end)
            if held is not None:
                pager.take(held, calls=0)
                continue
            await self.clock.sleep(page.delay_s)
            prefetcher.set_target(self.key.timeframe, pager.missing, pager.start)
            pager.take(await self._page(cached, page))
        self._told = tuple(part for part in pager.explained if part.reason is Reason.BEYOND_RETENTION)
        await cached.remember_beginning(self.key, pager.explained)

    async def _page(self, cached: CachedChannel, page: Page) -> CandleSeries:
        for failures in range(MAX_FAILURES):
            try:
                return await self._ask(cached, page)
            except (AllChannelsFailedError, ChannelError):
                if failures == MAX_FAILURES - 1 or cached.store_error is not None:
                    raise
                await self.clock.sleep(min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**failures))
        msg = "the last attempt neither answered nor failed"
        raise AssertionError(msg)

    async def _ask(self, cached: CachedChannel, page: Page) -> CandleSeries:
        before = cached.stats.calls

        async def work() -> CandleSeries:
            return await cached.get_candles(self.key.symbol, self.key.timeframe, page.count, end=page.end)

        request = evolve(self.request, start=None, count=page.count, end=page.end)
        try:
            found = await self.ask(request, self.channel, work)
        finally:
            self._calls += cached.stats.calls - before
        if cached.store_error is not None:
            raise cached.store_error  # what cannot be kept is not worth asking for
        self.rows += len(found)
        reached = max(self.span.start, min(found.coverage.asked.start, self.span.end))
        self.tell(
            Progress(
                key=self.key,
                span=self.span,
                reached=TimeRange(reached, self.span.end),
                rows=self.rows,
                calls=self._calls,
            )
        )
        return found
