"""What the store does in one transaction each; all of it blocks, and runs in the store's own thread.

A block that turns out to be damaged is struck in a transaction of its own, and the work begins again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from attrs import evolve

from ...domain.ledger import HeldSeries, Ledger, SeriesKey, WriteResult
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from .blocks import split
from .connection import damaged, reading, writing
from .merging import assemble, assemble_newest, in_order, key_of, merge_in
from .rows import sealed_rows
from .tables import DamagedBlockError, Tables

_T = TypeVar("_T")


def read(tables: Tables, key: SeriesKey, span: TimeRange) -> CandleSeries:
    """Return candles and coverage of one state of the file."""

    def work() -> CandleSeries:
        with reading(tables.connection):
            series = tables.find(key)
            # By the bytes that are there: a file cannot have us reserve memory for rows that it only claims.
            room = tables.count_rows(series, key, span)
            return assemble(key, tables.blocks(series, key, span), tables.ledger(series), span, room=room)

    return _striking_damage(tables, key, work)


def read_newest(tables: Tables, key: SeriesKey, count: int, span: TimeRange) -> CandleSeries:
    """Return the newest candles and the coverage of one state of the file."""

    def work() -> CandleSeries:
        with reading(tables.connection):
            series = tables.find(key)
            newest_first = tables.blocks(series, key, span, newest_first=True)
            return assemble_newest(key, newest_first, tables.ledger(series), span, count)

    return _striking_damage(tables, key, work)


def write(tables: Tables, written: CandleSeries) -> WriteResult:
    """Store blocks and ledger together."""
    key, sealed = key_of(written), sealed_rows(written.columns)
    starts = [start for start, _ in split(sealed)]

    def work() -> WriteResult:
        with writing(tables.connection):
            series = tables.find(key)
            held = {} if series is None else tables.held(series, key, starts)
            before = tables.ledger(series)
            change = merge_in(written, sealed, held, before)
            # A write that brings nothing begins no series: the inventory would show an empty one.
            if series is None:
                if not change.blocks and change.ledger.is_empty:
                    return change.remembered
                series = tables.begin(key)
            for start, columns in change.blocks.items():
                tables.keep_block(series, start, columns)
            # The same when a page is written again; a ledger of many ranges is larger than a row.
            if change.ledger != before:
                tables.keep_ledger(series, change.ledger)
        return change.remembered

    return _striking_damage(tables, key, work)


def quarantine(tables: Tables, key: SeriesKey, reason: str) -> int:
    """Serve a series no more; answers its rows."""
    with writing(tables.connection):
        series = tables.find(key)
        return 0 if series is None else tables.quarantine(series, reason or "no reason was given")


def change_ledger(tables: Tables, key: SeriesKey, change: Callable[[Ledger], Ledger]) -> None:
    """Replace what is known of a series that is held."""
    with writing(tables.connection):
        series = tables.find(key)
        if series is not None:
            tables.keep_ledger(series, change(tables.ledger(series)))


def verified(at: datetime) -> Callable[[Ledger], Ledger]:
    """Return the change that notes a comparison with the venue."""
    return lambda ledger: evolve(ledger, verified_at=at)


def inventory(tables: Tables) -> tuple[HeldSeries, ...]:
    """Return a line for everything that is held."""
    with reading(tables.connection):
        return in_order(tables.inventory_rows())


def _striking_damage(tables: Tables, key: SeriesKey, work: Callable[[], _T]) -> _T:
    struck: set[int] = set()
    while True:  # each round strikes a block
        try:
            return work()
        except DamagedBlockError as damage:
            if damage.start in struck:  # its index says otherwise than its table
                raise damaged(f"a block that was struck is still there: {damage}") from damage
            struck.add(damage.start)
            with writing(tables.connection):
                tables.drop(key, damage)
