"""Ledgers at once: from memory while nobody has written, by one short read when somebody has."""

import sqlite3
import threading
from collections.abc import Callable

from ...domain.holding import Ledger, SeriesKey
from .connection import reading
from .opening import StoreFile
from .tables import Tables

_PATIENCE_S = 0.25
"""How long the event loop may stand still for a lock; readers of a write-ahead log hardly ever meet one."""


class LedgerWindow:
    """A connection of its own for short reads, used by the caller's thread.

    Invariant: an answer is at least as new as every write that had ended when it was asked for, whoever wrote.
    """

    def __init__(self, file: StoreFile, report: Callable[[str, str], None]) -> None:
        """Open nothing yet."""
        self._file = file
        self._report = report
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._known: dict[SeriesKey, Ledger] = {}

    def get(self, key: SeriesKey) -> Ledger:
        """Return what is known of a series.

        Raises:
            sqlite3.Error: the file cannot be opened or read.
            OSError: the folder cannot be made.

        """
        with self._lock:
            if self._connection is None:
                self._connection = self._file.open(timeout_s=_PATIENCE_S)
            row: tuple[int] = self._connection.execute("PRAGMA data_version").fetchone()
            if row[0] != self._version:
                self._version = row[0]
                self._known.clear()
            if key not in self._known:
                self._known[key] = self._read(self._connection, key)
            return self._known[key]

    def _read(self, connection: sqlite3.Connection, key: SeriesKey) -> Ledger:
        tables = Tables(connection, self._report)
        with reading(connection):
            return tables.ledger(tables.find(key))

    def close(self) -> None:
        """Release the connection; the next question opens another."""
        with self._lock:
            connection, self._connection = self._connection, None
            self._known.clear()
            if connection is not None:
                connection.close()
