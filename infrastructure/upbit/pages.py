"""A page of sound candles as columns, without making a candle of a row. No I/O.

What is checked is what a ``Candle`` checks, for all rows at once: a page of 200 takes a third of the time. A page
of which anything is odd is left to whoever looks at it row by row, and can say which row it is and why.
"""

from array import array
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import attrgetter, ge, le

from attrs import frozen

from ...domain.columns import CandleColumns, DecimalColumn, Mark
from ...domain.errors import IntegrityError
from ...domain.finality import Finality, SealedBy, judge_rest_row
from ...domain.instants import MICROSECOND, to_micros
from ...domain.symbol import Symbol
from ...domain.timeframe import MONDAY, Timeframe
from .protocol import MICROSECONDS_FROM
from .rows import CandleNumbers
from .values import FIRST_YEAR, LAST_YEAR, check_figures

_numbers = attrgetter(
    "opening_price",
    "high_price",
    "low_price",
    "trade_price",
    "candle_acc_trade_volume",
    "candle_acc_trade_price",
)


@frozen(kw_only=True)
class PageOrigin:
    """Whose rows they are, by which channel they came, and when they were read at the earliest and at the latest."""

    venue: str
    symbol: Symbol
    timeframe: Timeframe
    source: str
    read_at: datetime
    received_by: datetime | None
    grace: timedelta


def sound_columns(rows: Sequence[CandleNumbers], origin: PageOrigin) -> CandleColumns | None:
    """Return the rows, which come newest first, as columns; None where one of them needs a closer look."""
    if not rows or not origin.timeframe.is_fixed:
        return None
    try:
        opened_at = [datetime.fromisoformat(f"{row.candle_date_time_utc}+00:00") for row in reversed(rows)]
        figures = list(zip(*map(_numbers, reversed(rows)), strict=True))
        for column in figures:
            check_figures(column)
    except (IntegrityError, ValueError):
        return None
    opened = array("q", map(to_micros, opened_at))
    stamps = [row.timestamp for row in reversed(rows)]
    numbers = [DecimalColumn.of(column) for column in figures]
    if not (_are_slots(opened, opened_at, origin) and _are_stamps(stamps) and _are_possible(numbers)):
        return None
    opening, high, low, close, volume, turnover = numbers
    mark, marks = _judged(opened_at, origin)
    return CandleColumns(
        origin.venue,
        origin.symbol,
        origin.timeframe,
        opened,
        opening,
        high,
        low,
        close,
        volume,
        turnover,
        array("q", (stamp * 1000 for stamp in stamps)),
        mark,
        marks,
    )


def _are_slots(opened: "array[int]", opened_at: list[datetime], origin: PageOrigin) -> bool:
    """Return whether the slots are in order, none twice, on the grid, none had yet to begin, and none is absurd."""
    width, monday = origin.timeframe.nominal_width // MICROSECOND, to_micros(MONDAY)
    return (
        not any(map(ge, opened, opened[1:]))
        and not any((at - monday) % width for at in opened)
        and (origin.received_by is None or opened_at[-1] <= origin.received_by)
        and opened_at[0].year >= FIRST_YEAR
        and opened_at[-1].year <= LAST_YEAR
    )


def _are_stamps(stamps: list[int]) -> bool:
    """Return whether all stamps are milliseconds."""
    return min(stamps) >= 0 and max(stamps) < MICROSECONDS_FROM


def _are_possible(numbers: list[DecimalColumn]) -> bool:
    """Return whether low <= open, close <= high, and no volume is negative."""
    if any(column.outsized for column in numbers):
        return False
    opening, high, low, close, volume, turnover = (column.units for column in numbers)
    pairs = ((low, opening), (low, close), (opening, high), (close, high))
    return all(all(map(le, lower, upper)) for lower, upper in pairs) and min(volume) >= 0 and min(turnover) >= 0


def _judged(opened_at: list[datetime], origin: PageOrigin) -> tuple["array[int]", tuple[Mark, ...]]:
    """Return how final each row is, as places in a table; below one that is FINAL all are."""
    unsealed: list[Mark] = []
    for at in reversed(opened_at):
        finality, sealed_by = judge_rest_row(origin.timeframe.next(at), origin.read_at, origin.grace)
        if finality is Finality.FINAL:
            break
        unsealed.append(Mark(origin.source, finality, sealed_by, 0, is_empty=False))
    sealed = len(opened_at) - len(unsealed)
    table = {Mark(origin.source, Finality.FINAL, SealedBy.REST, 0, is_empty=False): 0} if sealed else {}
    mark = array("I", [0]) * sealed
    mark.extend(table.setdefault(one, len(table)) for one in reversed(unsealed))
    return mark, tuple(table)
