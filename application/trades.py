"""Trades: walked back page by page, and delivered once each when they are live. Pure."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from typing import Self

from attrs import define, evolve, field, frozen

from ..domain.errors import IntegrityError
from ..domain.time_range import TimeRange
from ..domain.trade import Trade

DAYS_KEPT = 7
MOST_DOUBTS = 5
OVERLAP = timedelta(seconds=2)
"""How far behind the newest trade a missed one can lie; the latest arrival on record was 0.386 s late."""
REMEMBERED, REMEMBERED_TRADES = timedelta(minutes=10), 1_000
FORGOTTEN_TOGETHER = 64
ONE_DAY = timedelta(days=1)


def start_of_day(day: date) -> datetime:
    """Return 00:00 UTC of a day."""
    return datetime.combine(day, time(), UTC)


@frozen
class TradePage:
    """One page of one UTC day; ``days_ago`` None is today, ``day`` None the day that the server takes for today."""

    count: int
    before_id: int | None
    days_ago: int | None
    day: date | None = None


@define
class TradePaging:
    """Walks trades back, by cursor inside a UTC day and then into the day before, at most seven days.

    What is walked is a date; ``days_ago`` is its distance from the server's date when the page is asked for.
    A page shorter than its count ends its *day*, not the history. A full one is followed by another, so a day
    of n trades costs ``n // page_size + 1`` calls, an empty one costs one. An answer that may tell of another
    day (rows of one; or none, and the server's midnight may have passed meanwhile) is asked for again.

    While nothing tells the server's date, it is learnt from the rows themselves.

    Invariant: ``trades`` are unique by id, and nothing newer than the oldest of them is missing.

    Attributes:
        count: end with as many trades.
        not_before: end with a trade from before this instant, or where the days before it begin.
        until_id: end with this trade, and as much before it as a late one can lie.
        has_reached: whether the walk got back to ``not_before`` or ``until_id``.
        is_exhausted: whether the walk ended where the venue keeps no more.
        known_since: every trade from here to the first answer was found; None before any answer.

    """

    page_size: int
    count: int | None = None
    not_before: datetime | None = None
    until_id: int | None = None
    calls: int = 0
    has_reached: bool = False
    is_exhausted: bool = False
    known_since: datetime | None = None
    _day: date | None = None
    _today: date | None = None
    _days_back: int = 0
    _before_id: int | None = None
    _doubts: int = 0
    _is_done: bool = False
    _found: dict[int, Trade] = field(factory=dict[int, Trade])

    def next_page(self, now: TimeRange | None = None) -> TradePage | None:
        """Return the page to ask for next; None when enough is held or no more is kept.

        ``now`` is what is known of the server's time; its end decides.
        """
        if self._is_done:
            return None
        self._today = self._today if now is None else now.end.date()
        day = self._day or self._today
        if self._today is not None and day is not None:
            self._days_back = max(0, (self._today - day).days)
        if self._days_back > DAYS_KEPT:
            self._is_done = self.is_exhausted = True
            return None
        missing = self.page_size if self.count is None else self.count - len(self._found)
        return TradePage(min(self.page_size, missing), self._before_id, self._days_back or None, day)

    def take(self, asked: TradePage, page: Sequence[Trade], answered: TimeRange | None = None) -> None:
        """Take the answer to a page; ``answered`` spans the server's time from its sending to its arrival.

        Raises:
            IntegrityError: again and again the answer told of another day than the one that was asked for.

        """
        self.calls += 1
        if not _is_of_its_day(asked, page, answered):
            self._doubt(asked, page)
            return
        self._doubts = 0
        fresh = [trade for trade in page if trade.sequential_id not in self._found]
        self._found.update((trade.sequential_id, trade) for trade in fresh)
        self._look_for_the_end(page)
        if page:
            self._day = page[0].traded_at.date()
            self._today = self._today or self._day + ONE_DAY * (asked.days_ago or 0)
            self._before_id = min(trade.sequential_id for trade in page)
            self.known_since = min(trade.traded_at for trade in page)
        if len(page) < asked.count or not fresh:
            self._end_day(asked.day or self._day)
        enough = self.count is not None and len(self._found) >= self.count
        self._is_done = self._is_done or enough or self.has_reached

    def _doubt(self, asked: TradePage, page: Sequence[Trade]) -> None:
        self._doubts += 1
        if self._doubts >= MOST_DOUBTS:
            told = " and ".join(sorted({f"{trade.traded_at:%Y-%m-%d}" for trade in page})) or "none, around midnight"
            msg = (
                f"asked {self._doubts} times for trades of {asked.day} (UTC), got {told}; is the server's clock right?"
            )
            raise IntegrityError(msg)

    def _look_for_the_end(self, page: Sequence[Trade]) -> None:
        wanted = None if self.until_id is None else self._found.get(self.until_id)
        if wanted is not None and self.not_before is None:
            self.not_before = wanted.traded_at - OVERLAP
        elif self.until_id is not None and self.not_before is None:
            self._is_done = any(trade.sequential_id < self.until_id for trade in page)
        if self.not_before is not None and any(trade.traded_at < self.not_before for trade in page):
            self.has_reached = True

    def _end_day(self, day: date | None) -> None:
        self._before_id = None
        if day is None:
            self._days_back += 1
            return
        self.known_since = start_of_day(day)
        self._day = day - ONE_DAY
        if self.not_before is not None and self.not_before >= self.known_since:
            self.has_reached = True

    @property
    def trades(self) -> list[Trade]:
        """What was found, sorted by (traded_at, sequential_id); the newest ``count`` of it."""
        ordered = sorted(self._found.values(), key=order_of_trade)
        return ordered if self.count is None else ordered[-self.count :]


def _is_of_its_day(asked: TradePage, page: Sequence[Trade], answered: TimeRange | None) -> bool:
    """Return whether the answer tells of the day that was asked for, and of no other."""
    days = {trade.traded_at.date() for trade in page}
    if days:
        return len(days) == 1 and asked.day in {None, *days}
    if answered is None or asked.day is None:
        return answered is None  # an empty day cannot be named while the date is not known; then it can
    today = answered.start.date()
    return today == answered.end.date() and (today - asked.day).days == (asked.days_ago or 0)


order_of_trade: Callable[[Trade], tuple[datetime, int]] = attrgetter("traded_at", "sequential_id")
"""Returns the place of a trade in its market's history; most trades of a burst share their instant."""


@define
class TradeTail:
    """Delivers each trade once, by a set of identities and never by "id greater than the last".

    Recorded: 78 of 304 trades arrive below an id already received, up to 386 ms late.

    Invariant: no identity is returned twice within ten minutes of market time, nor among the newest thousand,
    however far these lie apart; while ``is_held``, live trades wait so that back-filled ones come before them.
    """

    oldest: Trade | None = None
    newest: Trade | None = None
    is_held: bool = False
    _held: list[Trade] = field(factory=list[Trade])
    _known: set[int] = field(factory=set[int])
    _order: deque[int] = field(factory=deque[int])
    _times: deque[datetime] = field(factory=deque[datetime])
    _forget_at: int = REMEMBERED_TRADES + FORGOTTEN_TOGETHER

    @classmethod
    def empty(cls) -> Self:
        """Return a tail that has delivered nothing."""
        return cls()

    def take(self, *trades: Trade) -> list[Trade]:
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
        while len(self._order) > REMEMBERED_TRADES and self._times[0] < newest - REMEMBERED:
            self._known.discard(self._order.popleft())
            self._times.popleft()
        self._forget_at = max(len(self._order), REMEMBERED_TRADES) + FORGOTTEN_TOGETHER


@define
class TradeGate:
    """What one follower has had when it goes on after a trade: "once" is per follower.

    The feed that it joins may be behind what it has had, for the sake of others; or may deliver what REST
    has just told. Identities are kept for ten minutes before the newest trade that came from REST; what is
    older still was among them.

    Invariant: nothing up to ``after`` passes, nothing passes twice; ``is_late`` is judged for this follower.
    """

    after: tuple[datetime, int] | None
    _had: set[int] = field(factory=set[int])
    _whole_until: datetime | None = None
    _newest: tuple[datetime, int] | None = None

    def load(self, trades: Sequence[Trade]) -> list[Trade]:
        """Return what is news of trades in the market's order, and count it as had."""
        news = [trade for trade in trades if self.after is None or order_of_trade(trade) > self.after]
        if news:
            self._newest = order_of_trade(news[-1])
            self._whole_until = news[-1].traded_at - REMEMBERED
            self._had = {trade.sequential_id for trade in news if trade.traded_at >= self._whole_until}
        return news

    def admit(self, trade: Trade) -> Trade | None:
        """Return a live trade as this follower shall see it, or None if it has had it."""
        order = order_of_trade(trade)
        is_old = self._whole_until is not None and trade.traded_at < self._whole_until
        if is_old or trade.sequential_id in self._had or (self.after is not None and order <= self.after):
            return None
        is_late = trade.is_late or (self._newest is not None and order < self._newest)
        self._newest = order if self._newest is None else max(order, self._newest)
        return evolve(trade, is_late=True) if is_late else trade
