"""Timeframes and the grid of their slots.

Invariant, for every timeframe and every aware instant ``at``::

    floor(at) <= at < next(at)      floor(next(at)) == next(at)      next(previous_slot) == slot

Slots lie on the UTC grid; a week begins on Monday (1970-01-05 was one), months and years on their
first day. There is no Korean-midnight day: Upbit's day candle opens at 00:00 UTC
(https://docs.upbit.com/kr/reference/list-candles-days.md, confirmed on the wire 2026-09-13).
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Self

from .errors import UnsupportedRequestError
from .time_range import TimeRange
from .timestamps import EPOCH, to_utc

MONDAY = EPOCH + timedelta(days=4)
FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)
ALIASES = {"60m": "1h", "240m": "4h"}


class Timeframe(StrEnum):
    """The width of a candle's slot; compares equal to its text (``Timeframe.M1 == "1m"``)."""

    S1 = "1s"
    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M10 = "10m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"
    W1 = "1w"
    MONTH = "1M"
    Y1 = "1y"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a timeframe, also by its aliases ``60m`` and ``240m``.

        Raises:
            UnsupportedRequestError: the text names no timeframe of Upbit.

        """
        try:
            return cls(ALIASES.get(text, text))
        except (ValueError, TypeError) as error:
            near = _nearest(str(text))
            hint = f"; did you mean {near!r}?" if near else ""
            msg = f"unknown timeframe {text!r}; expected one of {' '.join(cls)}{hint}"
            raise UnsupportedRequestError(msg) from error

    @property
    def is_fixed(self) -> bool:
        """Whether every slot is equally wide (months and years are not)."""
        return self in _WIDTHS

    @property
    def nominal_width(self) -> timedelta:
        """Return the slot's width; for months and years the shortest that occurs (28 and 365 days)."""
        return _WIDTHS[self] if self in _WIDTHS else timedelta(days=28 if self is Timeframe.MONTH else 365)

    def floor(self, at: datetime) -> datetime:
        """Return the opening of the slot that contains ``at``."""
        at = to_utc(at)
        if self is Timeframe.MONTH:
            return datetime(at.year, at.month, 1, tzinfo=UTC)
        if self is Timeframe.Y1:
            return datetime(at.year, 1, 1, tzinfo=UTC)
        return at - (at - MONDAY) % _WIDTHS[self]

    def next(self, at: datetime) -> datetime:
        """Return the opening of the slot after the one that contains ``at``."""
        opened_at = self.floor(at)
        if self is Timeframe.MONTH:
            return self.floor(opened_at + timedelta(days=31))
        if self is Timeframe.Y1:
            return opened_at.replace(year=opened_at.year + 1)
        return opened_at + _WIDTHS[self]

    def previous(self, at: datetime) -> datetime:
        """Return the opening of the slot before the one that contains ``at``."""
        return self.floor(self.floor(at) - timedelta(microseconds=1))

    def move(self, at: datetime, slots: int) -> datetime:
        """Return the instant ``slots`` nominal widths after ``at`` (before, if negative), inside 1970 to 9999."""
        try:
            moved = at + self.nominal_width * slots
        except OverflowError:
            moved = FAR_FUTURE if slots > 0 else EPOCH
        return min(max(moved, EPOCH), FAR_FUTURE)

    def ceil(self, at: datetime) -> datetime:
        """Return the first slot opening that is not before ``at``."""
        return at if self.is_on_grid(at) else self.next(at)

    def is_on_grid(self, at: datetime) -> bool:
        """Return whether a slot opens exactly at ``at``."""
        return self.floor(at) == at

    def slots(self, span: TimeRange) -> Iterator[datetime]:
        """Yield every slot opening ``o`` with ``span.start <= o < span.end``, oldest first."""
        opened_at = self.ceil(span.start)
        while opened_at < span.end:
            yield opened_at
            opened_at = self.next(opened_at)

    def count_slots(self, span: TimeRange) -> int:
        """Return how many slots open inside ``span``, without walking them when they are equally wide."""
        if self in _WIDTHS:
            first, beyond = self.ceil(span.start), self.ceil(span.end)
            return max(0, (beyond - first) // _WIDTHS[self])
        return sum(1 for _ in self.slots(span))


_SPELLING = re.compile(r"(\d+)\s*(mo|[smhdwy])")


def _nearest(text: str) -> str | None:
    """Return the timeframe that ``1H``, ``1min`` or ``1month`` most likely means."""
    found = _SPELLING.match(text.lower())
    meant = f"{found[1]}{'M' if found[2] == 'mo' else found[2]}" if found else text
    if meant in ALIASES:
        return ALIASES[meant]
    known = [str(member) for member in Timeframe]
    near = get_close_matches(meant, known, n=1, cutoff=0.6)
    return str(meant if meant in known else near[0]) if near else None


_WIDTHS = {
    Timeframe.S1: timedelta(seconds=1),
    Timeframe.M1: timedelta(minutes=1),
    Timeframe.M3: timedelta(minutes=3),
    Timeframe.M5: timedelta(minutes=5),
    Timeframe.M10: timedelta(minutes=10),
    Timeframe.M15: timedelta(minutes=15),
    Timeframe.M30: timedelta(minutes=30),
    Timeframe.H1: timedelta(hours=1),
    Timeframe.H4: timedelta(hours=4),
    Timeframe.D1: timedelta(days=1),
    Timeframe.W1: timedelta(weeks=1),
}
