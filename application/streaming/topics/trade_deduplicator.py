"""Live trades are delivered once each, whatever sockets and REST bring twice. Pure."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Self

from attrs import define, evolve, field

from ....domain.trade import REMEMBERED, Trade, order_of_trade

REMEMBERED_TRADES = 1_000
FORGOTTEN_TOGETHER = 64


@define
class TradeDeduplicator:
    """Delivers each trade once, by a set of identities and never by "id greater than the last".

    Recorded: 78 of 304 trades arrive below an id already received, up to 386 ms late.

    Invariant: no identity is returned twice within ten minutes of market time, nor among the newest thousand,
    however far these lie apart; while ``is_held``, live trades wait so that back-filled ones come before them.
    """

    oldest: Trade | None = None
    newest: Trade | None = None
    is_held: bool = False
    forgotten_until: datetime | None = None
    _held: list[Trade] = field(factory=list[Trade])
    _known: set[int] = field(factory=set[int])
    _order: deque[int] = field(factory=deque[int])
    _times: deque[datetime] = field(factory=deque[datetime])
    _forget_at: int = REMEMBERED_TRADES + FORGOTTEN_TOGETHER

    @classmethod
    def empty(cls) -> Self:
        """Return a deduplicator that has delivered nothing."""
        return cls()

    def add(self, *trades: Trade) -> list[Trade]:
        """Return what to deliver now that these trades have arrived."""
        news = self._remember(trades)
        if self.is_held:
            self._held += news
            return []
        return [*map(self._deliver, news)]

    def start_at(self, trade: Trade) -> None:
        """Count a trade as delivered, by somebody else, while nothing has been delivered here yet."""
        if self.newest is None:
            self.oldest = self.newest = trade
            self._remember((trade,))

    def hold(self) -> None:
        """Keep live trades back until ``join``."""
        self.is_held = True

    @property
    def first_held(self) -> Trade | None:
        """The first live trade that waits."""
        return self._held[0] if self._held else None

    def joins(self, page: Iterable[Trade], last: Trade) -> bool:
        """Return whether a REST page reaches back to ``last`` and holds every trade that is held."""
        ids = {trade.sequential_id for trade in page}
        return last.sequential_id in ids and all(trade.sequential_id in ids for trade in self._held[:1])

    def join(self, backfilled: Iterable[Trade]) -> list[Trade]:
        """Return what is new of a REST page together with the live trades that waited, in the market's order.

        REST may know a trade already whose frame is still on its way; it is delivered once all the same.
        """
        held, self._held, self.is_held = self._held, [], False
        return [self._deliver(trade) for trade in sorted((*self._news(backfilled), *held), key=order_of_trade)]

    def absorb(self, backfilled: Iterable[Trade]) -> list[Trade]:
        """Return what is new of a REST page, in the market's order; live trades that wait go on waiting."""
        return [self._deliver(trade) for trade in sorted(self._news(backfilled), key=order_of_trade)]

    def _news(self, backfilled: Iterable[Trade]) -> list[Trade]:
        """Trades from before the first that was delivered are history, and nobody asked for it."""
        return self._remember(filter(self._is_promised, backfilled))

    def _is_promised(self, trade: Trade) -> bool:
        return self.oldest is None or order_of_trade(trade) > order_of_trade(self.oldest)

    def _deliver(self, trade: Trade) -> Trade:
        last = self.newest
        if last is not None and trade.traded_at <= last.traded_at and order_of_trade(trade) < order_of_trade(last):
            return evolve(trade, is_late=True)
        self.oldest = self.oldest or trade
        self.newest = trade
        return trade

    def _remember(self, trades: Iterable[Trade]) -> list[Trade]:
        """Return the trades that were not known; they are now."""
        known, order, times, news = self._known, self._order, self._times, list[Trade]()
        for trade in trades:
            number = trade.sequential_id
            if number not in known:
                known.add(number)
                order.append(number)  # not the trades: the collector would walk through all of them
                times.append(trade.traded_at)
                news.append(trade)
        if len(order) >= self._forget_at:
            self._forget()
        return news

    def _forget(self) -> None:
        newest = max(self._times[-1], self.newest.traded_at if self.newest else self._times[-1])
        # on a thin market the newest thousand are kept however old: a page of REST may hold all of them
        while len(self._order) > REMEMBERED_TRADES and self._times[0] < newest - REMEMBERED:
            self._known.discard(self._order.popleft())
            forgotten = self._times.popleft()
            self.forgotten_until = max(self.forgotten_until or forgotten, forgotten)
        self._forget_at = max(len(self._order), REMEMBERED_TRADES) + FORGOTTEN_TOGETHER
