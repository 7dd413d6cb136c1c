"""Everything that one API does with its store of candles."""

from datetime import datetime

from attrs import define

from ...domain.errors import ChannelError
from ...domain.ledger import Ledger, SeriesKey
from ...domain.ports import CandleCache, Channel
from ...domain.request import AnyRequest, CandleRequest
from ...domain.routing import Extent, Holdings
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ..paging.candle_pager import PageSource
from ..paging.prefetch import ChannelPages
from ..routing.channel_directory import ChannelDirectory, is_worth_keeping
from ..runtime.telemetry import StoreErrors
from .cached_channel import CachedChannel, LiveSeries
from .reconciliation import tip_page
from .write_behind import WriteBehind


@define(eq=False, kw_only=True)
class SeriesCache:
    """The store of one API, if it has any, and whose data goes into it.

    Attributes:
        directory: tells whose data an answer is.
        live: what streams know of a series, and who follows it.
        errors: hears of a store that failed.
        write_behind: what streams sealed a moment ago, and nobody has written yet.
        channel: answers from the store alone; None where nothing is kept.

    """

    directory: ChannelDirectory
    live: LiveSeries
    errors: StoreErrors
    write_behind: WriteBehind
    channel: CandleCache | None = None

    def __attrs_post_init__(self) -> None:
        """Have the store answer for the channels of every venue."""
        if self.channel is not None:
            self.channel.bind_venues(self.directory.venue_of)

    def keeps(self, channel: Channel) -> bool:
        """Return whether what this channel answers is kept."""
        return self.channel is not None and is_worth_keeping(channel)

    def wrap(
        self, channel: Channel, source: PageSource | None = None, *, reads: bool = True, skips: bool = False
    ) -> CachedChannel:
        """Return the pages of a channel with the store in front, where anything is kept of it."""
        return CachedChannel(
            channel=channel,
            source=ChannelPages(channel) if source is None else source,
            store=self.channel.store if self.channel is not None and self.keeps(channel) else None,
            live=self.live,
            errors=self.errors,
            reads=reads,
            skips=skips,
        )

    def wrap_tip(
        self, channel: Channel, source: PageSource, newest: CandleSeries, open_slot: datetime
    ) -> CachedChannel | None:
        """Return the store with the newest candle of a channel on top; None where they do not touch."""
        if self.channel is None:
            return None
        store, key = self.channel.store, SeriesKey(newest.venue, newest.symbol, newest.timeframe)
        tip = tip_page(store.ledger(key), newest, open_slot)
        if tip is None:
            return None
        return CachedChannel(channel=channel, source=source, store=store, live=self.live, errors=self.errors, tip=tip)

    def key(self, request: CandleRequest) -> SeriesKey:
        """Return what the answer to a request is kept under."""
        return SeriesKey(self.directory.venue_of(request.symbol.venue_prefix), request.symbol, request.timeframe)

    def held(self, channel: str, request: AnyRequest) -> Holdings:
        """Return how much of a request the named channel holds."""
        if self.channel is None or channel != self.channel.name or not isinstance(request, CandleRequest):
            return Holdings()
        try:
            key = self.key(request)
            ledger = self.channel.store.ledger(key)
        except ChannelError as error:
            self.errors.report(str(error))
            return Holdings()
        if ledger.is_empty:
            return Holdings()
        live, now = self.live.tip_of(key), self.directory.server_time_of(request.symbol.venue_prefix).latest()
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
