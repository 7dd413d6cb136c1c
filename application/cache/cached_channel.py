"""A channel and a store as one: what is held is not asked for again, what was asked for is held.

Invariants:
    A page is answered from the store only as far as every slot of it is proven.
    Each page of the venue that meets what is held takes at least one held row along and is compared with
    it; nothing is served as held that the venue has just contradicted.
    A store that fails costs the answer nothing: the venue is asked, and the failure is reported once.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from attrs import define, evolve, field

from ...domain.candle import Candle
from ...domain.coverage import Coverage, ExplainedRange, Reason
from ...domain.errors import ChannelError, MalformedReplyError
from ...domain.events import CandleRevised, HistoryRewritten, MarketEvent
from ...domain.ledger import Ledger, SeriesKey
from ...domain.ports import CandleStore, Channel
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ...domain.timeframe import FAR_FUTURE, Timeframe
from ...domain.timestamps import to_text
from ..paging.candle_pager import Page, PageAnswer, PageSource
from ..runtime.telemetry import StoreErrors
from .reconciliation import CacheStats, HistoryRewrittenError, PageComparison, compare, tip_seam

UNVERIFIED = PageComparison()


class LiveSeries(Protocol):
    """What streams know of a series now, and who follows it."""

    def tip_of(self, key: SeriesKey) -> CandleSeries | None:
        """Return the slots that a stream holds open, or None where none is witnessed."""
        ...

    def publish(self, key: SeriesKey, event: MarketEvent) -> None:
        """Tell whoever follows the series."""
        ...


@define(eq=False, kw_only=True)
class CachedChannel:
    """The pages of one channel, with the store in front; made for one request, and counts what it did.

    Attributes:
        channel: whose pages these are.
        source: brings those that are not held.
        store: None where nothing is kept of the channel.
        live: hears of revisions and of rewritten history, and knows the newest candles.
        errors: hears of a store that failed.
        reads: False to ask the venue for everything, and only keep it.
        skips: a held range is answered without its rows: whoever asks wants it held, and nothing else.
        tip: the newest candles, where another channel has brought them already.
        store_error: why the store is no longer used, once it has failed.

    """

    channel: Channel
    source: PageSource
    store: CandleStore | None
    live: LiveSeries
    errors: StoreErrors
    reads: bool = True
    skips: bool = False
    tip: CandleSeries | None = None
    stats: CacheStats = field(factory=CacheStats)
    _above: Candle | None = None
    store_error: ChannelError | None = None

    async def read(self, page: Page) -> PageAnswer:
        """Return one page: from the store as far as that is proven, otherwise from the venue."""
        key = SeriesKey(self.channel.venue, page.symbol, page.timeframe)
        held = await self._held(key, page.missing, page.end)
        if held is not None:
            return PageAnswer(held, calls=0)
        return PageAnswer(await self._ask(key, page))

    async def _held(self, key: SeriesKey, rows: int, end: datetime | None) -> CandleSeries | None:
        """Return up to ``rows`` candles below ``end`` that need not be asked for; None where a hole lies below it."""
        if end is None:
            return self._live_tip(key)
        ledger, at = self.ledger(key), key.timeframe.ceil(end)
        if ledger.beginning is not None and at <= ledger.beginning:
            return _nothing_older(key, at)
        known = ledger.known_below(at)
        if known is None or self.store is None:
            return None
        try:
            return await (
                self._skipped(self.store, key, known) if self.skips else self._rows(self.store, key, rows, known)
            )
        except ChannelError as error:
            self._give_up_store(error)
            return None

    async def _rows(self, store: CandleStore, key: SeriesKey, rows: int, known: TimeRange) -> CandleSeries | None:
        series = await store.read_newest(key, rows, known)
        if len(series) < rows and known.start == self.ledger(key).beginning:
            listed = series.coverage.explain(_before(key, known.start), Reason.BEFORE_LISTING)
            series = evolve(series, coverage=listed)
        if not _proves(series):
            return None  # a block was damaged, or the series was set aside, since the ledger was read
        self._above = series[0] if len(series) else self._above
        self.stats.held_rows += len(series)
        return series

    async def _skipped(self, store: CandleStore, key: SeriesKey, known: TimeRange) -> CandleSeries:
        """Return a proven range without its candles, and keep the oldest row to compare."""
        probe = key.timeframe.move(known.start, self.channel.capabilities.candles_per_call)
        oldest = await store.read(key, TimeRange(known.start, min(known.end, probe)))
        self._above = oldest[0] if len(oldest) else None
        coverage = Coverage(asked=known, proven=(known,))
        if known.start == self.ledger(key).beginning:
            coverage = coverage.explain(_before(key, known.start), Reason.BEFORE_LISTING)
        return CandleSeries.of(key.venue, key.symbol, key.timeframe, (), coverage)

    def forget_above(self) -> None:
        """Begin another range: what was held above the last page has nothing to do with the next."""
        self._above = None

    def start_counting(self) -> None:
        """Begin the range that counts: what was read to find out where to begin is no part of the answer."""
        self.stats.held_rows = self.stats.live_rows = 0
        self.stats.seams.clear()
        self._above = None

    def _live_tip(self, key: SeriesKey) -> CandleSeries | None:
        """Return the newest candles from a live stream, if everything before them is held."""
        live = self.tip or (self.live.tip_of(key) if self.reads else None)
        if live is None or self.ledger(key).known_below(live.coverage.asked.start) is None:
            return None
        self.stats.live_rows += len(live)
        if len(live):
            self.stats.seams.append(tip_seam(live[0], live[0].source))
        return live

    def ledger(self, key: SeriesKey) -> Ledger:
        """Return what is known of a series; nothing when the store may not be read, or has failed."""
        if not self.reads or self.store is None or self.store_error is not None:
            return Ledger()
        try:
            return self.store.ledger(key)
        except ChannelError as error:
            self._give_up_store(error)
            return Ledger()

    def _give_up_store(self, error: ChannelError) -> None:
        if self.store_error is None:
            self.errors.report(str(error))
            self.store_error = error

    async def _ask(self, key: SeriesKey, page: Page) -> CandleSeries:
        ledger, at = self.ledger(key), None if page.end is None else key.timeframe.ceil(page.end)
        above = self._touching(key, ledger, at)
        floor = ledger.known_end_before(at or FAR_FUTURE)
        answer = await self.source.read(self._widened(page, at, above, floor))
        self.stats.calls += 1
        self._above = None
        key = SeriesKey(answer.series.venue, key.symbol, key.timeframe)
        found = self._check_claim(answer.series, floor)
        compared = await self._compare(key, found)
        if compared.differences:
            await self._read_back(key, found, compared)
        elif above is not None and not _tells(found, above):
            msg = "what was held was set aside while it was read"
            raise HistoryRewrittenError(msg)
        await self._keep(key, found)
        self.stats.note_joins(compared, key.timeframe, self.channel.name, None if above is None else above.opened_at)
        found = found if above is None or at is None else found.below(at)
        is_met = floor is not None and any(slot < floor for slot in compared.shared) and self.store_error is None
        return found if floor is None or not is_met else found.beyond(floor)

    def _widened(self, page: Page, at: datetime | None, above: Candle | None, floor: datetime | None) -> Page:
        """Return the page with a held row at either end, to be compared; it costs rows, no call."""
        rows = page.count
        if floor is not None and at is not None:
            hole = page.timeframe.count_slots(TimeRange(floor, at))
            rows = hole + 1 if hole <= rows else rows
        if above is None and floor is None:
            return page
        own = page.floor
        return evolve(
            page,
            count=min(self.channel.capabilities.candles_per_call, rows + (above is not None)),
            end=page.end if above is None else above.closed_at,
            floor=own if floor is None else floor if own is None else max(own, floor),
            is_floor_held=floor is not None and (own is None or own <= floor),
        )

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
        raise MalformedReplyError(msg, channel=self.channel.name)

    async def _compare(self, key: SeriesKey, page: CandleSeries) -> PageComparison:
        ledger = self.ledger(key)
        span = TimeRange(page.opened_at(0), page.timeframe.next(page.opened_at(-1))) if len(page) else None
        span = None if span is None else ledger.known_within(span)
        if span is None or self.store is None:
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
        end = await self._end_of_second_page(key, page, found)
        if end is None:
            return
        self.stats.verification_reads += 1
        second = await self._read_apart(key, self.channel.capabilities.candles_per_call, end)
        self.stats.calls += 1
        if not (again := await self._compare(key, second)).differences:
            return
        detail = f"{len(found.differences) + len(again.differences)} slots of two pages differ from what was held"
        await self._begin_anew(key, (page, second), detail)
        self.live.publish(key, HistoryRewritten(key.symbol, key.timeframe, found.differences[-1], detail))
        raise HistoryRewrittenError(detail)

    async def _begin_anew(self, key: SeriesKey, pages: Iterable[CandleSeries], detail: str) -> None:
        """Set aside what is held of a series, and keep what the venue has just told."""
        if self.store is None:
            return
        try:
            await self.store.quarantine(key, f"rewritten by the venue: {detail}")
            for fresh in pages:
                await self.store.write(fresh)
        except ChannelError as error:
            self._give_up_store(error)

    async def verify(self, key: SeriesKey, count: int, end: datetime) -> None:
        """Compare one held page with the venue, and take the venue's word where they differ.

        Raises:
            HistoryRewrittenError: another page differs too; what was held is set aside.

        """
        self.stats.verification_reads += 1
        page = await self._read_apart(key, count, end)
        found = await self._compare(key, page)
        if found.differences:
            await self._read_back(key, page, found)
        await self._keep(key, page)

    async def _read_apart(self, key: SeriesKey, count: int, end: datetime) -> CandleSeries:
        page = Page(symbol=key.symbol, timeframe=key.timeframe, count=count, end=end, is_apart=True)
        return (await self.source.read(page)).series

    async def _end_of_second_page(self, key: SeriesKey, page: CandleSeries, found: PageComparison) -> datetime | None:
        """Return the end of the held page below the one that differed, or of one above where nothing below is held."""
        size, ledger = self.channel.capabilities.candles_per_call, self.ledger(key)
        if ledger.known_below(page[0].opened_at) is not None:
            return page[0].opened_at
        beyond = key.timeframe.next(max(found.differences[-1], page[-1].opened_at))
        above = [span for span in ledger.proven if span.end > beyond]
        if not above or self.store is None:
            return None
        try:
            held = await self.store.read(key, TimeRange(max(above[0].start, beyond), above[0].end))
        except ChannelError as error:
            self._give_up_store(error)
            return None
        return held[min(size, len(held)) - 1].closed_at if len(held) else None

    async def _keep(self, key: SeriesKey, page: CandleSeries) -> None:
        if self.store is None or self.store_error is not None:
            return
        try:
            written = await self.store.write(page)
        except ChannelError as error:
            self._give_up_store(error)
            return
        for old, new in written.revised:
            self.stats.revised += 1
            self.live.publish(key, CandleRevised(old, new))

    async def keep_beginning(self, key: SeriesKey, explained: Iterable[ExplainedRange]) -> None:
        """Keep what all pages of a range have proven about the time before the first candle."""
        listed = tuple(part for part in explained if part.reason is Reason.BEFORE_LISTING and part.span)
        if listed:
            span = TimeRange(listed[0].start, listed[-1].end)
            coverage = Coverage(asked=span, explained=listed)
            await self._keep(key, CandleSeries.of(key.venue, key.symbol, key.timeframe, (), coverage))


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
    row = next((candle for candle in page if candle.opened_at == held.opened_at), None)
    return row is not None and row.is_same_market_data(held)
