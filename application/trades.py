"""Trades: walked back page by page, and delivered once each when they are live. Pure."""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Self

from attrs import define, evolve, field, frozen

from ..domain.trade import Trade

DAYS_KEPT = 7
REMEMBERED = timedelta(minutes=10)


@frozen
class TradePage:
    """One page of one UTC day; ``days_ago`` None is today."""

    count: int
    before_id: int | None
    days_ago: int | None


@define
class TradePaging:
    """Walks trades back, by cursor inside a UTC day and then into the day before, at most seven days.

    A page shorter than its count ends its *day*, not the history.

    Invariant: ``trades`` are unique by id, and nothing newer than the oldest of them is missing.
    """

    page_size: int
    count: int | None = None
    not_before: datetime | None = None
    calls: int = 0
    _days_ago: int = 0
    _before_id: int | None = None
    _found: dict[int, Trade] = field(factory=dict[int, Trade])
    has_reached: bool = False
    _is_done: bool = False

    def next_page(self) -> TradePage | None:
        """Return the page to ask for next; None when enough is held or no more is kept."""
        if self._is_done:
            return None
        missing = self.page_size if self.count is None else self.count - len(self._found)
        return TradePage(min(self.page_size, missing), self._before_id, self._days_ago or None)

    def take(self, asked: TradePage, page: Sequence[Trade]) -> None:
        """Take the answer to a page."""
        self.calls += 1
        fresh = [trade for trade in page if trade.sequential_id not in self._found]
        self._found.update((trade.sequential_id, trade) for trade in fresh)
        self._before_id = min((trade.sequential_id for trade in page), default=None)
        if len(page) < asked.count or not fresh:
            self._days_ago, self._before_id = self._days_ago + 1, None
        enough = self.count is not None and len(self._found) >= self.count
        reached = self.not_before is not None and any(trade.traded_at < self.not_before for trade in page)
        self.has_reached = self.has_reached or reached
        self._is_done = enough or reached or self._days_ago > DAYS_KEPT

    @property
    def trades(self) -> list[Trade]:
        """What was found, sorted by (traded_at, sequential_id); the newest ``count`` of it."""
        ordered = sorted(self._found.values(), key=order_of_trade)
        return ordered if self.count is None else ordered[-self.count :]


def order_of_trade(trade: Trade) -> tuple[datetime, int]:
    """Return the place of a trade in its market's history."""
    return (trade.traded_at, trade.sequential_id)


@define
class TradeTail:
    """Delivers each trade once, by a set of identities and never by "id greater than the last".

    Recorded: 78 of 304 trades arrive below an id already received, up to 386 ms late.

    Invariant: no identity is returned twice within ten minutes of market time; while ``is_held``, live
    trades wait so that back-filled ones come before them.
    """

    oldest: Trade | None = None
    newest: Trade | None = None
    is_held: bool = False
    _held: list[Trade] = field(factory=list[Trade])
    _known: set[int] = field(factory=set[int])
    _order: deque[Trade] = field(factory=deque[Trade])

    @classmethod
    def empty(cls) -> Self:
        """Return a tail that has delivered nothing."""
        return cls()

    def take(self, trade: Trade) -> list[Trade]:
        """Return what to deliver now that this trade has arrived."""
        if trade.sequential_id in self._known:
            return []
        self._remember(trade)
        if self.is_held:
            self._held.append(trade)
            return []
        return [self._deliver(trade)]

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
        news = [trade for trade in backfilled if trade.sequential_id not in self._known and self._is_promised(trade)]
        for trade in news:
            self._remember(trade)
        return news

    def _is_promised(self, trade: Trade) -> bool:
        return self.oldest is None or order_of_trade(trade) > order_of_trade(self.oldest)

    def _deliver(self, trade: Trade) -> Trade:
        if self.newest is not None and order_of_trade(trade) < order_of_trade(self.newest):
            return evolve(trade, is_late=True)
        self.oldest = self.oldest or trade
        self.newest = trade
        return trade

    def _remember(self, trade: Trade) -> None:
        self._known.add(trade.sequential_id)
        self._order.append(trade)
        newest = max(trade.traded_at, self.newest.traded_at if self.newest else trade.traded_at)
        while self._order and self._order[0].traded_at < newest - REMEMBERED:
            self._known.discard(self._order.popleft().sequential_id)
