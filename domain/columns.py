"""Candles as columns: a million candles must not cost a million objects, nor one rounded digit."""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation
from itertools import groupby, repeat
from operator import add
from typing import Self

from attrs import field, frozen

from .candle import Candle
from .finality import Finality, SealedBy
from .symbol import Symbol
from .time_range import TimeRange
from .timeframe import Timeframe
from .timestamps import from_micros, to_micros

EXACT = Context(prec=400, traps=[Inexact, InvalidOperation])
SCALE = 8
"""Upbit prints eight decimals; numbers with more, or beyond an int64, are kept as they are."""

UNIT = 10**SCALE
_UNIT = Decimal(UNIT)
_ABSENT = -(2**63)
_ABSENT_TOP, _TOPS = 0x80, slice(7 if sys.byteorder == "little" else 0, None, 8)
_LARGEST = 2**63 - 1
NUMBERS = ("open", "high", "low", "close", "volume", "quote_volume")
_MAX_INTEGER = 12
"""Digits before the point beyond which units of 1e-8 overflow an int64."""


def _scaled(number: Decimal | None) -> int | None:
    """Return the number in units of 1e-8, or None when it does not fit exactly."""
    if number is None:
        return _ABSENT
    if not number.is_finite() or number.adjusted() >= _MAX_INTEGER:
        return None  # far too large: not worth expanding a million digits to find out
    try:
        units = int(EXACT.to_integral_exact(EXACT.scaleb(number, SCALE)))
    except (Inexact, InvalidOperation):
        return None
    return units if -_LARGEST <= units <= _LARGEST else None


def _all_scaled(numbers: list[Decimal | None]) -> "array[int] | None":
    """Return numbers in units of 1e-8, or None when one of them needs care: ``_scaled`` tells each what it is.

    Each step is taken for all numbers at once, in little more than half the time: nearly all pages are ordinary.
    """
    try:
        if max(map(Decimal.adjusted, numbers), default=0) >= _MAX_INTEGER:  # pyright: ignore[reportArgumentType] - None is found out
            return None
        scaled = map(EXACT.multiply, numbers, repeat(_UNIT))  # pyright: ignore[reportArgumentType] - as above
        units = array("q", map(int, map(EXACT.to_integral_exact, scaled)))
    except (TypeError, ValueError, OverflowError, Inexact, InvalidOperation):  # none, not finite, too large, too fine
        return None
    return None if _ABSENT in units else units


@frozen(eq=False)
class DecimalColumn:
    """Exact numbers: eight bytes each while they fit, the ``Decimal`` itself where one does not.

    Invariant: ``column[i]`` equals the i-th number given, in value, whatever its size.
    """

    units: "array[int]"
    outsized: dict[int, Decimal]

    @classmethod
    def of(cls, numbers: Iterable[Decimal | None]) -> Self:
        """Build the column from numbers; None stays None."""
        given = list(numbers)
        ordinary = _all_scaled(given)
        if ordinary is not None:
            return cls(ordinary, {})
        units: array[int] = array("q")
        outsized: dict[int, Decimal] = {}
        for row, number in enumerate(given):
            scaled = _scaled(number)
            if scaled is None and number is not None:
                outsized[row] = number
            units.append(_ABSENT if scaled is None else scaled)
        return cls(units, outsized)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.units)

    def get(self, row: int) -> Decimal | None:
        """Return the number of a row (not negative), or None where the source gave none."""
        units = self.units[row]
        if units == _ABSENT:
            return self.outsized.get(row)
        return EXACT.scaleb(Decimal(units), -SCALE)

    def require(self, row: int) -> Decimal:
        """Return the number of a row of which every row has one."""
        number = self.get(row)
        if number is None:
            msg = f"row {row} of a column of prices holds no number"
            raise IndexError(msg)
        return number

    @property
    def absent(self) -> int:
        """The value of ``units`` that stands for no number, or for one that is kept apart."""
        return _ABSENT

    def count_absent(self) -> int:
        """Return how many rows hold no number, or one that is kept apart.

        Looking at every number's top byte first takes a twentieth of the time of comparing number by number;
        others may have the same, so only its lack says something.
        """
        return self.units.count(_ABSENT) if _ABSENT_TOP in self.units.tobytes()[_TOPS] else 0

    def slice(self, start: int, stop: int) -> Self:
        """Return rows ``start <= row < stop`` as a column of their own."""
        outsized = {row - start: number for row, number in self.outsized.items() if start <= row < stop}
        return type(self)(self.units[start:stop], outsized)

    def to_floats(self) -> list[float]:
        """Return the numbers as float64 (rounded to the nearest); NaN where there is none."""
        floats = [float("nan") if units == _ABSENT else units / UNIT for units in self.units]
        for row, number in self.outsized.items():
            floats[row] = float(number)
        return floats

    def to_decimals(self) -> list[Decimal | None]:
        """Return the exact numbers."""
        return [self.get(row) for row in range(len(self.units))]


