"""How candles are fetched: page by page, from the store and one channel after another; the router says from which."""

from datetime import datetime

from attrs import define, evolve, field

from ...domain.capabilities import HistoryDepth
from ...domain.columns import join
from ...domain.coverage import Coverage, Reason
from ...domain.errors import (
    ChannelError,
    IntegrityError,
    RequestError,
    SymbolDelistedError,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from ...domain.ledger import SeriesKey
from ...domain.ports import CandleCache, Channel, Clock, ServerTime
from ...domain.request import CandleRequest
from ...domain.routing import INCOMPLETE, STALE, RoutePlan
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ...domain.timestamps import EPOCH, from_micros, to_text
from ..cache.cached_channel import CachedChannel
from ..cache.reconciliation import CacheStats, HistoryRewrittenError, tip_only_error
from ..cache.series_cache import SeriesCache
from ..paging.candle_pager import CandlePager, ForwardWindows, read_through
from ..paging.prefetch import PagePrefetcher
from ..routing.attempts import Attempts, FetchResult
from ..routing.router import SmartChannelRouter
from ..routing.rules import history_needed
from .listing_date import find_listing_date

TRIES = 3


@define(eq=False)
class _Reading:
    """How far one channel is read; a retry on the same channel goes on where the last attempt stopped."""

    source: CachedChannel
    prefetcher: PagePrefetcher
    pager: CandlePager | None = None


@define(eq=False)
class CandleFetcher:
    """Fetches one request; pages that arrived are kept when a later one fails."""

    request: CandleRequest
    clock: Clock
    server_time: ServerTime
    cache: SeriesCache
    router: SmartChannelRouter
    _reads: bool = True
    _readings: dict[str, _Reading] = field(factory=dict[str, _Reading])

    async def fetch(self) -> tuple[CandleSeries, RoutePlan]:
        """Return the answer and its trace; a partial one rather than none, with what lacks as a gap.

        Raises:
            RequestError: the request is wrong.
            AllChannelsFailedError: no channel delivered a single row.

        """
        await self.cache.write_behind.flush()  # what a stream sealed a moment ago is held, and need not be asked for
        attempts = Attempts(self.router, self.request)
        channels = (self.router.channels[name] for name in attempts.plan.channels)
        self._reads = any(channel.capabilities.answers_from_store for channel in channels)
        try:
            async for attempt in attempts:
                with attempt:
                    series, result = await self._from_channel(attempt.channel)
                    return series, _with_remarks(attempt.served(result), self.request, series)
        except (SymbolDelistedError, UnknownSymbolError) as error:
            held = await self._held_of_delisted(error)
            return held, attempts.plan.with_note(f"no longer listed, served from what is held: {error}")
        failure = attempts.failure()
        if (partial := self._partial()) is None:
            raise failure
        return partial, self.router.explain(self.request).with_note(f"{INCOMPLETE}: {failure}")

    async def _from_channel(self, channel: Channel) -> tuple[CandleSeries, FetchResult]:
        """Return the whole answer of one channel, and of the store in front of it.

        Raises:
            IntegrityError: the venue rewrote its history again while it was read anew.

        """
        if channel.capabilities.answers_from_store and isinstance(channel, CandleCache):
            return await self._from_store(channel)
        if self._knows_tip_only(channel):
            return await self._from_tip(channel)
        for _ in range(TRIES):
            reading = self._readings.get(channel.name) or self._begin_reading(channel)
            try:
                series, calls = await self._from_venue(reading)
            except HistoryRewrittenError:
                del self._readings[channel.name]  # what was read of the old history is of no use
                continue
            finally:
                await reading.prefetcher.close()
            return await self._counted(reading.source, series, calls)
        msg = f"{channel.name} rewrote its history again while it was read anew; ask again later"
        raise IntegrityError(msg)

    def _begin_reading(self, channel: Channel) -> _Reading:
        prefetcher = PagePrefetcher.of(channel, self.clock)
        reading = _Reading(self.cache.wrap(channel, prefetcher, reads=self._reads), prefetcher)
        self._readings[channel.name] = reading
        return reading

    async def _counted(
        self, source: CachedChannel, series: CandleSeries, calls: int
    ) -> tuple[CandleSeries, FetchResult]:
        if source.store is None:
            return series, FetchResult(len(series), calls)
        key = SeriesKey(series.venue, series.symbol, series.timeframe)
        await source.keep_beginning(key, series.coverage.explained)
        stats, seams = source.stats, tuple(source.stats.seams)
        joined = self._rows_by_joined_channel(stats, len(series))
        rows = len(series) - sum(joined.values())
        result = FetchResult(rows, stats.calls, rows_by_joined_channel=joined, notes=stats.notes(), seams=seams)
        return CandleSeries(series.columns, series.coverage, seams), result

    def _rows_by_joined_channel(self, stats: CacheStats, rows: int) -> dict[str, int]:
        """Return what the store and the live stream gave; a row of both counts once."""
        if not self._reads or self.cache.channel is None:
            return {}
        live = min(stats.live_rows, rows)
        given = {self.cache.channel.name: min(stats.held_rows, rows - live)}
        return given | ({self.cache.directory.live_name(self.request.symbol.venue_prefix): live} if live else {})

    def _knows_tip_only(self, channel: Channel) -> bool:
        able, frame = channel.capabilities, self.request.timeframe
        is_more_asked = history_needed(self.request) is HistoryDepth.FULL
        return is_more_asked and not able.can_answer_candles(frame, HistoryDepth.FULL)

    async def _from_tip(self, channel: Channel) -> tuple[CandleSeries, FetchResult]:
        """Return the channel's newest candle, and everything before it from the store.

        Raises:
            ChannelUnavailableError: more than the tip is missing; no fault of the channel.

        """
        newest = await channel.get_candles(self.request.symbol, self.request.timeframe, 1)
        now = self.server_time.latest()
        open_slot = None if now is None else self.request.timeframe.floor(now)
        prefetcher = PagePrefetcher.of(channel, self.clock)
        source = None if open_slot is None else self.cache.wrap_tip(channel, prefetcher, newest, open_slot)
        if source is None or self.cache.channel is None:
            raise tip_only_error(channel.name)
        has_tip = any(candle.opened_at == open_slot for candle in newest)
        request = self.request if has_tip else evolve(self.request, end=open_slot)  # nobody has traded in it yet
        pager = CandlePager.of(request, max(1, channel.capabilities.candles_per_call))
        try:
            series = await read_through(source, pager)
        except UnsupportedRequestError as error:
            raise tip_only_error(channel.name) from error
        finally:
            await prefetcher.close()
        joined, seams = {self.cache.channel.name: source.stats.held_rows}, tuple(source.stats.seams)
        rows = len(series) - source.stats.held_rows
        return evolve(series, seams=seams), FetchResult(rows, calls=0, rows_by_joined_channel=joined, seams=seams)

    async def _from_store(self, cache: CandleCache) -> tuple[CandleSeries, FetchResult]:
        """Return what is held; when it is not all that was asked for, the trace says so."""
        request = self.request
        series = await cache.get_candles(
            request.symbol, request.timeframe, request.count, start=request.start, end=request.end
        )
        now, asked = self.server_time.earliest(), series.coverage.asked
        has_first_rows = request.start is not None and len(series) == request.count
        if request.end is None and now is not None and not has_first_rows:
            until = max(request.timeframe.floor(now), asked.end)
            series = evolve(series, coverage=series.coverage.within(TimeRange(asked.start, until)))
        notes = (STALE,) if series.gaps() else ()
        return series, FetchResult(len(series), 0, notes=notes)

    async def _from_venue(self, reading: _Reading) -> tuple[CandleSeries, int]:
        request, channel = self.request, reading.source.channel
        if request.start is not None and request.end is None and request.count is not None:
            return await self._forward(reading.source, request.start, request.count)
        if request.start is not None and request.end is None:
            request = evolve(request, end=await self._server_now(channel))
        pager = reading.pager = reading.pager or CandlePager.of(request, _page_size(channel))
        return await read_through(reading.source, pager), pager.calls

    async def _forward(self, source: CachedChannel, start: datetime, count: int) -> tuple[CandleSeries, int]:
        now = await self._server_now(source.channel)
        frame = self.request.timeframe
        listed_from, calls = await find_listing_date(source, self.request, start, now)
        source.start_counting()
        begin = max(frame.floor(listed_from), frame.ceil(start))
        windows = ForwardWindows(frame, count, begin)
        parts: list[CandleSeries] = []
        found = 0
        while found < count and (not parts or windows.cursor <= now):
            window = windows.next_window(found)
            asked = evolve(self.request, count=None, start=window.start, end=window.end)
            pager = CandlePager.of(asked, _page_size(source.channel))
            source.forget_above()
            parts.append(await read_through(source, pager))
            calls, found = calls + pager.calls, found + len(parts[-1])
        series = _first_rows(parts, start, count)
        if listed_from > start:
            explained = series.coverage.explain(TimeRange(start, begin), Reason.BEFORE_LISTING)
            series = evolve(series, coverage=explained)
        return series, calls

    async def _server_now(self, channel: Channel) -> datetime:
        """Return the venue's time; where nobody tells it, as in files, time ends with the newest page."""
        if (now := self.server_time.latest()) is not None:
            return now
        newest = await channel.get_candles(self.request.symbol, self.request.timeframe, 1)
        least = self.request.timeframe.next(self.request.start or EPOCH)
        return self.server_time.latest() or max(least, newest.coverage.asked.end)

    async def _held_of_delisted(self, error: RequestError) -> CandleSeries:
        """Return what is held of a symbol that the venue no longer knows; raises ``error`` where nothing is."""
        if self.cache.channel is None or not self._reads:
            raise error
        try:
            series, _ = await self._from_store(self.cache.channel)
        except ChannelError:
            raise error from None
        known = max((span.end for span in series.coverage.proven), default=series.coverage.asked.start)
        ended = TimeRange(known, max(known, series.coverage.asked.end))
        return evolve(series, coverage=series.coverage.explain(ended, Reason.DELISTED))

    def _partial(self) -> CandleSeries | None:
        """Return the longest part that any channel delivered before it failed; what lacks is a gap."""
        begun = [
            one for one in self._readings.values() if one.pager and (one.pager.calls or one.source.stats.live_rows)
        ]
        pagers = [one.pager for one in begun if one.pager and one.pager.rows]
        if not pagers:
            return None
        best = max(pagers, key=lambda pager: pager.rows)
        series = best.result()
        if self.request.start is not None or self.request.count is None:
            return series
        asked = series.coverage.asked
        begin = self.request.timeframe.move(asked.start, best.rows - self.request.count)
        return evolve(series, coverage=series.coverage.within(TimeRange(begin, asked.end)))


def _page_size(channel: Channel) -> int:
    size = channel.capabilities.candles_per_call
    if size < 1:
        msg = f"channel {channel.name!r} declares no candles per call"
        raise UnsupportedRequestError(msg)
    return size


def _first_rows(parts: list[CandleSeries], start: datetime, count: int) -> CandleSeries:
    coverage: Coverage = parts[0].coverage
    for part in parts[1:]:
        coverage = coverage.join(part.coverage)
    columns = join([part.columns for part in parts])
    columns = columns.slice(0, count)
    is_full = len(columns) == count
    end = columns.timeframe.next(from_micros(columns.opened[-1])) if is_full else coverage.asked.end
    asked = TimeRange(min(start, end), end)
    return CandleSeries(columns, coverage.within(asked))


def _with_remarks(trace: RoutePlan, request: CandleRequest, series: CandleSeries) -> RoutePlan:
    asked_until = series.coverage.asked.end
    if request.end is not None and request.timeframe.ceil(request.end) > asked_until:
        return trace.with_note(f"the end {to_text(request.end)} lies in the future; cut to {to_text(asked_until)}")
    return trace
