"""What a feed keeps of each topic, and how REST stands in for the stream.

Each topic turns values into events (pure) and knows what to ask REST for while the stream is gone.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol

from attrs import define, field

from ..domain.candle import Candle
from ..domain.capabilities import DataKind
from ..domain.coverage import Coverage
from ..domain.events import MarketEvent, OrderBookUpdated, TickerUpdated, TradeReceived
from ..domain.orderbook import OrderBook
from ..domain.ports import Channel
from ..domain.request import Topic
from ..domain.series import CandleSeries
from ..domain.streaming import LiveValue
from ..domain.ticker import Ticker
from ..domain.time_range import TimeRange
from ..domain.timeframe import Timeframe
from .candle_reading import read_candles
from .candle_tail import CandleTail
from .follower import Follower

BOOK_DEPTH = 30
_PLAIN = {TradeReceived, TickerUpdated, OrderBookUpdated}
"""Nearly all that is published, and of no account to listeners."""


class TopicState(Protocol):
    """The state of one topic of a feed."""

    @property
    def topic(self) -> Topic:
        """What is followed."""
        ...

    @property
    def audience(self) -> "Audience":
        """Who follows it."""
        ...

    @property
    def newest(self) -> LiveValue | None:
        """The newest value, from whatever channel."""
        ...

    def begin_life(self) -> None:
        """Note that a new socket carries the topic from now on."""
        ...

    def suspect(self) -> None:
        """Note that the socket was silent for so long that it may have lost something."""
        ...

    def take(self, *values: LiveValue) -> Iterable[MarketEvent]:
        """Return the events that values of the stream cause, which came together in this order."""
        ...

    def take_beside(self, *values: LiveValue) -> Iterable[MarketEvent]:
        """Return the events that values cause which a second socket brings beside the one that carries the topic."""
        ...

    def go_on_with(self, first: LiveValue, newest: LiveValue) -> None:
        """Go over without a break to a socket that has carried the topic, too, from ``first`` to ``newest``."""
        ...

    async def catch_up(self, rest: Channel) -> Iterable[MarketEvent]:
        """Ask REST for what the stream cannot tell, and return the events that follow."""
        ...


@define(eq=False)
class Audience:
    """The followers of one topic; a thousand of them are one subscription. Listeners hear of no quotes and trades."""

    followers: set[Follower] = field(factory=set[Follower])
    listeners: list[Callable[[MarketEvent], None]] = field(factory=list[Callable[[MarketEvent], None]])
    readers: list[Callable[[CandleSeries], None]] = field(factory=list[Callable[[CandleSeries], None]])
    is_live: asyncio.Event = field(factory=asyncio.Event)

    def publish(self, events: Iterable[MarketEvent], read_at: float | None = None) -> None:
        """Hand events to every follower, and to whoever listens whether anybody follows or not.

        A run of trades, or of quotes, is handed over whole: each follower costs a third of one by one.
        ``read_at`` is when the socket that brought them was read.
        """
        told, followers = tuple(events), tuple(self.followers)
        if told and (kind := type(told[0])) in _PLAIN and (len(told) == 1 or {kind}.issuperset(map(type, told))):
            for follower in followers:
                follower.give_run(told, read_at)
            return
        for event in told:
            for listen in self.listeners:
                listen(event)
            for follower in followers:
                follower.give(event, read_at)

    def fail(self, error: Exception) -> None:
        """End every follower with an error."""
        for follower in tuple(self.followers):
            follower.buffer.fail(error)
        self.is_live.set()


@define(eq=False)
class QuoteTopic:
    """Tickers and books: only ever the newest."""

    topic: Topic
    audience: Audience = field(factory=Audience)
    newest: Ticker | OrderBook | None = None
    _frames: int = 0

    def begin_life(self) -> None:
        """Nothing to forget: a value is no older for having come by another socket."""

    def suspect(self) -> None:
        """Nothing to doubt: the next value is the newest."""

    def take(self, *values: LiveValue) -> list[MarketEvent]:
        """Pass on each value of the stream that is not older than the one before."""
        self._frames += len(values)
        return [_quoted(value) for value in values if isinstance(value, Ticker | OrderBook) and self._is_taken(value)]

    def take_beside(self, *values: LiveValue) -> list[MarketEvent]:
        """Pass on what is newer, whichever socket brings it."""
        return self.take(*values)

    def go_on_with(self, first: LiveValue, newest: LiveValue) -> None:
        """Nothing to hand over: the newest value is held here."""

    def _is_taken(self, value: Ticker | OrderBook) -> bool:
        """Take a value if it is news; return whether it is."""
        if self.newest is not None and not _is_news(value, self.newest):
            return False
        self.newest = value
        return True

    def held(self) -> list[MarketEvent]:
        """Return the newest value as an event, for somebody who has just come."""
        return [] if self.newest is None else [_quoted(self.newest)]

    async def catch_up(self, rest: Channel) -> list[MarketEvent]:
        """Ask REST for the newest value; once the stream delivers meanwhile, the answer is of no use.

        A stamp of REST that runs ahead would keep the stream's own values out.
        """
        symbol, mark = self.topic.symbol, self.mark
        is_ticker = self.topic.kind is DataKind.TICKER
        value = await rest.get_ticker(symbol) if is_ticker else await rest.get_orderbook(symbol, BOOK_DEPTH)
        return self.take_answer(value, mark)

    @property
    def mark(self) -> int:
        """What ``take_answer`` needs to know of the moment at which REST was asked."""
        return self._frames

    def take_answer(self, value: Ticker | OrderBook, mark: int) -> list[MarketEvent]:
        """Take what REST answered to a question that was asked at ``mark``."""
        return [_quoted(value)] if mark == self._frames and self._is_taken(value) else []


def _is_news(value: Ticker | OrderBook, newest: Ticker | OrderBook) -> bool:
    """Return whether a value is newer; of the same instant it has to differ, and to come from the same channel."""
    if value.updated_at != newest.updated_at:
        return value.updated_at > newest.updated_at
    if isinstance(value, OrderBook) and isinstance(newest, OrderBook):
        return value.source == newest.source and not value.repeats(newest)
    return value.source == newest.source and value != newest


def _quoted(value: Ticker | OrderBook) -> TickerUpdated | OrderBookUpdated:
    return TickerUpdated(value) if isinstance(value, Ticker) else OrderBookUpdated(value)


@define(eq=False)
class CandleTopic:
    """Candles: FORMING and CLOSED at once, FINAL once and in order."""

    topic: Topic
    tail: CandleTail
    audience: Audience = field(factory=Audience)
    newest: Candle | None = None

    @property
    def timeframe(self) -> Timeframe:
        """The width of the slots."""
        return self.tail.rules.timeframe

    def begin_life(self) -> None:
        """A new socket proves nothing about what the last one carried."""
        self.tail.begin_life()

    def suspect(self) -> None:
        """Frames may be missing: what was held before the silence can be sealed by REST only."""
        self.tail.begin_life()

    def take(self, *values: LiveValue) -> Iterator[MarketEvent]:
        """Take frames."""
        for value in values:
            if isinstance(value, Candle):
                self.newest = value
                yield from self.tail.take_frame(value)

    def take_beside(self, *values: LiveValue) -> Iterator[MarketEvent]:
        """Take frames of a second socket."""
        for value in values:
            if isinstance(value, Candle):
                self.newest = value
                yield from self.tail.take_beside(value)

    def go_on_with(self, first: LiveValue, newest: LiveValue) -> None:
        """Let the second socket witness from the slot on that it showed first."""
        if isinstance(first, Candle) and isinstance(newest, Candle):
            self.tail.go_on_with(first.opened_at, newest.opened_at)

    async def catch_up(self, rest: Channel, span: TimeRange | None = None) -> list[MarketEvent]:
        """Read the newest page, or the slots of ``span``."""
        page = rest.capabilities.candles_per_call
        if span is None:
            series = await rest.get_candles(self.topic.symbol, self.timeframe, min(page, RECENT_ROWS))
        else:
            series = await read_candles(rest, self.topic.symbol, self.timeframe, span)
        return list(self._join(series, rest.name))

    def _join(self, series: CandleSeries, channel: str) -> Iterator[MarketEvent]:
        """Return what an answer of REST tells."""
        if self.tail.frontier is None and len(series):
            promised_from = next((c.opened_at for c in series if not c.is_final), series[-1].closed_at)
            self.tail.start_at(promised_from, channel)
        if len(series):
            self.newest = series[-1]
        for read in self.audience.readers:
            read(series)
        yield from self.tail.take_series(series)

    def tip(self) -> CandleSeries | None:
        """Return the slots that are not FINAL yet, oldest first; None before the first of them."""
        current, frontier = self.tail.current(), self.tail.frontier
        if frontier is None or not current or self.newest is None:
            return None
        coverage = Coverage(asked=TimeRange(frontier, max(frontier, current[-1].closed_at)))
        return CandleSeries.of(self.newest.venue, self.topic.symbol, self.timeframe, current, coverage)

    def settle(self, server_now: datetime) -> list[MarketEvent]:
        """Return what time alone has decided."""
        return [*self.tail.settle(server_now), *self.tail.give_up(server_now)]


RECENT_ROWS = 10
