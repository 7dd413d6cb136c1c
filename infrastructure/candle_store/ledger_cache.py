"""Ledgers at once: from memory while nobody has written, by one short read when somebody has.

So are the newest rows that were asked for a moment ago: whoever follows a series asks for the same ones again and
again, and going to the store's thread and back takes longer than all else together.
"""

import sqlite3
import threading
from collections.abc import Callable

from ...domain.ledger import Ledger, SeriesKey
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from .connection import reading
from .store_file import StoreFile
from .tables import Tables

_TIMEOUT_S = 0.25
"""How long the event loop may stand still for a lock; readers of a write-ahead log hardly ever meet one."""

MAX_ANSWERS, MAX_ROWS = 32, 500
"""What is remembered: 34 kB each at most, one MB in all."""

AnswerKey = tuple[SeriesKey, int, TimeRange]


class LedgerCache:
    """A connection of its own for short reads, used by the caller's thread.

    Invariant: an answer is at least as new as every write that had ended when it was asked for, whoever wrote.
    """

    def __init__(self, file: StoreFile, report: Callable[[str, str], None]) -> None:
        self._file = file
        self._report = report
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._state = object()
        self._known: dict[SeriesKey, Ledger] = {}
        self._answers: dict[AnswerKey, CandleSeries] = {}

    def ledger(self, key: SeriesKey) -> Ledger:
        """Return what is known of a series.

        Raises:
            sqlite3.Error: the file cannot be opened or read.
            OSError: the folder cannot be made.

        """
        with self._lock:
            connection = self._opened()
            if key not in self._known:
                self._known[key] = self._read(connection, key)
            return self._known[key]

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._file.open(timeout_s=_TIMEOUT_S)
        self._look(self._connection)
        return self._connection

    def _look(self, connection: sqlite3.Connection) -> None:
        """Forget everything if anybody has written since the last look."""
        # Another number after each commit of another connection, in whichever process.
        row: tuple[int] = connection.execute("PRAGMA data_version").fetchone()
        if row[0] != self._version:
            self._version = row[0]
            self._forget()

    def _forget(self) -> None:
        self._state = object()
        self._known.clear()
        self._answers.clear()

    def state(self) -> object:
        """Return an object that is another one as soon as anybody has written.

        Raises:
            sqlite3.Error: the file cannot be opened or read.
            OSError: the folder cannot be made.

        """
        with self._lock:
            self._opened()
            return self._state

    def get(self, key: AnswerKey) -> tuple[CandleSeries | None, object]:
        """Return a remembered answer, if nobody has written since, and what ``put`` needs to know.

        Raises:
            sqlite3.Error: the file cannot be read.

        """
        with self._lock:
            if self._connection is None:
                return None, None
            self._look(self._connection)
            # A slice, so that whoever is given it cannot change what the next one gets.
            found = self._answers.get(key)
            return found and CandleSeries(found.columns.slice(0, len(found)), found.coverage), self._state

    def put(self, key: AnswerKey, state: object, answer: CandleSeries) -> None:
        """Keep an answer that was read after ``get`` told the state of the file; not if that is over."""
        with self._lock:
            # By identity: an object per state cannot be mistaken, as a counter that came round could.
            if state is not self._state or len(answer) > MAX_ROWS:
                return
            if len(self._answers) >= MAX_ANSWERS:
                # The oldest, not the least used: a write empties all, long before the order matters.
                del self._answers[next(iter(self._answers))]
            self._answers[key] = CandleSeries(answer.columns.slice(0, len(answer)), answer.coverage)

    def _read(self, connection: sqlite3.Connection, key: SeriesKey) -> Ledger:
        tables = Tables(connection, self._report)
        with reading(connection):
            return tables.ledger(tables.find(key))

    def close(self) -> None:
        """Release the connection; the next question opens another."""
        with self._lock:
            connection, self._connection = self._connection, None
            self._forget()
            if connection is not None:
                connection.close()
