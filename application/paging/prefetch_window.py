"""Which pages of a pager can be asked for before their turn. Pure.

A page holds rows that exist, so where it ends is known only when it has come. Where nearly every slot has a
candle, though, the next page ends where this one does, give or take a few rows: pages of as many slots as a
page has rows leave no hole between them, whatever is empty.

Invariants:
    Pages are sent ahead of a page only that was at least 95 % dense, or presumed to be, and never below the floor,
    nor beyond what the pager still wants.
    A page cut below the pager's cursor is a page like any other: rows and coverage are those of one answer.
"""

from datetime import datetime

from attrs import define, field, frozen

from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe

MIN_DENSITY = 0.95


def is_dense(page: CandleSeries, count: int, end: datetime | None) -> bool:
    """Return whether a page is full and nearly every slot that it spans has a candle."""
    if len(page) < max(1, count):
        return False
    closed_at = page.timeframe.next(page.opened_at(-1))
    newest = closed_at if end is None else max(end, closed_at)
    slots = page.timeframe.count_slots(TimeRange(page.opened_at(0), newest))
    return len(page) >= MIN_DENSITY * slots


@frozen
class PrefetchPage:
    """One page to ask for ahead: ``rows`` rows before ``end``."""

    end: datetime
    rows: int


@define
class PrefetchWindow:
    """The pages that are asked for ahead of one pager, newest first.

    Attributes:
        size: rows of a page, and slots of a page.
        rows: how many rows below the present page the pager still wants; None for as many as there are.
        floor: nothing below it is wanted.
        is_floor_held: what lies below the floor is held, and one row of it is compared.

    """

    timeframe: Timeframe
    size: int
    rows: int | None = None
    floor: datetime | None = None
    is_floor_held: bool = False
    _next_end: datetime | None = None
    _cursor: datetime | None = None
    _ends: list[datetime] = field(factory=list[datetime])

    def note(self, page: CandleSeries, count: int, end: datetime | None) -> bool:
        """Take into account what the pager has just got; answers whether pages may go ahead of it.

        Args:
            page: what the venue answered, uncut.
            count: rows that were asked for.
            end: before which they were asked for.

        """
        if count < self.size or not is_dense(page, count, end):
            self._next_end = None
            return False
        self._cursor = page.opened_at(0)
        is_behind = not self._ends and self._next_end is not None and self._next_end > self._cursor
        if self._next_end is None or is_behind:  # what is held lay between: begin anew below it
            lowest = min(self._ends, default=None)
            self._next_end = self._cursor if lowest is None else self.timeframe.move(lowest, -self.size)
        return True

    def start_optimistically(self, end: datetime) -> None:
        """Let pages go ahead of the pager's first page, before ``end``, as if that were dense; ``note`` tells."""
        self._cursor = self._next_end = self.timeframe.move(self.timeframe.ceil(end), -self.size)

    def next_page(self) -> PrefetchPage | None:
        """Return the next page to send; None when nothing more is wanted ahead."""
        end = self._next_end
        if end is None or self._cursor is None or (self.floor is not None and end <= self.floor):
            return None
        if self.rows is not None and end <= self.timeframe.move(self._cursor, -self.rows):
            return None
        self._ends.append(end)
        self._next_end = self.timeframe.move(end, -self.size)
        if self.floor is None:
            return PrefetchPage(end, self.size)
        above_floor = self.timeframe.count_slots(TimeRange(self.floor, end)) + self.is_floor_held
        return PrefetchPage(end, min(self.size, above_floor))

    def match(self, end: datetime) -> datetime | None:
        """Return the page in which ``end`` lies; None where there is none."""
        return next((each for each in self._ends if self.timeframe.move(each, -self.size) < end <= each), None)

    def passed(self, end: datetime) -> list[datetime]:
        """Take out and return the pages that lie wholly above ``end``: a page reached behind them."""
        useless = [each for each in self._ends if self.timeframe.move(each, -self.size) >= end]
        self._ends = [each for each in self._ends if each not in useless]
        return useless

    def take(self, end: datetime) -> None:
        """Note that a page is used."""
        self._ends.remove(end)

    @property
    def ends(self) -> tuple[datetime, ...]:
        """The pages that were sent and not used yet, newest first."""
        return tuple(self._ends)

    def stop(self) -> None:
        """Send nothing more until the pager has met a dense page again."""
        self._next_end = None