@frozen
class Mark:
    """What is the same for long runs of candles, and so stored once per distinct value."""

    source: str
    finality: Finality
    sealed_by: SealedBy | None
    revision: int
    is_empty: bool


@frozen(eq=False)
class CandleColumns:
    """Candles of one venue, symbol and timeframe, column by column.

    What is alike for many rows is held in fewer bytes where that loses nothing; a million rows of the cache then
    take 50 MB rather than 68.

    Attributes:
        opened: microseconds since the epoch, oldest first, without repetition; a ``range`` where every candle opens
            equally long after the one before.
        updated: when the source last knew of each, in eight bytes (``q``), or how many microseconds after its
            opening that was, in four (``I``); see ``updates``.
        mark: places in ``marks``, of one byte (``B``) or four (``I``).

    """

    venue: str
    symbol: Symbol
    timeframe: Timeframe
    opened: "array[int] | range"
    open: DecimalColumn
    high: DecimalColumn
    low: DecimalColumn
    close: DecimalColumn
    volume: DecimalColumn
    quote_volume: DecimalColumn
    updated: "array[int]"
    mark: "array[int]"
    marks: tuple[Mark, ...] = field(default=())

    @classmethod
    def of(cls, venue: str, symbol: Symbol, timeframe: Timeframe, candles: Iterable[Candle]) -> Self:
        """Take candles that are already ordered and unique apart into columns."""
        rows = list(candles)
        table: dict[Mark, int] = {}
        mark = array("I", (table.setdefault(_mark_of(candle), len(table)) for candle in rows))
        return cls(
            venue,
            symbol,
            timeframe,
            array("q", (to_micros(candle.opened_at) for candle in rows)),
            DecimalColumn.of(candle.open for candle in rows),
            DecimalColumn.of(candle.high for candle in rows),
            DecimalColumn.of(candle.low for candle in rows),
            DecimalColumn.of(candle.close for candle in rows),
            DecimalColumn.of(candle.volume for candle in rows),
            DecimalColumn.of(candle.quote_volume for candle in rows),
            array("q", (_ABSENT if candle.updated_at is None else to_micros(candle.updated_at) for candle in rows)),
            mark,
            tuple(table),
        )

    def __len__(self) -> int:
        """Return the number of candles."""
        return len(self.opened)

    def candle(self, row: int) -> Candle:
        """Make the candle of a row (not negative)."""
        mark, updated = self.marks[self.mark[row]], self.updated_at(row)
        return Candle(
            venue=self.venue,
            symbol=self.symbol,
            timeframe=self.timeframe,
            opened_at=from_micros(self.opened[row]),
            open=self.open.require(row),
            high=self.high.require(row),
            low=self.low.require(row),
            close=self.close.require(row),
            volume=self.volume.require(row),
            quote_volume=self.quote_volume.get(row),
            updated_at=None if updated is None else from_micros(updated),
            source=mark.source,
            finality=mark.finality,
            sealed_by=mark.sealed_by,
            revision=mark.revision,
            is_empty=mark.is_empty,
        )

    @property
    def has_narrow_updates(self) -> bool:
        """Whether ``updated`` counts from each candle's opening."""
        return self.updated.typecode == "I"

    @property
    def updates(self) -> "array[int]":
        """When the source last knew of each candle, in microseconds since the epoch, whatever ``updated`` holds."""
        return array("q", map(add, self.opened, self.updated)) if self.has_narrow_updates else self.updated

    def updated_at(self, row: int) -> int | None:
        """Return when the source last knew of a candle (row not negative), or None where it did not say."""
        updated = self.updated[row]
        if self.has_narrow_updates:
            return self.opened[row] + updated
        return None if updated == _ABSENT else updated

    @property
    def numbers(self) -> tuple[DecimalColumn, ...]:
        """The columns of numbers, in the order of ``NUMBERS``."""
        return (self.open, self.high, self.low, self.close, self.volume, self.quote_volume)

    def slice(self, start: int, stop: int) -> Self:
        """Return rows ``start <= row < stop`` as columns of their own."""
        return type(self)(
            self.venue,
            self.symbol,
            self.timeframe,
            self.opened[start:stop],
            self.open.slice(start, stop),
            self.high.slice(start, stop),
            self.low.slice(start, stop),
            self.close.slice(start, stop),
            self.volume.slice(start, stop),
            self.quote_volume.slice(start, stop),
            self.updated[start:stop],
            self.mark[start:stop],
            self.marks,
        )


