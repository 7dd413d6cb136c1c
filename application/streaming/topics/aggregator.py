"""The forming candle of a timeframe without a stream, made of the minutes that are streamed. Pure.

Invariant:
    A derived candle is the aggregate of *disjoint* parts of its slot: closed rows from the slot's opening to
    a minute's boundary, read once, and one view of each minute since. No trade lies in two parts, so nothing
    is counted twice, whatever the instants at which the parts were read; and no trade lies in none, because
    the minutes have been followed without a gap since before the rows were read. When every part is as new
    as the venue's own view of the slot, both tell the same.

    A slot that opens while minutes are followed begins with no rows: all of it comes in minutes. A slot of
    which a part is missing or was changed afterwards is not told at all, until its rows are read anew.

Why not "the last REST view of the slot plus the minutes since": that view ends inside a minute, at an
instant that the venue does not tell, and the minute's own view counts what lies before it once more.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from attrs import define, field

from ....domain.candle import Candle
from ....domain.resampling import aggregate, is_made_of
from ....domain.time_range import TimeRange
from ....domain.timeframe import Timeframe
from ....domain.unifier import CandleView, DataUnifier

TIMEFRAMES = (Timeframe.MONTH, Timeframe.D1, Timeframe.H1, Timeframe.M1)
SLOTS_KEPT = 2
"""The slot that is open, and the one before: its last trades may be told after its end."""


def cover_with_timeframes(
    timeframe: Timeframe, now: datetime, sealed_until: datetime
) -> list[tuple[Timeframe, TimeRange]]:
    """Return what has to be read to know the open slot of ``timeframe`` up to ``now``, longest rows first.

    Rows longer than a minute are asked for only where they are over by the grace, at ``sealed_until``; the
    rest is asked for in minutes, of which the newest may be open.
    """
    known_until, parts = timeframe.floor(now), list[tuple[Timeframe, TimeRange]]()
    for part in TIMEFRAMES:
        if part is timeframe or not is_made_of(timeframe, part):
            continue
        end = Timeframe.M1.next(now) if part is Timeframe.M1 else max(known_until, part.floor(sealed_until))
        if end > known_until:
            parts.append((part, TimeRange(known_until, end)))
        known_until = end
    return parts


@define
class _Slot:
    """The parts of one slot: what is settled up to ``until``, and the newest view of each minute since."""

    until: datetime
    settled: Candle | None = None
    minutes: dict[datetime, CandleView] = field(factory=dict[datetime, CandleView])

    def add(self, minute: Candle, timeframe: Timeframe) -> None:
        if minute.opened_at < self.until:
            return
        view, held = CandleView(minute), self.minutes.get(minute.opened_at)
        self.minutes[minute.opened_at] = view if held is None else DataUnifier().winner(held, view)
        if minute.is_final:
            self._settle(minute.closed_at, timeframe)

    def _settle(self, until: datetime, timeframe: Timeframe) -> None:
        """Fold what is over into one candle: minutes become FINAL in order, and a year has half a million."""
        over = [self.minutes.pop(slot).candle for slot in sorted(self.minutes) if slot < until]
        self.settled = aggregate([self.settled, *over] if self.settled is not None else over, timeframe)
        self.until = until

    def candle(self, timeframe: Timeframe) -> Candle | None:
        """Return the aggregate of all parts; None while nothing has traded."""
        since = [self.minutes[slot].candle for slot in sorted(self.minutes)]
        rows = [self.settled, *since] if self.settled is not None else since
        return aggregate(rows, timeframe) if rows else None


@define
class Aggregator:
    """Derives the candles of ``timeframe``; minutes are given in any order, as often as they change.

    Attributes:
        corrections: how often what was derived had to be given up, because the venue told otherwise.

    """

    timeframe: Timeframe
    corrections: int = 0
    _slots: dict[datetime, _Slot] = field(factory=dict[datetime, _Slot])
    _volumes: tuple[datetime, Decimal, Decimal] | None = None

    def begin(self, slot: datetime, rows: Iterable[Candle]) -> list[Candle]:
        """Take the parts of ``slot`` anew, oldest first: closed rows of longer timeframes, then minutes."""
        self.forget()
        part = self._slots[slot] = _Slot(slot)
        known = list(rows)
        longer = [row for row in known if row.timeframe is not Timeframe.M1]
        if longer:
            part.settled, part.until = aggregate(longer, self.timeframe), longer[-1].closed_at
        for minute in known[len(longer) :]:
            self.add(minute)
        candles = (self._slots[opened_at].candle(self.timeframe) for opened_at in sorted(self._slots))
        return [candle for candle in candles if candle is not None]

    def forget(self) -> None:
        """Tell nothing until ``begin``."""
        self._slots.clear()
        self._volumes = None

    def add(self, minute: Candle) -> Candle | None:
        """Take a newer view of a minute; returns the candle that it belongs to, where all its parts are known."""
        slot = self.timeframe.floor(minute.opened_at)
        if slot not in self._slots:
            # its beginning was not followed: nothing is told of it until its rows are read
            if not self._slots or slot < max(self._slots):
                return None
            self._slots[slot] = _Slot(slot)
            if len(self._slots) > SLOTS_KEPT:
                del self._slots[min(self._slots)]
        part = self._slots[slot]
        part.add(minute, self.timeframe)
        return part.candle(self.timeframe)

    def holds(self, minute: Candle) -> bool:
        """Return whether a minute is settled in a slot that is told."""
        part = self._slots.get(self.timeframe.floor(minute.opened_at))
        return part is not None and minute.opened_at < part.until

    def is_refuted_by(self, read: Candle) -> bool:
        """Return whether a view that the venue has of the slot now proves what was derived wrong.

        Both grow, and each may be ahead of the other for seconds. Wrong is what has not caught up with where
        the other side was at the read before, a minute ago.
        """
        part = self._slots.get(read.opened_at)
        if part is None:
            return False
        derived = part.candle(self.timeframe)
        volume = derived.volume if derived is not None else Decimal(0)
        before, self._volumes = self._volumes, (read.opened_at, volume, read.volume)
        if before is None or before[0] != read.opened_at:
            return False
        is_refuted = volume < before[2] or read.volume < before[1]
        self.corrections += is_refuted
        return is_refuted
