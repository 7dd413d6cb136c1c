"""Tickers and books: the newest value of a topic."""

from attrs import define, field

from ....domain.capabilities import DataKind
from ....domain.events import MarketEvent, OrderBookUpdated, TickerUpdated
from ....domain.orderbook import OrderBook
from ....domain.ports import Channel
from ....domain.streaming import LiveValue
from ....domain.ticker import Ticker
from .topic import TopicState

BOOK_DEPTH = 30


@define(eq=False)
class QuoteTopic(TopicState):
    """Tickers and books: only ever the newest."""

    _newest: Ticker | OrderBook | None = field(init=False, default=None)
    _frames: int = field(init=False, default=0)

    @property
    def newest(self) -> Ticker | OrderBook | None:
        """The newest value."""
        return self._newest

    def apply(self, *values: LiveValue) -> list[MarketEvent]:
        """Pass on each value of the stream that is not older than the one before."""
        # also what is refused counts: the stream has spoken since REST was asked
        self._frames += len(values)
        return [_quoted(value) for value in values if isinstance(value, Ticker | OrderBook) and self._is_taken(value)]

    def apply_from_standby(self, *values: LiveValue) -> list[MarketEvent]:
        """Pass on what is newer, whichever socket brings it."""
        return self.apply(*values)

    def _is_taken(self, value: Ticker | OrderBook) -> bool:
        """Take a value if it is news; return whether it is."""
        if self._newest is not None and not _is_news(value, self._newest):
            return False
        self._newest = value
        return True

    def snapshot(self) -> list[MarketEvent]:
        """Return the newest value as an event."""
        return [] if self._newest is None else [_quoted(self._newest)]

    async def catch_up(self, rest: Channel) -> list[MarketEvent]:
        """Ask REST for the newest value; once the stream delivers meanwhile, the answer is of no use.

        A stamp of REST that runs ahead would keep the stream's own values out.
        """
        symbol, mark = self.topic.symbol, self.mark
        is_ticker = self.topic.kind is DataKind.TICKER
        value = await rest.get_ticker(symbol) if is_ticker else await rest.get_orderbook(symbol, BOOK_DEPTH)
        return self.apply_answer(value, mark)

    @property
    def mark(self) -> int:
        """What ``apply_answer`` needs to know of the moment at which REST was asked."""
        return self._frames

    def apply_answer(self, value: Ticker | OrderBook, mark: int) -> list[MarketEvent]:
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
