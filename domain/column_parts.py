"""Columns of candles joined, picked and cut, without making a candle of a row."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import groupby

from .columns import NUMBERS, CandleColumns, DecimalColumn, Mark
from .instants import to_micros
from .time_range import TimeRange


def join(parts: Iterable[CandleColumns]) -> CandleColumns:
    """Return the rows of at least one part as columns of their own; each part is newer than the one before.

    A part is let go once it is taken over, so that parts that are made one by one never stand beside the
    whole. Marks that no row carries are left out.
    """
    numbers = [DecimalColumn(array("q"), {}) for _ in NUMBERS]
    opened, updated, mark = array("q"), array("q"), array("I")
    table: dict[Mark, int] = {}
    part = None
    for part in parts:
        for whole, column in zip(numbers, part.numbers, strict=True):
            offset = len(whole)
            whole.units.extend(column.units)
            whole.outsized.update({offset + row: number for row, number in column.outsized.items()})
        opened.extend(part.opened)
        updated.extend(part.updated)
        mark.extend(_marks(part, table))
    if part is None:
        raise ValueError("there are no parts to join")
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


def _marks(part: CandleColumns, table: dict[Mark, int]) -> "array[int]":
    """Return the marks of a part as places in a table, which learns those that are new to it."""
    used = set(part.mark if len(part.marks) > 1 else part.mark[:1])
    places = {old: table.setdefault(part.marks[old], len(table)) for old in sorted(used)}
    is_same = all(old == place for old, place in places.items())
    return part.mark if is_same else array("I", map(places.__getitem__, part.mark))


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
