"""Opening the file, and moving it aside when it is not one that we can use."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import sleep

from ...domain.timestamps import to_text
from ..clock import read_wall_clock
from .connection import connect, is_corruption, result_code
from .schema import find_incompatibility, migrate

_WHY = {
    "corrupt": "is damaged or no SQLite file",
    "altered": "has other tables than ours, or programs of its own",
    "foreign": "belongs to another program",
    "newer": "was written by a newer version of market-backbone",
}
_COMPANIONS = ("", "-wal", "-shm", "-journal")
_PAUSE_S = 0.02
_PAGE_BYTES = 16_384
"""A block takes some 100 kB: from larger pages than SQLite's 4,096 bytes it is read in two thirds of the time."""

_KEPT_KIB = 1000
"""Pages that SQLite keeps itself; the system keeps them, too, and a block is hardly ever read twice in a row."""


class StoreFile:
    """The place of the store on disk; safe to use from several threads.

    Invariant: a connection that is given out belongs to a file of ours in the present version. A file
    that stood in its way was moved aside: never deleted, and never onto another file.
    """

    def __init__(self, path: Path, report: Callable[[str, str], None]) -> None:
        self.path = path
        self._report = report
        self._lock = threading.Lock()
        self.is_suspect = False
        """Whether SQLite has called the file damaged, so that all of it is checked before its next use."""

    def open(self, *, timeout_s: float) -> sqlite3.Connection:
        """Return a connection of its own.

        Raises:
            sqlite3.Error: SQLite cannot open or begin the file.
            OSError: the folder cannot be made, or the file not be moved aside.

        """
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Under the lock: of two threads one examines, and the other must not open what is being moved.
            if self.path.exists() and (reason := self._examine(timeout_s)):
                self._move_aside(reason)
            self.is_suspect = False
            return self._begin(timeout_s)

    def _examine(self, timeout_s: float) -> str:
        try:
            with closing(connect(self.path, timeout_s=timeout_s)) as connection:
                if self.is_suspect and connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                    return "corrupt"
                return find_incompatibility(connection)
        except sqlite3.DatabaseError as error:
            if is_corruption(error) or result_code(error) == sqlite3.SQLITE_ERROR:  # the questions are right
                return "corrupt"
            raise

    def _begin(self, timeout_s: float) -> sqlite3.Connection:
        connection = connect(self.path, timeout_s=timeout_s)
        try:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of a file that is begun; others stay as they are
            # In this order: the page size counts until the first table is made, and not at all in WAL mode.
            migrate(connection)
            _write_ahead(connection, timeout_s)
            # In WAL mode a power cut loses the last commits and damages nothing; they can be asked for again.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{_KEPT_KIB}")
        except BaseException:  # half an opened file must not stay behind
            connection.close()
            raise
        return connection

    def _move_aside(self, reason: str) -> None:
        stamp = to_text(read_wall_clock().replace(microsecond=0)).replace("-", "").replace(":", "")
        target = self.path.with_name(f"{self.path.name}.{reason}-{stamp}")
        number = 1
        # All companions: a -wal of another file beside ours would be replayed into it.
        while any(_companion(target, ending).exists() for ending in _COMPANIONS):
            number += 1
            target = self.path.with_name(f"{self.path.name}.{reason}-{stamp}-{number}")
        for ending in _COMPANIONS:
            if (part := _companion(self.path, ending)).exists():
                part.rename(_companion(target, ending))
        self._report(
            "cache_file_moved_aside",
            f"{self.path} {_WHY[reason]}; it was moved to {target.name} and a new file was begun, "
            "candles will be asked for again",
        )


def _companion(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _write_ahead(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Have readers and a writer not wait for each other.

    SQLite does not always wait for the right to switch, so we do. Where it is never given (some network
    disks) the file stays as it was: just as safe, and slower.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    for _ in range(max(1, round(timeout_s / _PAUSE_S))):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if result_code(error) != sqlite3.SQLITE_BUSY:
                raise
        sleep(_PAUSE_S)
    connection.execute(f"PRAGMA busy_timeout = {round(timeout_s * 1000)}")
