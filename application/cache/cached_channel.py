"""A channel and a store as one: what is held is not asked for again, what was asked for is held.

Invariants:
    A page is answered from the store only as far as every slot of it is proven.
    Each page of the venue that meets what is held takes at least one held row along and is compared with
    it; nothing is served as held that the venue has just contradicted.
    A store that fails costs the answer nothing: the venue is asked, and the failure is reported once.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from attrs import define, evolve, field

from ...domain.candle import Candle
from ...domain.capabilities import Capabilities
from ...domain.coverage import Coverage, ExplainedRange, Reason
from ...domain.errors import ChannelError, MalformedReplyError
from ...domain.events import CandleRevised, HistoryRewritten, MarketEvent
from ...domain.ledger import Ledger, SeriesKey
from ...domain.orderbook import OrderBook
from ...domain.ports import CandleStore, Channel
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.ticker import Ticker
from ...domain.time_range import TimeRange
from ...domain.timeframe import FAR_FUTURE, Timeframe
from ...domain.timestamps import to_text
from ...domain.trade import Trade
from ..paging.prefetch import PagePrefetcher, PageSource
from ..routing.router import HistoryRewrittenError
from .reconciliation import CacheStats, PageComparison, below, beyond, compare, tip_seam

UNVERIFIED = PageComparison()


@define(eq=False, kw_only=True)
class CachedChannel:
    """Decorates ``inner`` with ``store``; made for one request, and counts what it did.

    Attributes:
        publish: hears of revisions and of rewritten history.
        report: hears of a store that failed.
        tip: what a live stream holds open of a series now.
        reads: False to ask the venue for everything, and only remember.
        ahead: asks the channel inside for pages before their turn.
        store_error: why the store is no longer used, once it has failed.

    """

    inner: Channel
    store: CandleStore
    publish: Callable[[SeriesKey, MarketEvent], None]
    report: Callable[[str], None]
    tip: Callable[[SeriesKey], CandleSeries | None]
    reads: bool = True
    prefetcher: PagePrefetcher | None = None
    stats: CacheStats = field(factory=CacheStats)
    _above: Candle | None = None
    store_error: ChannelError | None = None

    @property
    def name(self) -> str:
        """The name of the channel inside."""
        return self.inner.name

    @property
    def venue(self) -> str:
        """Whose data this is."""
        return self.inner.venue

    @property
    def _source(self) -> PageSource:
        return self.inner if self.prefetcher is None else self.prefetcher

    @property
    def capabilities(self) -> Capabilities:
        """What the channel inside can do."""
        return self.inner.capabilities

    def key(self, symbol: str, timeframe: str) -> SeriesKey:
        """Return what the series is kept under."""
        return SeriesKey(self.inner.venue, Symbol(symbol), Timeframe.parse(timeframe))

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return one page: from the store as far as that is proven, otherwise from the venue."""
        rows = self.capabilities.candles_per_call if count is None else count
        held = None if end is None or start is not None else await self.get_held(symbol, timeframe, rows, end)
        if held is not None:
            return held
        key = self.key(symbol, timeframe)
        if start is None and end is None and (live := self.get_tip(key)) is not None:
            return live
        return await self._ask(key, self.ledger(key), rows, start, end)

    async def get_held(self, symbol: str, timeframe: str, rows: int, end: datetime) -> CandleSeries | None:
        """Return up to ``rows`` candles below ``end`` that need not be asked for; None where a hole lies below it."""
        key = self.key(symbol, timeframe)
        ledger, at = self.ledger(key), key.timeframe.ceil(end)
        if ledger.beginning is not None and at <= ledger.beginning:
            return _nothing_older(key, at)
        span = ledger.known_below(at)
        if span is None:
            return None
        try:
            series = await self.store.read_newest(key, rows, span)
        except ChannelError as error:
            self._give_up_store(error)
            return None
        if len(series) < rows and span.start == ledger.beginning:
            listed = series.coverage.explain(_before(key, span.start), Reason.BEFORE_LISTING)
            series = evolve(series, coverage=listed)
        if not _proves(series):
            return None  # a block was damaged, or the series was set aside, since the ledger was read
        self._above = series[0] if len(series) else self._above
        self.stats.held_rows += len(series)
        return series

    def forget_above(self) -> None:
        """Begin another walk: what was held above the last page has nothing to do with the next."""
        self._above = None

    def begin_walk(self) -> None:
        """Begin the walk that counts: what was read to find out where to begin is no part of the answer."""
        self.stats.held_rows = self.stats.live_rows = 0
        self.stats.seams.clear()
        self._above = None

    async def skip_held(self, key: SeriesKey, end: datetime) -> CandleSeries | None:
        """Return the proven range below ``end`` without its candles; None where a hole lies below it."""
        ledger, at = self.ledger(key), key.timeframe.ceil(end)
        if ledger.beginning is not None and at <= ledger.beginning:
            return _nothing_older(key, at)
        known = ledger.known_below(at)
        if known is None:
            return None
        probe = key.timeframe.move(known.start, self.capabilities.candles_per_call)
        try:
            oldest = await self.store.read(key, TimeRange(known.start, min(known.end, probe)))
        except ChannelError as error:
            self._give_up_store(error)
            return None
        self._above = oldest[0] if len(oldest) else None
        coverage = Coverage(asked=known, proven=(known,))
        if known.start == ledger.beginning:
            coverage = coverage.explain(_before(key, known.start), Reason.BEFORE_LISTING)
        return CandleSeries.of(key.venue, key.symbol, key.timeframe, (), coverage)

    def get_tip(self, key: SeriesKey) -> CandleSeries | None:
        """Return the newest candles from a live stream, if everything before them is held."""
        live = self.tip(key) if self.reads else None
        if live is None or self.ledger(key).known_below(live.coverage.asked.start) is None:
            return None
        self.stats.live_rows += len(live)
        if len(live):
            self.stats.seams.append(tip_seam(live[0], live[0].source))
        return live

    def ledger(self, key: SeriesKey) -> Ledger:
        """Return what is known of a series; nothing when the store may not be read, or has failed."""
        if not self.reads or self.store_error is not None:
            return Ledger()
        try:
            return self.store.ledger(key)
        except ChannelError as error:
            self._give_up_store(error)
            return Ledger()

    def _give_up_store(self, error: ChannelError) -> None:
        if self.store_error is None:
            self.report(str(error))
            self.store_error = error

    async def _ask(
        self, key: SeriesKey, ledger: Ledger, rows: int, start: datetime | None, end: datetime | None
    ) -> CandleSeries:
        at = None if end is None else key.timeframe.ceil(end)
        above = self._touching(key, ledger, at)
        floor = ledger.known_end_before(at or FAR_FUTURE)
        wanted = rows
        if floor is not None and at is not None:
            hole = key.timeframe.count_slots(TimeRange(floor, at))
            wanted = hole + 1 if hole <= rows else rows
        count = min(self.capabilities.candles_per_call, wanted + (above is not None))
        upper = end if above is None else above.closed_at
        if self.prefetcher is not None:
            self.prefetcher.set_floor(floor)
        page = await self._source.get_candles(key.symbol, key.timeframe, count, start=start, end=upper)
        self.stats.calls += 1
        self._above = None
        key = SeriesKey(page.venue, key.symbol, key.timeframe)
        page = self._check_claim(page, floor)
        found = await self._compare(key, page)
        if found.differences:
            await self._read_back(key, page, found)
        elif above is not None and not _tells(page, above):
            msg = "what was held was set aside while it was read"
            raise HistoryRewrittenError(msg)
        await self._remember(key, page)
        self.stats.join(found, key.timeframe, self.name, None if above is None else above.opened_at)
        page = page if above is None or at is None else below(page, at)
        is_met = floor is not None and any(slot < floor for slot in found.shared) and self.store_error is None
        return page if floor is None or not is_met else beyond(page, floor)

    def _touching(self, key: SeriesKey, ledger: Ledger, at: datetime | None) -> Candle | None:
        """Return the held candle above ``at``, if nothing unknown lies between."""
        above = self._above
        if at is None or above is None or above.identity[:3] != (key.venue, key.symbol, key.timeframe):
            return None
        known = ledger.known_below(above.opened_at) if above.opened_at > at else None
        touches = above.opened_at == at or (known is not None and known.start <= at)
        return above if touches else None

    def _check_claim(self, page: CandleSeries, floor: datetime | None) -> CandleSeries:
        """A page that claims a beginning above what is held lies; for seconds it tells where the venue forgets."""
        claimed = page.coverage.claimed_beginning
        if claimed is None or floor is None or claimed <= floor:
            return page
        if page.timeframe is Timeframe.S1:
            forgotten = TimeRange(floor, claimed)
            coverage = evolve(page.coverage, claimed_beginning=None).explain(forgotten, Reason.BEYOND_RETENTION)
            return evolve(page, coverage=coverage.within(TimeRange(floor, max(floor, page.coverage.asked.end))))
        msg = f"the venue claims that nothing is older than {to_text(claimed)}, but older candles are held"
        raise MalformedReplyError(msg, channel=self.name)

    async def _compare(self, key: SeriesKey, page: CandleSeries) -> PageComparison:
        ledger = self.ledger(key)
        span = TimeRange(page.opened_at(0), page.timeframe.next(page.opened_at(-1))) if len(page) else None
        span = None if span is None else ledger.known_within(span)
        if span is None:
            return UNVERIFIED
        try:
            found = compare(await self.store.read(key, span), page)
            for doubted in found.doubted:
                await self.store.invalidate(key, doubted)
        except ChannelError as error:
            self._give_up_store(error)
            return UNVERIFIED
        self.stats.overlap_rows += len(found.shared)
        return found

    async def _read_back(self, key: SeriesKey, page: CandleSeries, found: PageComparison) -> None:
        """Read one more page of what is held: a second that differs means that history was rewritten."""
        try:
            second = await self._second_page(key, page, found)
        except ChannelError as error:
            self._give_up_store(error)
            return
        if second is None or not (again := await self._compare(key, second)).differences:
            return
        detail = f"{len(found.differences) + len(again.differences)} slots of two pages differ from what was held"
        try:
            await self.store.quarantine(key, f"rewritten by the venue: {detail}")
            for fresh in (page, second):
                await self.store.write(fresh)
        except ChannelError as error:
            self._give_up_store(error)
        self.publish(key, HistoryRewritten(key.symbol, key.timeframe, found.differences[-1], detail))
        raise HistoryRewrittenError(detail)

    async def verify(self, key: SeriesKey, count: int, end: datetime) -> None:
        """Compare one held page with the venue, and take the venue's word where they differ.

        Raises:
            HistoryRewrittenError: another page differs too; what was held is set aside.

        """
        self.stats.verification_reads += 1
        page = await self.inner.get_candles(key.symbol, key.timeframe, count, end=end)
        found = await self._compare(key, page)
        if found.differences:
            await self._read_back(key, page, found)
        await self._remember(key, page)

    async def _second_page(self, key: SeriesKey, page: CandleSeries, found: PageComparison) -> CandleSeries | None:
        """Ask for the held page below the one that differed, or above it where nothing below is held."""
        size, oldest = self.capabilities.candles_per_call, page[0].opened_at
        older = self.ledger(key).known_below(oldest)
        end = oldest
        if older is None:
            beyond = max(found.differences[-1], page[-1].opened_at)
            above = [span for span in self.ledger(key).proven if span.end > key.timeframe.next(beyond)]
            if not above:
                return None
            held = await self.store.read(key, TimeRange(max(above[0].start, key.timeframe.next(beyond)), above[0].end))
            if not len(held):
                return None
            end = held[min(size, len(held)) - 1].closed_at
        self.stats.verification_reads += 1
        self.stats.calls += 1
        return await self.inner.get_candles(key.symbol, key.timeframe, size, end=end)

    async def _remember(self, key: SeriesKey, page: CandleSeries) -> None:
        if self.store_error is not None:
            return
        try:
            remembered = await self.store.write(page)
        except ChannelError as error:
            self._give_up_store(error)
            return
        for old, new in remembered.revised:
            self.stats.revised += 1
            self.publish(key, CandleRevised(old, new))

    async def remember_beginning(self, key: SeriesKey, explained: Iterable[ExplainedRange]) -> None:
        """Keep what a whole walk has proven about the time before the first candle."""
        listed = tuple(part for part in explained if part.reason is Reason.BEFORE_LISTING and part.span)
        if listed:
            span = TimeRange(listed[0].start, listed[-1].end)
            coverage = Coverage(asked=span, explained=listed)
            await self._remember(key, CandleSeries.of(key.venue, key.symbol, key.timeframe, (), coverage))

    async def get_ticker(self, symbol: str) -> Ticker:
        """Return the newest ticker of the channel inside."""
        return await self.inner.get_ticker(symbol)

    async def get_tickers(self, symbols: Sequence[str]) -> Sequence[Ticker]:
        """Return the newest tickers of the channel inside."""
        return await self.inner.get_tickers(symbols)

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Return the newest book of the channel inside."""
        return await self.inner.get_orderbook(symbol, depth)

    async def get_trades(self, symbol: str, count: int = 100) -> Sequence[Trade]:
        """Return the newest trades of the channel inside."""
        return await self.inner.get_trades(symbol, count)

    async def close(self) -> None:
        """Close the channel inside; the store belongs to others."""
        await self.inner.close()


def _before(key: SeriesKey, at: datetime) -> TimeRange:
    return TimeRange(key.timeframe.previous(at), at)


def _nothing_older(key: SeriesKey, at: datetime) -> CandleSeries:
    coverage = Coverage.nothing(at).explain(_before(key, at), Reason.BEFORE_LISTING)
    return CandleSeries.of(key.venue, key.symbol, key.timeframe, (), coverage)


def _proves(series: CandleSeries) -> bool:
    """Return whether every slot of the question is known."""
    asked = series.coverage.asked
    return not asked or any(span.start <= asked.start and asked.end <= span.end for span in series.coverage.proven)


def _tells(page: CandleSeries, held: Candle) -> bool:
    """Return whether a page tells the same of a slot as what was served of it."""
    told = next((candle for candle in page if candle.opened_at == held.opened_at), None)
    return told is not None and told.is_same_market_data(held)
