"""Series, ledgers and blocks in the tables; each function belongs into a transaction that its caller has begun."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import frozen

from ...domain.columns import CandleColumns
from ...domain.errors import UnknownSymbolError
from ...domain.ledger import HeldSeries, Ledger, SeriesKey
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ...domain.timestamps import to_micros
from .blocks import block_span, block_start, block_width
from .codec import ROW_BYTES, DamagedBytesError, decode_block, decode_ledger, encode_block, encode_ledger
from .connection import damaged
from .ledger_rules import drop
from .merging import held_span

_IN_SPAN = "series = ? AND start > ? AND start < ?"
_NO_LEDGER = encode_ledger(Ledger())


class DamagedBlockError(Exception):
    """A block whose bytes are not those that were written: where it begins, and what is wrong."""

    def __init__(self, start: int, reason: str) -> None:
        super().__init__(reason)
        self.start = start
        self.reason = reason


@frozen
class Tables:
    """One connection's view of the tables; ``report`` hears of every damage."""

    connection: sqlite3.Connection
    report: Callable[[str, str], None]

    def find(self, key: SeriesKey) -> int | None:
        """Return the number of the series that is served under a key."""
        row: tuple[int] | None = self.connection.execute(
            "SELECT id FROM series WHERE venue = ? AND symbol = ? AND timeframe = ? AND set_aside = ''", _spelled(key)
        ).fetchone()
        return row and row[0]

    def begin(self, key: SeriesKey) -> int:
        """Return the number of a new series."""
        inserted = self.connection.execute(
            "INSERT INTO series (venue, symbol, timeframe, ledger) VALUES (?, ?, ?, ?)", (*_spelled(key), _NO_LEDGER)
        )
        return int(inserted.lastrowid or 0)

    def ledger(self, series: int | None) -> Ledger:
        """Return what is known of a series; nothing is, if those bytes are damaged."""
        if series is None:
            return Ledger()
        row: tuple[bytes] | None = self.connection.execute(
            "SELECT ledger FROM series WHERE id = ?", (series,)
        ).fetchone()
        if row is None:
            raise damaged(f"an index names the series {series}, which is not there")
        return self._ledger_of(row[0])

    def _ledger_of(self, data: bytes) -> Ledger:
        try:
            return decode_ledger(data)
        except DamagedBytesError as damage:
            self.report(
                "cache_ledger_damaged", f"what was known of a series is damaged and will be asked again: {damage}"
            )
            return Ledger()

    def keep_ledger(self, series: int, ledger: Ledger) -> None:
        """Store what is known."""
        self.connection.execute("UPDATE series SET ledger = ? WHERE id = ?", (encode_ledger(ledger), series))

    def blocks(
        self, series: int | None, key: SeriesKey, span: TimeRange, *, newest_first: bool = False
    ) -> Iterator[CandleColumns]:
        """Yield the blocks that may hold rows of ``span``.

        Raises:
            DamagedBlockError: a block is not what was written; those before it were.

        """
        order = "DESC" if newest_first else "ASC"
        rows: Iterable[tuple[int, bytes]] = self.connection.execute(
            f"SELECT start, data FROM blocks WHERE {_IN_SPAN} ORDER BY start {order}",  # noqa: S608 - one of two constants
            _bounds(series, key, span),
        )
        for start, data in rows:
            yield _decoded(key, start, data)

    def count_rows(self, series: int | None, key: SeriesKey, span: TimeRange) -> int:
        """Return how many rows the blocks of ``blocks`` hold at most, by their length: no file can claim more."""
        row: tuple[int] = self.connection.execute(
            f"SELECT coalesce(sum(length(data)), 0) FROM blocks WHERE {_IN_SPAN}",  # noqa: S608 - a constant
            _bounds(series, key, span),
        ).fetchone()
        return int(row[0]) // ROW_BYTES

    def held(self, series: int, key: SeriesKey, starts: Iterable[int]) -> dict[int, CandleColumns]:
        """Return the blocks that begin at ``starts``, as far as they are there.

        Raises:
            DamagedBlockError: as ``blocks``.

        """
        found: dict[int, CandleColumns] = {}
        for start in starts:
            data = self._bytes_of(series, start)
            if data is not None:
                found[start] = _decoded(key, start, data)
        return found

    def _bytes_of(self, series: int, start: int) -> bytes | None:
        row: tuple[bytes] | None = self.connection.execute(
            "SELECT data FROM blocks WHERE series = ? AND start = ?", (series, start)
        ).fetchone()
        return row and row[0]

    def keep_block(self, series: int, start: int, columns: CandleColumns) -> None:
        """Store one block in place of what it held."""
        self.connection.execute(
            "INSERT INTO blocks (series, start, rows, oldest, newest, data) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (series, start) DO UPDATE SET rows = excluded.rows, oldest = excluded.oldest, "
            "newest = excluded.newest, data = excluded.data",
            (series, start, len(columns), columns.opened[0], columns.opened[-1], encode_block(columns)),
        )

    def drop(self, key: SeriesKey, damage: DamagedBlockError) -> None:
        """Move a damaged block out of the series, and with it the coverage of its slots."""
        series = self.find(key)
        data = None if series is None else self._bytes_of(series, damage.start)
        if series is None or data is None or not _is_damaged(key, damage.start, data):
            return  # another process was here before
        place = (series, damage.start)
        self.connection.execute(
            "INSERT INTO damaged (series, start, reason, data) VALUES (?, ?, ?, ?)", (*place, damage.reason, data)
        )
        self.connection.execute("DELETE FROM blocks WHERE series = ? AND start = ?", place)
        span = block_span(damage.start, key.timeframe)
        self.keep_ledger(series, drop(self.ledger(series), span))
        message = f"{key}: the stored candles of {span} are damaged ({damage.reason}); they were set aside"
        self.report("cache_block_damaged", f"{message} and will be asked for again")

    def quarantine(self, series: int, reason: str) -> int:
        """Serve a series no more; answers its rows."""
        self.connection.execute("UPDATE series SET set_aside = ? WHERE id = ?", (reason, series))
        count = self.connection.execute("SELECT coalesce(sum(rows), 0) FROM blocks WHERE series = ?", (series,))
        row: tuple[int] = count.fetchone()
        return row[0]

    def inventory_rows(self) -> Iterator[HeldSeries]:
        """Yield a row for every series of which anything is held."""
        rows: Iterable[tuple[Any, ...]] = self.connection.execute(
            "SELECT venue, symbol, timeframe, set_aside, ledger, coalesce(sum(rows), 0), min(oldest), max(newest) "
            "FROM series LEFT JOIN blocks ON blocks.series = series.id GROUP BY series.id ORDER BY series.id"
        )
        for row in rows:
            try:
                held = self._inventory_row(row)
            except (UnknownSymbolError, ValueError, TypeError, OverflowError) as error:
                self.report("cache_series_damaged", f"a stored series cannot be read and is left out: {error}")
                continue
            if held is not None:
                yield held

    def _inventory_row(self, row: tuple[Any, ...]) -> HeldSeries | None:
        venue, symbol, timeframe, reason, ledger, count, oldest, newest = row
        key = SeriesKey(venue, Symbol(symbol), Timeframe(timeframe))
        opened = None if oldest is None else (oldest, newest)
        span = held_span(opened, self._ledger_of(ledger), key.timeframe)
        return None if span is None else HeldSeries(key=key, rows=int(count), span=span, quarantine_reason=reason)


def _spelled(key: SeriesKey) -> tuple[str, str, str]:
    return key.venue, str(key.symbol), str(key.timeframe)


def _bounds(series: int | None, key: SeriesKey, span: TimeRange) -> tuple[int | None, int, int]:
    return series, to_micros(span.start) - block_width(key.timeframe), to_micros(span.end)


def _decoded(key: SeriesKey, start: int, data: bytes) -> CandleColumns:
    try:
        columns = decode_block(key, data)
    except DamagedBytesError as damage:
        raise DamagedBlockError(start, str(damage)) from damage
    if not len(columns) or {block_start(columns.opened[row], key.timeframe) for row in (0, -1)} != {start}:
        raise DamagedBlockError(start, "the rows belong to another block")
    return columns


def _is_damaged(key: SeriesKey, start: int, data: bytes) -> bool:
    try:
        _decoded(key, start, data)
    except DamagedBlockError:
        return True
    return False
