"""Past trades, read back page by page. Pure."""

from collections.abc import Sequence
from datetime import date, datetime

from attrs import define, field, frozen

from ...domain.errors import IntegrityError
from ...domain.time_range import TimeRange
from ...domain.trade import ONE_DAY, OVERLAP, Trade, order_of_trade, start_of_day

DAYS_KEPT = 7
MAX_DOUBTS = 5


@frozen
class TradePage:
    """One page of one UTC day; ``days_ago`` None is today, ``day`` None the day that the server takes for today."""

    count: int
    before_id: int | None
    days_ago: int | None
    day: date | None = None


@define
class TradePager:
    """Walks trades back, by cursor inside a UTC day and then into the day before, at most seven days.

    What is read is a date; ``days_ago`` is its distance from the server's date when the page is asked for.
    A page shorter than its count ends its *day*, not the history. A full one is followed by another, so a day
    of n trades costs ``n // page_size + 1`` calls, an empty one costs one. An answer that may tell of another
    day (rows of one; or none, and the server's midnight may have passed meanwhile) is asked for again.

    While nothing tells the server's date, it is learnt from the rows themselves.

    Invariant: ``trades`` are unique by id, and nothing newer than the oldest of them is missing.

    Attributes:
        count: end with as many trades.
        not_before: end with a trade from before this instant, or where the days before it begin.
        until_id: end with this trade, and as much before it as a late one can lie.
        has_reached: whether the pages got back to ``not_before`` or ``until_id``.
        is_exhausted: whether they ended where the venue keeps no more.
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
        if self._doubts >= MAX_DOUBTS:
            days = " and ".join(sorted({f"{trade.traded_at:%Y-%m-%d}" for trade in page})) or "none, around midnight"
            msg = (
                f"asked {self._doubts} times for trades of {asked.day} (UTC), got {days}; is the server's clock right?"
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
