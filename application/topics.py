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
from ..domain.coverage import Coverage, Reason
from ..domain.events import Gap, MarketEvent, OrderBookUpdated, TickerUpdated, TradeReceived
from ..domain.orderbook import OrderBook
from ..domain.ports import Channel, TradeHistory
from ..domain.request import Topic
from ..domain.series import CandleSeries
from ..domain.streaming import LiveValue
from ..domain.ticker import Ticker
from ..domain.time_range import TimeRange
from ..domain.timeframe import Timeframe
from ..domain.trade import Trade
from .candle_reading import read_candles
from .candle_tail import CandleTail
from .follower import Follower
from .trade_reading import TradeReader
from .trades import OVERLAP, TradePaging, TradeTail, start_of_day

PAGES_PER_CATCH_UP = 40
BOOK_DEPTH = 30


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

    def take(self, value: LiveValue) -> Iterable[MarketEvent]:
        """Return the events that a value of the stream causes."""
        ...

    async def catch_up(self, rest: Channel) -> Iterable[MarketEvent]:
        """Ask REST for what the stream cannot tell, and return the events that follow."""
        ...


@define(eq=False)
class Audience:
    """The followers of one topic; a thousand of them are one subscription."""

    followers: set[Follower] = field(factory=set[Follower])
    listeners: list[Callable[[MarketEvent], None]] = field(factory=list[Callable[[MarketEvent], None]])
    readers: list[Callable[[CandleSeries], None]] = field(factory=list[Callable[[CandleSeries], None]])
    is_live: asyncio.Event = field(factory=asyncio.Event)

    def publish(self, events: Iterable[MarketEvent]) -> None:
        """Hand events to every follower, and to whoever listens whether anybody follows or not."""
        for event in events:
            for listen in self.listeners:
                listen(event)
            for follower in tuple(self.followers):
                follower.give(event)

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

    def take(self, value: LiveValue) -> list[MarketEvent]:
        """Pass on a value of the stream that is not older than the one before."""
        if not isinstance(value, Ticker | OrderBook):
            return []
        self._frames += 1
        return list(self._news(value))

    def _news(self, value: Ticker | OrderBook) -> Iterator[MarketEvent]:
        if value == self.newest:
            return
        if self.newest is not None and value.updated_at < self.newest.updated_at:
            return
        if (
            self.newest is not None
            and value.updated_at == self.newest.updated_at
            and value.source != self.newest.source
        ):
            return
        self.newest = value
        yield _quoted(value)

    def held(self) -> list[MarketEvent]:
        """Return the newest value as an event, for somebody who has just come."""
        return [] if self.newest is None else [_quoted(self.newest)]

    async def catch_up(self, rest: Channel) -> list[MarketEvent]:
        """Ask REST for the newest value; once the stream delivers meanwhile, the answer is of no use.

        A stamp of REST that runs ahead would keep the stream's own values out.
        """
        symbol, frames = self.topic.symbol, self._frames
        is_ticker = self.topic.kind is DataKind.TICKER
        value = await rest.get_ticker(symbol) if is_ticker else await rest.get_orderbook(symbol, BOOK_DEPTH)
        return list(self._news(value)) if frames == self._frames else []


def _quoted(value: Ticker | OrderBook) -> TickerUpdated | OrderBookUpdated:
    return TickerUpdated(value) if isinstance(value, Ticker) else OrderBookUpdated(value)


