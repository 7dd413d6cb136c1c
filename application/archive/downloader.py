"""Downloads: whole ranges of several series at once, page by page through the queue."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime

from attrs import define, evolve

from ...domain.errors import (
    ChannelError,
    ChannelUnavailableError,
    ClosedError,
    InvalidRangeError,
    UnsupportedRequestError,
)
from ...domain.finality import Grace
from ...domain.ports import Channel, Clock
from ...domain.request import CandleRequest
from ...domain.request_options import Priority
from ...domain.routing import StepStatus
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.timeframe import Timeframe
from ...domain.timestamps import to_text, to_utc
from ..cache.cached_channel import CachedChannel
from ..paging.prefetch import PagePrefetcher
from ..routing.channel_directory import ChannelDirectory, check_listed
from ..routing.router import FetchResult, SmartChannelRouter
from ..runtime.tasks import root_cause
from ..scheduling.request_queue import DataRequestQueue
from .catalog import CandleCatalog
from .series_download import DownloadResult, Progress, SeriesDownload


@define(eq=False, kw_only=True)
class Downloader:
    """Fills the library from the venue."""

    catalog: CandleCatalog
    router: SmartChannelRouter
    queue: DataRequestQueue
    clock: Clock
    directory: ChannelDirectory
    grace: Grace

    async def download(
        self,
        symbols: Sequence[str],
        timeframe: str,
        span: tuple[datetime, datetime | None],
        tell: Callable[[Progress], None],
    ) -> list[DownloadResult]:
        """Fill the store with a range of several series at once.

        Raises:
            RequestError: a symbol is not listed, or the range cannot be meant.
            AllChannelsFailedError: the venue could not be reached at all.

        """
        store = self.catalog.store
        wanted = [Symbol(symbol) for symbol in dict.fromkeys(symbols)]
        channels = [self.channel_of(symbol, timeframe) for symbol in wanted]
        await self.ensure_venue_known(wanted)
        spans = [self.final_range(symbol, Timeframe.parse(timeframe), *span) for symbol in wanted]
        downloads = [
            SeriesDownload(
                request=CandleRequest(
                    symbol=symbol, timeframe=Timeframe.parse(timeframe), start=start, end=end, priority=Priority.BULK
                ),
                channel=channel,
                store=store,
                clock=self.clock,
                wrap=lambda prefetcher: self._decorated(prefetcher.channel, prefetcher),
                ask=self._ask_page,
                tell=tell,
                references=self.catalog.references(symbol.venue_prefix),
            )
            for symbol, channel, (start, end) in zip(wanted, channels, spans, strict=True)
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for download in downloads:
                    group.create_task(download.run())
        except ExceptionGroup as failures:
            raise root_cause(failures) from failures
        return [await self._told(download) for download in downloads]

    async def _told(self, download: SeriesDownload) -> DownloadResult:
        """Survey once all have ended: an outage shows only when every reference is there."""
        now = self._now(download.key.symbol)
        if now is not None and download.rows and self.catalog.store.ledger(download.key).verified_at is None:
            await self.catalog.store.mark_verified(download.key, now)
        return await download.outcome()

    def channel_of(self, symbol: Symbol, timeframe: str) -> Channel:
        """Return the channel that the policy would ask for the bulk of a series."""
        request = CandleRequest(symbol=symbol, timeframe=Timeframe.parse(timeframe), priority=Priority.BULK)
        names = self.router.explain(request).channels
        channels = (self.router.channels[name] for name in names)
        found = next((channel for channel in channels if self.catalog.desk.remembers(channel)), None)
        if found is None:
            msg = f"none of the channels {', '.join(names)} brings history that could be kept; allow 'rest' and 'cache'"
            raise UnsupportedRequestError(msg)
        return found

    def _decorated(self, channel: Channel, prefetcher: PagePrefetcher) -> CachedChannel:
        cached = self.catalog.desk.wrap(channel, reads=True, prefetcher=prefetcher)
        if cached is None:
            msg = "the store was closed while a download was running"
            raise ClosedError(msg)
        return cached

    async def ensure_venue_known(self, symbols: Sequence[Symbol]) -> None:
        """Have one answer of each venue: it tells whose data this is, and the time.

        What is held already needs neither; a venue that does not answer is met again where it is asked.
        """
        held = {line.key.symbol for line in await self.catalog.store.inventory()}
        for prefix in dict.fromkeys(symbol.venue_prefix for symbol in symbols):
            directory = self.directory.directory_of(prefix)
            if directory is not None and self.directory.server_time_of(prefix).earliest() is None:
                with suppress(ChannelError):
                    await directory.get_markets()
            unknown = [symbol for symbol in symbols if symbol.venue_prefix == prefix and symbol not in held]
            await check_listed(directory, unknown)

    def _now(self, symbol: Symbol) -> datetime | None:
        """Return the earliest time that it can be at a symbol's venue."""
        return self.directory.server_time_of(symbol.venue_prefix).earliest()

    def final_range(
        self, symbol: Symbol, timeframe: Timeframe, start: datetime, end: datetime | None
    ) -> tuple[datetime, datetime]:
        """Return the range as far as it is over by the grace: only that can be kept.

        Raises:
            InvalidRangeError: nothing of it is over, or it ends before it starts.

        """
        first, now = to_utc(start, "start"), self._now(symbol)
        last = now if end is None else to_utc(end, "end")
        if last is None:
            msg = "the venue's time is not known, so the range needs an end"
            raise InvalidRangeError(msg)
        if first >= last and end is not None:
            msg = f"the start must lie before the end, got start={to_text(first)} end={to_text(last)}; swap them"
            raise InvalidRangeError(msg)
        over = last if now is None else min(timeframe.ceil(last), timeframe.floor(now - self.grace.of(timeframe)))
        if first >= over:
            msg = f"no {timeframe} candle from {to_text(first)} on is over yet; choose an earlier start"
            raise InvalidRangeError(msg)
        return first, over

    async def _ask_page(
        self, request: CandleRequest, channel: Channel, work: Callable[[], Awaitable[CandleSeries]]
    ) -> CandleSeries:
        """Ask for one page when its turn has come; its outcome counts for the channel's health."""

        async def fetch(asked: Channel) -> tuple[CandleSeries, FetchResult]:
            if asked is not channel:
                msg = "a download keeps to one channel"
                raise UnsupportedRequestError(msg)
            series = await work()
            return series, FetchResult(len(series))

        async def turn() -> CandleSeries:
            plan = self.router.explain(request)
            step = next((step for step in plan.steps if step.channel == channel.name and not step.joins_next), None)
            if step is None or step.status is StepStatus.SKIPPED:
                reason = "the routing policy no longer asks it" if step is None else step.reason
                raise ChannelUnavailableError(reason, channel=channel.name)
            series, _ = await self.router.run(request, fetch, evolve(plan, steps=(step,)))
            return series

        return await self.queue.submit(("page", request), turn, priority=request.priority, deadline_s=request.deadline)
