"""One connection to the file: how it is opened, its transactions, and its failures in our words."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...domain.errors import ChannelUnavailableError

CHANNEL = "cache"
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MISUSED = "it does not hold what we have written; remove it, or choose another folder in the setting cache.folder"
_LARGEST_VALUE = 64 << 20
_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process has kept it locked for too long; end that process, or try again later",
    sqlite3.SQLITE_LOCKED: "another connection has kept it locked for too long; try again later",
    sqlite3.SQLITE_FULL: "the disk is full; free some space, or choose another folder in the setting cache.folder",
    sqlite3.SQLITE_IOERR: "the disk refuses to read or write; check it, its quota and its free space",
    sqlite3.SQLITE_READONLY: "it may not be written; allow that, or choose another folder in the setting cache.folder",
    sqlite3.SQLITE_PERM: "it may not be opened; allow that, or choose another folder in the setting cache.folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; choose a folder that can be written in the setting cache.folder",
    sqlite3.SQLITE_CORRUPT: "it is damaged; the next call moves it aside and begins a new one",
    sqlite3.SQLITE_CONSTRAINT: _MISUSED,
    sqlite3.SQLITE_MISMATCH: _MISUSED,
    sqlite3.SQLITE_TOOBIG: _MISUSED,
    sqlite3.SQLITE_NOTADB: "it is no database any more; the next call moves it aside and begins a new one",
}
_LASTING = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}


class _Connection(sqlite3.Connection):
    """Says that a file is damaged also where Python cannot read what SQLite says of it."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - as its base
        """Run a statement."""
        try:
            return super().execute(sql, parameters)
        except UnicodeDecodeError as error:
            raise damaged("names in the file are no text") from error


def connect(path: Path, *, timeout_s: float) -> sqlite3.Connection:
    """Open the file, which is created when it is not there; transactions begin only where we say so.

    What the file says is data and never a program: its views and triggers may call nothing.
    """
    connection = sqlite3.connect(
        path, timeout=timeout_s, isolation_level=None, check_same_thread=False, factory=_Connection
    )
    connection.text_factory = _to_text
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _to_text(data: bytes) -> str:
    return data.decode(errors="replace")


def damaged(message: str) -> sqlite3.DatabaseError:
    """Return an error that has the file checked, as when SQLite itself finds it damaged."""
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


@contextmanager
def reading(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """See one state of the file throughout."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def writing(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Be the only writer; everything is kept when the block ends, and nothing when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def result_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, or 0 for a mistake of our own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_corruption(error: sqlite3.Error) -> bool:
    """Return whether the error says that the file itself is damaged."""
    return result_code(error) in _CORRUPT


@contextmanager
def in_our_words(path: Path) -> Generator[None, None, None]:
    """Translate what the disk and SQLite raise; a mistake of our own passes through.

    Raises:
        ChannelUnavailableError: the medium failed; the message says what to do.

    """
    try:
        yield
    except OSError as error:
        message = f"{path}: {error.strerror or error}; choose a folder that can be written in the setting cache.folder"
        raise ChannelUnavailableError(message, channel=CHANNEL, retryable=False) from error
    except sqlite3.DatabaseError as error:
        code = result_code(error)
        if code not in _ADVICE:
            raise
        message = f"{path}: {_ADVICE[code]} (SQLite: {error})"
        raise ChannelUnavailableError(message, channel=CHANNEL, retryable=code not in _LASTING) from error