@define(eq=False)
class TradeTopic:
    """Trades: each once, whatever the channels do."""

    topic: Topic
    reader: TradeReader
    can_fill: bool = True
    audience: Audience = field(factory=Audience)
    tail: TradeTail = field(factory=TradeTail)
    is_behind: bool = False
    has_hole: bool = False
    is_witnessed: bool = False
    tries: int = 0
    lives: int = 0
    _quiet_until: datetime | None = None
    _audited: Trade | None = None

    @property
    def newest(self) -> Trade | None:
        """The newest trade."""
        return self.tail.newest

    def begin_life(self) -> None:
        """Hold live trades back until REST has filled the break before them."""
        self.is_witnessed = False
        self.lives += 1
        self._doubt()

    def go_on_from(self, trade: Trade) -> None:
        """Count a trade as delivered, and fill what follows it, unless something was delivered before."""
        if self.tail.newest is None:
            self.tail.start_at(trade)
            self._doubt()

    def _doubt(self) -> None:
        """Expect a hole before the next live trade: filled back where REST can, told as a gap where not."""
        if self.tail.newest is None:
            return
        self.has_hole = True
        if self.can_fill:
            self.tail.hold()
            self.is_behind, self.tries = True, 0

    def suspect(self) -> None:
        """Fill back, too, when the socket was silent for longer than it should be: it may have lost trades."""
        if not self.is_behind:
            self._doubt()
            self.is_witnessed = True

    def give_up(self) -> list[MarketEvent]:
        """Deliver the live trades that wait: REST could not fill the hole before them in time."""
        self.is_behind = False
        return [*self._hole_before(self.tail.first_held), *map(TradeReceived, self.tail.join(()))]

    def _hole_before(self, trade: Trade | None) -> list[MarketEvent]:
        last, self.has_hole = self.tail.newest, False
        if last is None or trade is None:
            return []
        begin, end = sorted((last.traded_at, trade.traded_at))
        return [Gap(TimeRange(begin, end), Reason.UNKNOWN)]

    def take(self, value: LiveValue) -> list[MarketEvent]:
        """Pass on a trade that was not delivered before."""
        self.is_witnessed = True
        if not isinstance(value, Trade):
            return []
        hole = self._hole_before(value) if self.has_hole and not self.can_fill else []
        return [*hole, *map(TradeReceived, self.tail.take(value))]

    async def catch_up(self, rest: Channel) -> list[MarketEvent]:
        """Read back to the last trade delivered, and join.

        An answer that was asked for before the present life began, or before its first frame, may end
        before the stream begins: it is thrown away and asked for again.
        """
        last, life, is_witnessed = self.tail.newest, self.lives, self.is_witnessed
        if not isinstance(rest, TradeHistory):
            return []
        is_joining = self.is_behind and is_witnessed
        quiet_until = None if self.is_behind else self._quiet_until
        walk = await self._trades_since(rest, last, quiet_until, rest.capabilities.trades_per_call)
        if (life, is_witnessed) != (self.lives, self.is_witnessed):
            return []
        found = _since(walk)
        if not is_joining:
            self._note_quiet(walk)
            missing = [] if walk.has_reached or last is None else self._gap(walk, last)
            return [*missing, *map(TradeReceived, self.tail.absorb(found))]
        if last is not None and not self.tail.joins(found, last):
            self.tries += 1
            if self.tries < MOST_TRIES:
                return []
        missing = self._gap(walk, last)
        self.is_behind = self.has_hole = False
        return [*missing, *(TradeReceived(trade) for trade in self.tail.join(found))]

    async def audit(self, rest: Channel) -> list[MarketEvent]:
        """Read the trades since the last audit once more, and deliver those that the stream never brought.

        A socket may drop a few frames without a word and go on. What is younger than the overlap may still
        be on its way and is left for the next audit.
        """
        newest, since, life = self.tail.newest, self._audited or self.tail.oldest, self.lives
        if newest is None or since is None or not isinstance(rest, TradeHistory):
            return []
        walk = await self._trades_since(rest, since, None, rest.capabilities.trades_per_call)
        if self.is_behind or life != self.lives:
            return []
        self._audited = newest
        settled = [trade for trade in _since(walk) if trade.traded_at <= newest.traded_at - OVERLAP]
        return [TradeReceived(trade) for trade in self.tail.absorb(settled)]

    async def _trades_since(
        self, rest: TradeHistory, last: Trade | None, quiet_until: datetime | None, page_size: int
    ) -> TradePaging:
        """Walk back to ``last``, with an overlap, or to the newest trade if there is no last one."""
        not_before = (
            quiet_until if last is None else max(last.traded_at - OVERLAP, quiet_until or last.traded_at - OVERLAP)
        )
        walk = TradePaging(page_size, count=1 if last is None else None, not_before=not_before)
        await self.reader.walk(rest, self.topic.symbol, walk, PAGES_PER_CATCH_UP)
        return walk

    def _note_quiet(self, walk: TradePaging) -> None:
        """Remember that REST knows all until today: a poll of a quiet market need not walk back over days."""
        now = self.reader.server_time.earliest()
        if now is not None and (walk.has_reached or walk.is_exhausted):
            self._quiet_until = start_of_day((now - OVERLAP).date())

    def _gap(self, walk: TradePaging, last: Trade | None) -> list[MarketEvent]:
        found = _since(walk)
        if last is None or any(trade.sequential_id == last.sequential_id for trade in found):
            return []
        reason = Reason.BEYOND_RETENTION if walk.is_exhausted else Reason.UNKNOWN
        oldest = min((trade.traded_at for trade in found), default=last.traded_at)
        end = walk.known_since if walk.is_exhausted and walk.known_since is not None else oldest
        return [Gap(TimeRange(min(last.traded_at, end), max(last.traded_at, end)), reason)]


def _since(walk: TradePaging) -> list[Trade]:
    """Return what a walk found, less what it took along from before its aim."""
    return [trade for trade in walk.trades if walk.not_before is None or trade.traded_at >= walk.not_before]


MOST_TRIES = 5


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

    def take(self, value: LiveValue) -> Iterator[MarketEvent]:
        """Take a frame."""
        if isinstance(value, Candle):
            self.newest = value
            yield from self.tail.take_frame(value)

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