def _mark_of(candle: Candle) -> Mark:
    return Mark(candle.source, candle.finality, candle.sealed_by, candle.revision, candle.is_empty)


MAX_NARROW_MARKS = 256
"""Places in a table that fit into a byte."""


def join(parts: Iterable[CandleColumns], *, room: int = 0) -> CandleColumns:
    """Return the rows of at least one part as columns of their own; each part is newer than the one before.

    A part is let go once it is taken over, so that parts that are made one by one never stand beside the
    whole. Marks that no row carries are left out.

    Args:
        parts: what is joined.
        room: how many rows are expected. Columns that have to grow leave holes in the heap, 2 MiB beside a million
            rows.

    """
    numbers = [DecimalColumn(array("q", [0]) * room, {}) for _ in NUMBERS]
    opened: array[int] | range = array("q")
    updated, mark = array("I"), array("B")
    table: dict[Mark, int] = {}
    rows, part = 0, None
    for part in parts:
        if not len(part):
            continue
        for whole, column in zip(numbers, part.numbers, strict=True):
            whole.units[rows : rows + len(part)] = column.units
            whole.outsized.update({rows + row: number for row, number in column.outsized.items()})
        rows += len(part)
        updated = _updated(updated, opened, part)
        opened = _continued(opened, part.opened)
        mark = _marked(mark, part, table)
    if part is None:
        raise ValueError("there are no parts to join")
    for whole in numbers:
        del whole.units[rows:]
    opening, high, low, close, volume, turnover = numbers
    return CandleColumns(
        part.venue,
        part.symbol,
        part.timeframe,
        opened,
        opening,
        high,
        low,
        close,
        volume,
        turnover,
        updated,
        mark,
        tuple(table),
    )


def _continued(opened: "array[int] | range", later: "array[int] | range") -> "array[int] | range":
    """Return the openings of both: no more than a ``range`` as long as no slot is missing; changes an array."""
    if not len(opened):
        return later if isinstance(later, range) else array("q", later)
    if isinstance(opened, range):
        if isinstance(later, range) and (later.start, later.step) == (opened.stop, opened.step):
            return range(opened.start, later.stop, opened.step)
        opened = array("q", opened)
    opened.extend(later)
    return opened


def _updated(updated: "array[int]", opened: "array[int] | range", part: CandleColumns) -> "array[int]":
    """Return ``updated`` so far, of candles that ``opened`` so, and that of a part; narrow while both are."""
    if updated.typecode == part.updated.typecode:
        updated.extend(part.updated)
        return updated
    if updated.typecode == "I":
        updated = array("q", map(add, opened, updated))
    updated.extend(part.updates)
    return updated


def _marked(mark: "array[int]", part: CandleColumns, table: dict[Mark, int]) -> "array[int]":
    """Return the marks so far and those of a part, as places in a table, which learns those that are new to it."""
    used = set(part.mark if len(part.marks) > 1 else part.mark[:1])
    places = {old: table.setdefault(part.marks[old], len(table)) for old in sorted(used)}
    is_same = all(old == place for old, place in places.items())
    if len(table) > MAX_NARROW_MARKS and mark.typecode == "B":
        mark = array("I", mark)
    mark.extend(array(mark.typecode, part.mark if is_same else map(places.__getitem__, part.mark)))
    return mark


def pick(columns: CandleColumns, is_wanted: Iterable[bool]) -> CandleColumns:
    """Return the rows whose flag is set."""
    pieces: list[CandleColumns] = []
    row = 0
    for flag, run in groupby(is_wanted):
        stop = row + sum(1 for _ in run)
        if flag:
            pieces.append(columns.slice(row, stop))
        row = stop
    return join(pieces) if pieces else columns.slice(0, 0)


def cut(columns: CandleColumns, span: TimeRange) -> CandleColumns:
    """Return the rows with ``span.start <= opened_at < span.end``: the columns themselves if that is all of them."""
    opened = columns.opened
    start, stop = (bisect_left(opened, to_micros(bound)) for bound in (span.start, span.end))
    return columns if stop - start == len(columns) else columns.slice(start, stop)
