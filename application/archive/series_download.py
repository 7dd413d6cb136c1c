"""Fill the store with a whole range, in constant memory, and go on where the last time stopped.

The ledger is the state of a download: what it proves is never asked for again, so a run that was
interrupted anywhere is resumed by running it again.
"""

from collections.abc import Callable
from functools import partial

from attrs import define, evolve, field, frozen

from ...domain.backoff import Backoff
from ...domain.coverage import ExplainedRange, Reason
from ...domain.coverage_report import CoverageReport
from ...domain.errors import (
    AllChannelsFailedError,
    ChannelError,
    ChannelUnavailableError,
    MarketDataError,
    SymbolDelistedError,
)
from ...domain.ledger import SeriesKey
from ...domain.ports import Channel, Clock
from ...domain.request import CandleRequest
from ...domain.routing import StepStatus
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ..cache.cached_channel import CachedChannel
from ..cache.reconciliation import HistoryRewrittenError
from ..paging.candle_pager import CandlePager, Page, PageAnswer, PageSource
from ..paging.prefetch import PagePrefetcher
from ..routing.attempts import Attempts, FetchResult
from ..routing.router import SmartChannelRouter
from ..scheduling.request_queue import DataRequestQueue
from .catalog import CandleCatalog, coverage_report

BACKOFF = Backoff(first_s=1.0, longest_s=60.0)
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


@define(eq=False)
class _QueuedPages:
    """The pages of a source, each asked for when its turn in the queue has come and the policy allows its channel."""

    source: PageSource
    request: CandleRequest
    channel: Channel
    router: SmartChannelRouter
    queue: DataRequestQueue
    clock: Clock

    async def read(self, page: Page) -> PageAnswer:
        """Wait for the page's turn, and ask; the outcome counts for the channel's health.

        Raises:
            AllChannelsFailedError: the channel failed.
            ChannelUnavailableError: the policy does not ask the channel now.

        """
        await self.clock.sleep(page.delay_s)  # before the queue: whoever waits holds no place there
        request = evolve(self.request, start=None, count=page.count, end=page.end)
        work = partial(self._ask, request, evolve(page, delay_s=0.0))
        return await self.queue.submit(("page", request), work, priority=request.priority, deadline_s=request.deadline)

    async def _ask(self, request: CandleRequest, page: Page) -> PageAnswer:
        plan = self.router.explain(request)
        step = next((one for one in plan.steps if one.channel == self.channel.name and not one.joins_next), None)
        if step is None or step.status is StepStatus.SKIPPED:
            reason = "the routing policy no longer asks it" if step is None else step.reason
            raise ChannelUnavailableError(reason, channel=self.channel.name)
        attempts = Attempts(self.router, request, evolve(plan, steps=(step,)))
        async for attempt in attempts:
            with attempt:
                answer = await self.source.read(page)
                attempt.served(FetchResult(len(answer.series)))
                return answer
        raise attempts.failure()


@define(eq=False, kw_only=True)
class SeriesDownload:
    """One series on its way into the store.

    Attributes:
        request: start and end; the end is over by the grace.
        channel: the channel that is asked.
        tell: hears of progress after each page.

    """

    request: CandleRequest
    channel: Channel
    catalog: CandleCatalog
    router: SmartChannelRouter
    queue: DataRequestQueue
    clock: Clock
    tell: Callable[[Progress], None]
    rows: int = 0
    _calls: int = 0
    _error: MarketDataError | None = None
    _just_learnt: tuple[ExplainedRange, ...] = field(default=())

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
                await self._read_all()
            except HistoryRewrittenError:
                continue
            except SymbolDelistedError as delisted:
                self._error = delisted
                self._just_learnt = (
                    *self._just_learnt,
                    ExplainedRange(self.span.start, self.span.end, Reason.DELISTED),
                )
            except MarketDataError as failure:
                self._error = failure
            break

    async def outcome(self) -> DownloadResult:
        """Return what is held of the range now, and what it has cost."""
        references = self.catalog.cache.directory.reference_symbols_of(self.request.symbol.venue_prefix)
        report = await coverage_report(self.catalog.store, self.key, self.span, references, self._just_learnt)
        return DownloadResult(report=report, calls=self._calls, rows=self.rows, error=self._error)

    async def _read_all(self) -> None:
        prefetcher = PagePrefetcher.of(self.channel, self.clock, is_optimistic=True)
        queued = _QueuedPages(prefetcher, self.request, self.channel, self.router, self.queue, self.clock)
        source, before = self.catalog.cache.wrap(self.channel, queued, skips=True), self._calls
        pager = CandlePager.of(self.request, self.channel.capabilities.candles_per_call)
        pager.discards = True
        try:
            while (page := pager.next_page()) is not None:
                answer = await self._page(source, page)
                self._calls = before + source.stats.calls
                pager.take(answer.series, calls=answer.calls)
                if answer.calls:
                    self._report_progress(answer.series)
            self._just_learnt = tuple(part for part in pager.explained if part.reason is Reason.BEYOND_RETENTION)
            await source.keep_beginning(self.key, pager.explained)
        finally:
            await prefetcher.close()
            self._calls = before + source.stats.calls + prefetcher.wasted

    async def _page(self, source: CachedChannel, page: Page) -> PageAnswer:
        for failures in range(MAX_FAILURES):
            try:
                answer = await source.read(page)
            except (AllChannelsFailedError, ChannelError):
                if failures == MAX_FAILURES - 1 or source.store_error is not None:
                    raise
                await self.clock.sleep(BACKOFF.delay_s(failures))
            else:
                if source.store_error is not None:
                    raise source.store_error  # what cannot be kept is not worth asking for
                return answer
        msg = "the last attempt neither answered nor failed"
        raise AssertionError(msg)

    def _report_progress(self, found: CandleSeries) -> None:
        self.rows += len(found)
        reached = max(self.span.start, min(found.coverage.asked.start, self.span.end))
        settled = TimeRange(reached, self.span.end)
        self.tell(Progress(key=self.key, span=self.span, reached=settled, rows=self.rows, calls=self._calls))
