"""Columns of candles joined, picked and cut, without making a candle of a row."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import groupby
from operator import add

from .columns import NUMBERS, CandleColumns, DecimalColumn, Mark
from .instants import to_micros
from .time_range import TimeRange

MOST_NARROW_MARKS = 256
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
    if len(table) > MOST_NARROW_MARKS and mark.typecode == "B":
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
