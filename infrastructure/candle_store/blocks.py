"""Blocks: the rows of one series that are stored, checked and rewritten together.

Invariant: every slot opens in exactly one block, and a block holds at most 1,800 slots, so that a
live candle rewrites little and a page of history meets few blocks.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import timedelta
from functools import cache

from ...domain.columns import CandleColumns
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ...domain.timestamps import MICROSECOND, from_micros

_SECONDS = timedelta(minutes=30)
_SLOTS = 1440
"""A day of minutes, and as many slots of every wider timeframe."""


@cache
def block_width(timeframe: Timeframe) -> int:
    """Return how many microseconds a block spans."""
    return (_SECONDS if timeframe is Timeframe.S1 else timeframe.nominal_width * _SLOTS) // MICROSECOND


def block_start(opened: int, timeframe: Timeframe) -> int:
    """Return the microsecond at which the block begins that holds the slot opening at ``opened``."""
    width = block_width(timeframe)
    return opened // width * width


def block_span(start: int, timeframe: Timeframe) -> TimeRange:
    """Return the whole slots that open inside a block, from the first opening to the last one's end."""
    end = start + block_width(timeframe)
    return TimeRange(timeframe.ceil(from_micros(start)), timeframe.ceil(from_micros(end)))


def split(columns: CandleColumns) -> Iterator[tuple[int, CandleColumns]]:
    """Yield the start and the rows of every block that the rows touch, oldest first."""
    width, opened, row = block_width(columns.timeframe), columns.opened, 0
    while row < len(opened):
        start = block_start(opened[row], columns.timeframe)
        stop = bisect_left(opened, start + width, row)
        yield start, columns.slice(row, stop)
        row = stop
