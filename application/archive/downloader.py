"""Downloads: whole ranges of several series at once, page by page through the queue."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from attrs import define

from ...domain.errors import (
    ChannelError,
    InvalidRangeError,
    UnsupportedRequestError,
)
from ...domain.finality import Grace
from ...domain.ports import Channel, Clock
from ...domain.request import CandleRequest
from ...domain.request_options import Priority
from ...domain.symbol import Symbol
from ...domain.timeframe import Timeframe
from ...domain.timestamps import to_text, to_utc
from ..routing.channel_directory import check_listed
from ..routing.router import SmartChannelRouter
from ..runtime.tasks import root_cause
from ..scheduling.request_queue import DataRequestQueue
from .catalog import CandleCatalog
from .series_download import DownloadResult, Progress, SeriesDownload


@define(eq=False, kw_only=True)
class Downloader:
    """Fills the store from the venue, and says what of a range is over."""

    catalog: CandleCatalog
    router: SmartChannelRouter
    queue: DataRequestQueue
    clock: Clock
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
        wanted = [Symbol(symbol) for symbol in dict.fromkeys(symbols)]
        channels = [self.channel_of(symbol, timeframe) for symbol in wanted]
        await self.ensure_venue_known(wanted)
        frame = Timeframe.parse(timeframe)
        spans = [self.final_range(symbol, frame, *span) for symbol in wanted]
        downloads = [
            SeriesDownload(
                request=CandleRequest(symbol=symbol, timeframe=frame, start=start, end=end, priority=Priority.BULK),
                channel=channel,
                catalog=self.catalog,
                router=self.router,
                queue=self.queue,
                clock=self.clock,
                tell=tell,
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
        found = next((channel for channel in channels if self.catalog.cache.keeps(channel)), None)
        if found is None:
            msg = f"none of the channels {', '.join(names)} brings history that could be kept; allow 'rest' and 'cache'"
            raise UnsupportedRequestError(msg)
        return found

    async def ensure_venue_known(self, symbols: Sequence[Symbol]) -> None:
        """Have one answer of each venue: it tells whose data this is, and the time.

        What is held already needs neither; a venue that does not answer is met again where it is asked.
        """
        held = {line.key.symbol for line in await self.catalog.store.inventory()}
        for prefix in dict.fromkeys(symbol.venue_prefix for symbol in symbols):
            directory = self.catalog.cache.directory.directory_of(prefix)
            if directory is not None and self.catalog.cache.directory.server_time_of(prefix).earliest() is None:
                with suppress(ChannelError):
                    await directory.get_markets()
            unknown = [symbol for symbol in symbols if symbol.venue_prefix == prefix and symbol not in held]
            await check_listed(directory, unknown)

    def _now(self, symbol: Symbol) -> datetime | None:
        """Return the earliest time that it can be at a symbol's venue."""
        return self.catalog.cache.directory.server_time_of(symbol.venue_prefix).earliest()

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
