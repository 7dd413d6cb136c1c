"""Pages asked for before a walk needs them, so that a long way to the venue costs no time.

Serial paging waits a round trip for every page. Here as many pages are on their way as fit into one round
trip at the allowed rate; the rule of which is pure, see :mod:`.slicing`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from math import ceil
from typing import Protocol

from attrs import define, field

from ...domain.call_context import CallContext, current_call_context, use_call_context
from ...domain.errors import MalformedReplyError
from ...domain.ports import Channel, Clock
from ...domain.series import CandleSeries
from ...domain.timeframe import Timeframe
from ..cache.reconciliation import below
from ..runtime.tasks import cancel_all, spawn
from .prefetch_window import PrefetchWindow

MAX_AHEAD = 16
ROUND_TRIPS_KEPT = 20
OPTIMISTIC_PAGES = 2
"""Slices that are asked for before the first page has come. They wait for their turn behind it, so that where a page
comes sooner than a turn none is sent for nothing; 170 ms away the second call left 370 ms after the first, not 100."""


class PageSource(Protocol):
    """Answers one page at a time, as a channel does."""

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return the newest ``count`` rows before ``end``."""
        ...


@define(eq=False)
class _Sent:
    """A slice on its way. It is unsent as long as it waits for the budget."""

    call_context: CallContext
    task: "asyncio.Task[CandleSeries]"

    @property
    def is_unsent(self) -> bool:
        return self.call_context.calls == 0 and not self.task.done()


