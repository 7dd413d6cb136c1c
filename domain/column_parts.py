"""Columns of candles joined, picked and cut, without making a candle of a row."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import groupby

from .columns import CandleColumns, DecimalColumn, Mark
from .instants import to_micros
from .time_range import TimeRange


def join(parts: Sequence[CandleColumns]) -> CandleColumns:
    """Return the rows of at least one part as columns of their own; each part is newer than the one before.

    Marks that no row carries are left out.
    """
    opened, updated, mark = array("q"), array("q"), array("I")
    table: dict[Mark, int] = {}
    for part in parts:
        opened.extend(part.opened)
        updated.extend(part.updated)
        places = {old: table.setdefault(part.marks[old], len(table)) for old in sorted(set(part.mark))}
        is_same = all(old == place for old, place in places.items())
        mark.extend(part.mark if is_same else array("I", map(places.__getitem__, part.mark)))
    return CandleColumns(
        parts[0].venue,
        parts[0].symbol,
        parts[0].timeframe,
        opened,
        _joined(part.open for part in parts),
        _joined(part.high for part in parts),
        _joined(part.low for part in parts),
        _joined(part.close for part in parts),
        _joined(part.volume for part in parts),
        _joined(part.quote_volume for part in parts),
        updated,
        mark,
        tuple(table),
    )


def _joined(parts: Iterable[DecimalColumn]) -> DecimalColumn:
    whole = DecimalColumn(array("q"), {})
    for part in parts:
        offset = len(whole)
        whole.units.extend(part.units)
        whole.outsized.update({offset + row: number for row, number in part.outsized.items()})
    return whole


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
    """Return the rows with ``span.start <= opened_at < span.end`` as columns of their own."""
    opened = columns.opened
    return columns.slice(bisect_left(opened, to_micros(span.start)), bisect_left(opened, to_micros(span.end)))
