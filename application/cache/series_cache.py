"""Everything that one API does with its store of candles."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Self

from attrs import define

from ...domain.errors import ChannelError
from ...domain.events import MarketEvent
from ...domain.ledger import Ledger, SeriesKey
from ...domain.ports import CandleCache, Channel
from ...domain.request import AnyRequest, CandleRequest
from ...domain.routing import Extent, Holdings
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ..paging.prefetch import ReadAhead
from ..routing.channel_directory import Venues, is_worth_keeping
from .cached_channel import CachedRepository
from .reconciliation import tip_above


async def _nothing_waits() -> None:
    """Have nothing written: no stream feeds this store."""


@define(eq=False, kw_only=True)
class CacheDesk:
    """The store of one API, if it has any, and whose data goes into it.

    Attributes:
        venues: tells whose data an answer is.
        publish: hears of revisions and of rewritten history.
        report: hears of a store that failed.
        tip: what a live stream holds open of a series now.
        flush: has what streams sealed a moment ago written, so that it is held.

    """

    cache: CandleCache | None
    venues: Venues
    publish: Callable[[SeriesKey, MarketEvent], None]
    report: Callable[[str], None]
    tip: Callable[[SeriesKey], CandleSeries | None]
    flush: Callable[[], Awaitable[None]]

    @classmethod
    def of(
        cls,
        venues: Venues,
        *,
        publish: Callable[[SeriesKey, MarketEvent], None],
        report: Callable[[str], None],
        tip: Callable[[SeriesKey], CandleSeries | None] = lambda _: None,
        flush: Callable[[], Awaitable[None]] = _nothing_waits,
    ) -> Self:
        """Find the store among the channels; it stands in for the channels of every venue."""
        cache = next((channel for channel in venues.channels.values() if isinstance(channel, CandleCache)), None)
        if cache is not None:
            cache.bind_venues(venues.venue_of)
        return cls(cache=cache, venues=venues, publish=publish, report=report, tip=tip, flush=flush)

    def remembers(self, channel: Channel) -> bool:
        """Return whether what this channel answers is worth keeping."""
        return self.cache is not None and is_worth_keeping(channel)

    def decorate(self, channel: Channel, *, reads: bool, ahead: ReadAhead | None = None) -> CachedRepository | None:
        """Return the channel and the store as one, or None where nothing is kept of it."""
        if self.cache is None or not self.remembers(channel):
            return None
        store = self.cache.store
        return CachedRepository(
            inner=channel, store=store, publish=self.publish, report=self.report, tip=self.tip, reads=reads, ahead=ahead
        )

    def decorate_tip(self, channel: Channel, newest: CandleSeries, open_slot: datetime) -> CachedRepository | None:
        """Return the store with the newest candle of a channel on top; None where they do not touch."""
        if self.cache is None:
            return None
        store, key = self.cache.store, SeriesKey(newest.venue, newest.symbol, newest.timeframe)
        tip = tip_above(store.ledger(key), newest, open_slot)
        if tip is None:
            return None
        return CachedRepository(inner=channel, store=store, publish=self.publish, report=self.report, tip=lambda _: tip)

    def key(self, request: CandleRequest) -> SeriesKey:
        """Return what the answer to a request is kept under."""
        return SeriesKey(self.venues.venue_of(request.symbol.venue_prefix), request.symbol, request.timeframe)

    def held(self, channel: str, request: AnyRequest) -> Holdings:
        """Return how much of a request the named channel holds."""
        if self.cache is None or channel != self.cache.name or not isinstance(request, CandleRequest):
            return Holdings()
        try:
            key = self.key(request)
            ledger = self.cache.store.ledger(key)
        except ChannelError as error:
            self.report(str(error))
            return Holdings()
        if ledger.is_empty:
            return Holdings()
        live, now = self.tip(key), self.venues.time_of(request.symbol.venue_prefix).latest()
        return how_much_is_held(request, ledger, now, None if live is None else live.coverage.asked.start)


def how_much_is_held(
    request: CandleRequest, ledger: Ledger, server_now: datetime | None, live_from: datetime | None = None
) -> Holdings:
    """Return how much of a request a ledger knows; pure.

    A series of which anything is held is held in part, even where the request meets nothing of it: what is
    asked for may touch what is held, and is compared there.

    A count asks for rows, a ledger knows slots: where some slots are empty, the rows reach further back
    than is reckoned here, and the plan's figure is the least.
    """
    if ledger.is_empty:
        return Holdings()
    span = _asked_span(request, server_now)
    if span is None:
        return Holdings(extent=Extent.PART)
    if live_from is not None and ledger.known_below(live_from) is not None and span.start <= live_from < span.end:
        span = TimeRange(span.start, live_from)
    missing = sum(request.timeframe.count_slots(part) for part in ledger.missing(span))
    extent = Extent.PART if missing else Extent.WHOLE
    return Holdings(
        extent=extent, missing_slots=missing, lacks_only_tip=_lacks_only_tip(request, ledger, span, server_now)
    )


def _lacks_only_tip(request: CandleRequest, ledger: Ledger, span: TimeRange, server_now: datetime | None) -> bool:
    """Return whether all that is over is held, and the slot that is open is wanted."""
    if server_now is None or request.closed_only or request.final_only:
        return False
    open_slot = request.timeframe.floor(server_now)
    if not span.start <= open_slot < span.end:
        return False
    return not ledger.missing(TimeRange(span.start, open_slot)) and ledger.known_below(open_slot) is not None


def _asked_span(request: CandleRequest, server_now: datetime | None) -> TimeRange | None:
    frame = request.timeframe
    now = None if server_now is None else frame.next(server_now)
    if request.start is not None and request.count is not None:
        start = frame.ceil(request.start)
        end = frame.move(start, request.count)
        return TimeRange(start, max(start, end if now is None else min(end, now)))
    end = now if request.end is None else frame.ceil(request.end) if now is None else min(frame.ceil(request.end), now)
    if end is None:
        return None
    start = frame.move(end, -(request.count or 0)) if request.start is None else frame.ceil(request.start)
    return TimeRange(min(start, end), end)