@define(eq=False)
class PagePrefetcher:
    """The pages of one walk through one series of one channel.

    Invariant: after ``close`` no task is left. A slice whose bytes were written is never abandoned by a change
    of density: its answer may still be of use, and its place in the budget is taken anyway.

    Attributes:
        wasted: calls that were made ahead and that nobody needed.
        presumes: whether to ask ahead of the first page, which may turn out not to be dense.

    """

    channel: Channel
    clock: Clock
    is_optimistic: bool = False
    wasted: int = 0
    _slices: PrefetchWindow | None = None
    _sent: dict[datetime, _Sent] = field(factory=dict[datetime, _Sent])
    _leftover: list[_Sent] = field(factory=list[_Sent])
    _round_trips: deque[float] = field(factory=lambda: deque[float](maxlen=ROUND_TRIPS_KEPT))

    def set_target(self, timeframe: Timeframe, rows: int | None, floor: datetime | None) -> None:
        """Say how many rows are wanted below the next page, and from where on nothing is."""
        size = self.channel.capabilities.candles_per_call
        if self._slices is None or self._slices.timeframe is not timeframe:
            self._slices = PrefetchWindow(timeframe, size)
        self._slices.rows = None if rows is None else max(0, rows - size)
        self._slices.floor, self._slices.is_floor_held = floor, False

    def set_floor(self, floor: datetime | None) -> None:
        """Ask for nothing ahead below ``floor``: it is held."""
        if self._slices is not None and floor is not None:
            own = self._slices.floor
            self._slices.is_floor_held = own is None or own <= floor
            self._slices.floor = floor if own is None else max(own, floor)

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return one page: one that is on its way already where it fits, or a new one."""
        window = self._slices
        if window is None or start is not None or count is None or not self._may_read_ahead(window):
            page = await self.channel.get_candles(symbol, timeframe, count, start=start, end=end)
            return check_page(page, symbol, timeframe, self.channel.name)

        async def read(rows: int, before: datetime | None) -> CandleSeries:
            page = await self.channel.get_candles(symbol, timeframe, rows, end=before)
            return check_page(page, symbol, timeframe, self.channel.name)

        def ask(rows: int, before: datetime | None) -> "_Sent":
            return self._send(lambda: read(rows, before))

        whole = await self._from_slice(window, end)
        page = await self._first(window, count, end, ask) if whole is None else whole
        size, before = (count, end) if whole is None else (window.size, whole.coverage.asked.end)
        if not window.note(page, size, before):
            self._drop_unsent(window)
        able = self.channel.capabilities
        round_trip_s = min(self._round_trips, default=0.0)  # the least: a busy server does not widen it further
        width = min(MAX_AHEAD, 1 + len(self._round_trips), ceil(able.calls_per_s * round_trip_s) + 1)
        self._fill(window, ask, width)
        return page if end is None or whole is None else _newest(below(page, window.timeframe.ceil(end)), count)

    def _may_read_ahead(self, window: PrefetchWindow) -> bool:
        """Return whether another page may be wanted, or is on its way; one alone needs no task of its own."""
        return self.channel.capabilities.calls_per_s > 0 and (window.rows != 0 or bool(self._sent))

    async def _first(
        self, window: PrefetchWindow, count: int, end: datetime | None, ask: Callable[[int, datetime | None], _Sent]
    ) -> CandleSeries:
        """Ask for a page of which no slice is on its way."""
        sent = ask(count, end)
        if self.is_optimistic and not self._round_trips and end is not None:
            window.start_optimistically(end)
            self._fill(window, ask, OPTIMISTIC_PAGES)
        return await self._await(sent)

    async def _from_slice(self, window: PrefetchWindow, end: datetime | None) -> CandleSeries | None:
        """Return the whole page in which ``end`` lies, if it was asked for; None when it is of no use."""
        if end is None:
            return None
        for useless in window.passed(end):
            self._abandon(self._sent.pop(useless))
        found = window.match(end)
        if found is None:
            return None
        window.take(found)
        page = await self._await(self._sent.pop(found))
        rest = below(page, window.timeframe.ceil(end))
        if len(rest):
            return page
        self.wasted += 1  # an empty rest proves no beginning: that takes a read of its own, a second later
        return None

    def _fill(self, window: PrefetchWindow, ask: Callable[[int, datetime | None], _Sent], width: int) -> None:
        while len(self._sent) < width and (ahead := window.next_slice()) is not None:
            self._sent[ahead.end] = ask(ahead.rows, ahead.end)

    def _send(self, work: Callable[[], Awaitable[CandleSeries]]) -> _Sent:
        parent = current_call_context()
        call_context = CallContext(parent.priority, parent)  # hurries when somebody urgent joins the walk
        with use_call_context(call_context):
            return _Sent(call_context, spawn(self._timed(work, call_context), "page"))

    async def _timed(self, work: Callable[[], Awaitable[CandleSeries]], call_context: CallContext) -> CandleSeries:
        began = self.clock.monotonic()
        page = await work()
        self._round_trips.append(max(0.0, self.clock.monotonic() - began - call_context.waited_s))
        return page

    async def _await(self, sent: _Sent) -> CandleSeries:
        """Wait for a page; its cost is the caller's, its waiting as far as the caller waited for it."""
        began, caller = self.clock.monotonic(), current_call_context()
        self._leftover.append(sent)
        try:
            page = await asyncio.shield(sent.task)
            self._leftover.remove(sent)
            return page
        finally:
            caller.calls += sent.call_context.calls
            caller.waited_s += min(sent.call_context.waited_s, self.clock.monotonic() - began)

    def _drop_unsent(self, window: PrefetchWindow) -> None:
        window.stop()
        for end in window.ends:
            if self._sent[end].is_unsent:
                window.take(end)
                self._abandon(self._sent.pop(end))

    def _abandon(self, sent: _Sent) -> None:
        """Give up a slice: one that was sent ends by itself, and was for nothing."""
        if sent.is_unsent:
            sent.task.cancel()
        else:
            self.wasted += 1
            current_call_context().calls += sent.call_context.calls
        self._leftover.append(sent)

    async def close(self) -> None:
        """End what is on its way; the walk is over, or begins anew."""
        for sent in self._sent.values():
            self._abandon(sent)
        self._sent.clear()
        self._slices = None
        leftover, self._leftover = self._leftover, []
        await cancel_all([sent.task for sent in leftover])


def check_page(page: object, symbol: str, timeframe: str, channel: str) -> CandleSeries:
    """Refuse a page of something else than was asked for.

    Raises:
        MalformedReplyError: so that the next channel is asked.

    """
    if not isinstance(page, CandleSeries):
        msg = f"asked for candles of {symbol} {timeframe}, got {type(page).__name__}; report this to the author"
        raise MalformedReplyError(msg, channel=channel)
    if (page.symbol, page.timeframe) != (symbol, timeframe):
        msg = f"asked for candles of {symbol} {timeframe}, got some of {page.symbol} {page.timeframe}"
        raise MalformedReplyError(msg, channel=channel)
    return page


def _newest(page: CandleSeries, count: int) -> CandleSeries:
    return page[-count:] if len(page) > count else page
