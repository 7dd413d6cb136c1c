"""How each kind of request is fetched from one channel; the router decides from which."""

from datetime import datetime

from attrs import define, evolve, field

from ...domain.capabilities import HistoryDepth
from ...domain.columns import join
from ...domain.coverage import Coverage, Reason
from ...domain.errors import (
    AllChannelsFailedError,
    ChannelError,
    IntegrityError,
    RequestError,
    SymbolDelistedError,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from ...domain.ledger import SeriesKey
from ...domain.ports import CandleCache, Channel, Clock, ServerTime, TradeHistory
from ...domain.request import CandleRequest, TradesRequest
from ...domain.routing import INCOMPLETE, STALE, RoutePlan
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ...domain.timestamps import EPOCH, from_micros, to_text
from ...domain.trade import Trade
from ..cache.cached_channel import CachedChannel
from ..cache.reconciliation import CacheStats, tip_only_error
from ..cache.series_cache import SeriesCache
from ..paging.candle_pager import CandlePager, ForwardWindows
from ..paging.prefetch import PagePrefetcher, PageSource
from ..paging.readers import TradeReader
from ..paging.trade_pager import TradePager
from ..routing.router import FetchResult, HistoryRewrittenError, SmartChannelRouter
from ..routing.rules import history_needed
from .listing_date import find_listing_date

TRIES = 3


@define(eq=False)
class CandleFetcher:
    """Fetches one request; pages that arrived are kept when a later one fails.

    A retry on the same channel continues where the last attempt stopped.

    Attributes:
        desk: the store that answers what it holds and keeps what was asked for.
        reads: False to ask the venue for everything.

    """

    request: CandleRequest
    clock: Clock
    server_time: ServerTime
    desk: SeriesCache
    reads: bool = True
    _walks: dict[str, CandlePager] = field(factory=dict[str, CandlePager])
    _ahead: dict[str, PagePrefetcher] = field(factory=dict[str, PagePrefetcher])
    _cached: dict[str, CachedChannel | None] = field(factory=dict[str, CachedChannel | None])

    async def from_channel(self, channel: Channel) -> tuple[CandleSeries, FetchResult]:
        """Return the whole answer of one channel, and of the store beside it.

        Raises:
            IntegrityError: the venue rewrote its history again while it was read anew.

        """
        if channel.capabilities.answers_from_store and isinstance(channel, CandleCache):
            return await self._from_store(channel)
        if self._knows_tip_only(channel):
            return await self._from_tip(channel)
        prefetcher = self._ahead.setdefault(channel.name, PagePrefetcher(channel, self.clock))
        for _ in range(TRIES):
            if channel.name not in self._cached:
                self._cached[channel.name] = self.desk.wrap(channel, reads=self.reads, prefetcher=prefetcher)
            cached = self._cached[channel.name]
            try:
                series, calls = await self._from_venue(cached or channel, prefetcher)
            except HistoryRewrittenError:
                self._walks.pop(channel.name, None)
                del self._cached[channel.name]
                continue
            finally:
                await prefetcher.close()
            return await self._counted(cached, series, calls)
        msg = f"{channel.name} rewrote its history again while it was read anew; ask again later"
        raise IntegrityError(msg)

    async def _counted(
        self, cached: CachedChannel | None, series: CandleSeries, calls: int
    ) -> tuple[CandleSeries, FetchResult]:
        if cached is None:
            return series, FetchResult(len(series), calls)
        key = SeriesKey(series.venue, series.symbol, series.timeframe)
        await cached.remember_beginning(key, series.coverage.explained)
        stats = cached.stats
        seams = tuple(stats.seams)
        beside, notes = self._beside(stats, len(series)), stats.notes()
        fetched = FetchResult(len(series), stats.calls, beside=beside, notes=notes, seams=seams)
        return CandleSeries(series.columns, series.coverage, seams), fetched

    def _beside(self, stats: CacheStats, rows: int) -> dict[str, int]:
        """Return what the store and the live stream gave; a row of both counts once."""
        if not self.reads or self.desk.cache is None:
            return {}
        live = min(stats.live_rows, rows)
        given = {self.desk.cache.name: min(stats.held_rows, rows - live)}
        return given | ({self.desk.directory.live_name(self.request.symbol.venue_prefix): live} if live else {})

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
        held = None if open_slot is None else self.desk.wrap_tip(channel, newest, open_slot)
        if held is None:
            raise tip_only_error(channel.name)
        has_tip = any(candle.opened_at == open_slot for candle in newest)
        request = self.request if has_tip else evolve(self.request, end=open_slot)  # nobody has traded in it yet
        pager = CandlePager.of(request, max(1, channel.capabilities.candles_per_call))
        try:
            await self._walk(held, pager)
        except UnsupportedRequestError as error:
            raise tip_only_error(channel.name) from error
        series = pager.result()
        beside = {} if self.desk.cache is None else {self.desk.cache.name: held.stats.held_rows}
        seams = tuple(held.stats.seams)
        return evolve(series, seams=seams), FetchResult(len(series), calls=0, beside=beside, seams=seams)

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

    async def _from_venue(self, channel: Channel, prefetcher: PagePrefetcher) -> tuple[CandleSeries, int]:
        if self.request.start is not None and self.request.end is None and self.request.count is not None:
            return await self._forward(channel, prefetcher, self.request.start, self.request.count)
        request = self.request
        if request.start is not None and request.end is None:
            request = evolve(request, end=await self._server_now(channel))
        pager = self._walks.setdefault(channel.name, CandlePager.of(request, self._page_size(channel)))
        await self._walk(channel, pager, prefetcher)
        return pager.result(), pager.calls

    def _page_size(self, channel: Channel) -> int:
        size = channel.capabilities.candles_per_call
        if size < 1:
            msg = f"channel {channel.name!r} declares no candles per call"
            raise UnsupportedRequestError(msg)
        return size

    async def _walk(self, channel: Channel, pager: CandlePager, prefetcher: PagePrefetcher | None = None) -> None:
        source: PageSource = channel if prefetcher is None or isinstance(channel, CachedChannel) else prefetcher
        while (page := pager.next_page()) is not None:
            symbol, frame = self.request.symbol, self.request.timeframe
            if isinstance(channel, CachedChannel) and page.end is not None:
                held = await channel.get_held(symbol, frame, pager.missing, page.end)
                if held is not None:
                    pager.take(held, calls=0)
                    continue
            if page.delay_s or pager.calls:  # a long walk through a channel that never waits leaves others their turn
                await self.clock.sleep(page.delay_s)
            count = None if channel.capabilities.candles_per_call == 1 else page.count
            if prefetcher is not None:
                prefetcher.set_target(frame, pager.missing, pager.start)
            pager.take(await source.get_candles(symbol, frame, count, end=page.end))

    async def _forward(
        self, channel: Channel, prefetcher: PagePrefetcher, start: datetime, count: int
    ) -> tuple[CandleSeries, int]:
        now = await self._server_now(channel)
        frame = self.request.timeframe
        listed_from, calls = await find_listing_date(channel, self.request, start, now, self.clock)
        if isinstance(channel, CachedChannel):
            channel.begin_walk()
        begin = max(frame.floor(listed_from), frame.ceil(start))
        windows = ForwardWindows(frame, count, begin)
        parts: list[CandleSeries] = []
        found = 0
        while found < count and (not parts or windows.cursor <= now):
            window = windows.next_window(found)
            asked = evolve(self.request, count=None, start=window.start, end=window.end)
            pager = CandlePager.of(asked, self._page_size(channel))
            if isinstance(channel, CachedChannel):
                channel.forget_above()
            await self._walk(channel, pager, prefetcher)
            parts.append(pager.result())
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

    async def held_of_delisted(self, error: RequestError) -> CandleSeries:
        """Return what is held of a symbol that the venue no longer knows; raises ``error`` where nothing is."""
        if self.desk.cache is None or not self.reads:
            raise error
        try:
            series, _ = await self._from_store(self.desk.cache)
        except ChannelError:
            raise error from None
        known = max((span.end for span in series.coverage.proven), default=series.coverage.asked.start)
        ended = TimeRange(known, max(known, series.coverage.asked.end))
        return evolve(series, coverage=series.coverage.explain(ended, Reason.DELISTED))

    def partial(self) -> CandleSeries | None:
        """Return the longest part that any channel delivered before it failed; what lacks is a gap."""
        walks = [pager for pager in self._walks.values() if pager.calls and pager.rows]
        if not walks:
            return None
        best = max(walks, key=lambda pager: pager.rows)
        series = best.result()
        if self.request.start is not None or self.request.count is None:
            return series
        asked = series.coverage.asked
        begin = self.request.timeframe.move(asked.start, best.rows - self.request.count)
        return evolve(series, coverage=series.coverage.within(TimeRange(begin, asked.end)))


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


async def fetch_candles(fetch: CandleFetcher, router: SmartChannelRouter) -> tuple[CandleSeries, RoutePlan]:
    """Return the answer and its trace; a partial one rather than none, with what lacks as a gap.

    Raises:
        RequestError: the request is wrong.
        AllChannelsFailedError: no channel delivered a single row.

    """
    await fetch.desk.flush()
    plan = router.explain(fetch.request)
    fetch.reads = any(router.channels[name].capabilities.answers_from_store for name in plan.channels)
    try:
        series, trace = await router.run(fetch.request, fetch.from_channel, plan)
    except (SymbolDelistedError, UnknownSymbolError) as error:
        held = await fetch.held_of_delisted(error)
        return held, plan.with_note(f"no longer listed, served from what is held: {error}")
    except AllChannelsFailedError as error:
        partial = fetch.partial()
        if partial is None:
            raise
        trace = router.explain(fetch.request).with_note(f"{INCOMPLETE}: {error}")
        return partial, trace
    return series, _with_remarks(trace, fetch.request, series)


def _with_remarks(trace: RoutePlan, request: CandleRequest, series: CandleSeries) -> RoutePlan:
    asked_until = series.coverage.asked.end
    if request.end is not None and request.timeframe.ceil(request.end) > asked_until:
        return trace.with_note(f"the end {to_text(request.end)} lies in the future; cut to {to_text(asked_until)}")
    return trace


async def fetch_trades(
    request: TradesRequest, channel: Channel, reader: TradeReader
) -> tuple[list[Trade], FetchResult]:
    """Return the newest trades of one channel, across UTC days where the channel keeps them."""
    if not isinstance(channel, TradeHistory):
        trades = list(await channel.get_trades(request.symbol, request.count))
        return trades, FetchResult(len(trades))
    paging = TradePager(channel.capabilities.trades_per_call, request.count)
    await reader.pager(channel, request.symbol, paging)
    return paging.trades, FetchResult(len(paging.trades), paging.calls)
