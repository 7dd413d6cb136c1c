"""Pages asked for before they are needed, so that a long way to the venue costs no time.

Serial paging waits a round trip for every page. Here as many pages are on their way as fit into one round
trip at the allowed rate; the rule of which is pure, see :mod:`.prefetch_window`.
"""

import asyncio
from collections import deque
from datetime import datetime
from math import ceil
from typing import Self

from attrs import define, evolve, field, frozen

from ...domain.call_context import CallContext, current_call_context, use_call_context
from ...domain.capabilities import Capabilities
from ...domain.errors import MalformedReplyError
from ...domain.ports import Channel, Clock
from ...domain.series import CandleSeries
from ..runtime.tasks import cancel_all, spawn
from .candle_pager import Page, PageAnswer, PageSource
from .prefetch_window import PrefetchWindow

MAX_AHEAD = 16
ROUND_TRIPS_KEPT = 20
OPTIMISTIC_PAGES = 2
"""Pages that are asked for before the first page has come. They wait for their turn behind it, so that where a page
comes sooner than a turn none is sent for nothing; 170 ms away the second call left 370 ms after the first, not 100."""


@frozen(eq=False)
class ChannelPages:
    """The channel itself as a page source; a page of something else than was asked for is refused."""

    channel: Channel

    async def read(self, page: Page) -> PageAnswer:
        """Ask the channel.

        Raises:
            MalformedReplyError: so that the next channel is asked.

        """
        count = None if self.channel.capabilities.candles_per_call == 1 else page.count  # it knows the newest one only
        found = await self.channel.get_candles(page.symbol, page.timeframe, count, end=page.end)
        return PageAnswer(check_page(found, page.symbol, page.timeframe, self.channel.name))


@define(eq=False)
class _Sent:
    """A page on its way. It is unsent as long as it waits for the budget."""

    call_context: CallContext
    task: "asyncio.Task[CandleSeries]"

    @property
    def is_unsent(self) -> bool:
        return self.call_context.calls == 0 and not self.task.done()


@define(eq=False)
class PagePrefetcher:
    """The pages of one series of one channel.

    Invariant: after ``close`` no task is left. A page whose bytes were written is never abandoned by a change
    of density: its answer may still be of use, and its place in the budget is taken anyway.

    Attributes:
        wasted: calls that were made ahead and that nobody needed.
        presumes: whether to ask ahead of the first page, which may turn out not to be dense.

    """

    source: PageSource
    capabilities: Capabilities
    clock: Clock
    is_optimistic: bool = False
    wasted: int = 0
    _window: PrefetchWindow | None = None
    _has_asked: bool = False
    _sent: dict[datetime, _Sent] = field(factory=dict[datetime, _Sent])
    _leftover: list[_Sent] = field(factory=list[_Sent])
    _round_trips: deque[float] = field(factory=lambda: deque[float](maxlen=ROUND_TRIPS_KEPT))

    @classmethod
    def of(cls, channel: Channel, clock: Clock, *, is_optimistic: bool = False) -> Self:
        """Return a prefetcher in front of a channel."""
        return cls(ChannelPages(channel), channel.capabilities, clock, is_optimistic)

    async def read(self, page: Page) -> PageAnswer:
        """Return one page: one that is on its way already where it fits, or a new one."""
        if page.is_apart:
            return await self.source.read(page)
        if page.delay_s or self._has_asked:  # also of 0 s: a channel that never waits would leave others no turn
            await self.clock.sleep(page.delay_s)
        self._has_asked = True
        window = self._aim(page)
        if not self._may_read_ahead(window):
            return await self.source.read(page)
        whole = await self._from_window(window, page.end)
        found = await self._first(window, page) if whole is None else whole
        size, before = (page.count, page.end) if whole is None else (window.size, whole.coverage.asked.end)
        if not window.note(found, size, before):
            self._drop_unsent(window)
        round_trip_s = min(self._round_trips, default=0.0)  # the least: a busy server does not widen it further
        allowed = ceil(self.capabilities.calls_per_s * round_trip_s) + 1
        self._fill(window, page, min(MAX_AHEAD, 1 + len(self._round_trips), allowed))
        if page.end is None or whole is None:
            return PageAnswer(found)
        return PageAnswer(_newest(found.below(window.timeframe.ceil(page.end)), page.count))

    def _aim(self, page: Page) -> PrefetchWindow:
        """Take over how many rows are wanted below a page, and from where on nothing is."""
        size = self.capabilities.candles_per_call
        if self._window is None or self._window.timeframe is not page.timeframe:
            self._window = PrefetchWindow(page.timeframe, size)
        self._window.rows = max(0, page.missing - size)
        self._window.floor, self._window.is_floor_held = page.floor, page.is_floor_held
        return self._window

    def _may_read_ahead(self, window: PrefetchWindow) -> bool:
        """Return whether another page may be wanted, or is on its way; one alone needs no task of its own."""
        able = self.capabilities
        return able.calls_per_s > 0 and able.candles_per_call > 1 and (window.rows != 0 or bool(self._sent))

    async def _first(self, window: PrefetchWindow, page: Page) -> CandleSeries:
        """Ask for a page that is not on its way."""
        sent = self._send(page)
        if self.is_optimistic and not self._round_trips and page.end is not None:
            window.start_optimistically(page.end)
            self._fill(window, page, OPTIMISTIC_PAGES)
        return await self._await(sent)

    async def _from_window(self, window: PrefetchWindow, end: datetime | None) -> CandleSeries | None:
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
        rest = page.below(window.timeframe.ceil(end))
        if len(rest):
            return page
        self.wasted += 1  # an empty rest proves no beginning: that takes a read of its own, a second later
        return None

    def _fill(self, window: PrefetchWindow, page: Page, width: int) -> None:
        while len(self._sent) < width and (ahead := window.next_page()) is not None:
            self._sent[ahead.end] = self._send(evolve(page, count=ahead.rows, end=ahead.end, delay_s=0.0))

    def _send(self, page: Page) -> _Sent:
        parent = current_call_context()
        call_context = CallContext(parent.priority, parent)  # hurries when somebody urgent joins the request
        with use_call_context(call_context):
            return _Sent(call_context, spawn(self._timed(page, call_context), "page"))

    async def _timed(self, page: Page, call_context: CallContext) -> CandleSeries:
        began = self.clock.monotonic()
        answer = await self.source.read(page)
        self._round_trips.append(max(0.0, self.clock.monotonic() - began - call_context.waited_s))
        return answer.series

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
        """Give up a page: one that was sent ends by itself, and was for nothing."""
        if sent.is_unsent:
            sent.task.cancel()
        else:
            self.wasted += 1
            current_call_context().calls += sent.call_context.calls
        self._leftover.append(sent)

    async def close(self) -> None:
        """End what is on its way; nobody wants more of it, or all begins anew."""
        for sent in self._sent.values():
            self._abandon(sent)
        self._sent.clear()
        self._window = None
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
