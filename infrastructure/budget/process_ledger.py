"""A budget that the processes of one machine share through a small file.

Instants in it are real monotonic seconds, which are the same for all processes of a machine until it restarts.
"""

import asyncio
import math
import sqlite3
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from attrs import define, field, frozen

from ..clock import read_monotonic

KEPT_S = 60.0
MAX_UNSENT_S = 20.0
"""A place that was taken for so long without a word belongs to a process that is gone."""

ASK_AGAIN_S = 0.02
BUSY_S = 2.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sends (
    number INTEGER PRIMARY KEY, place TEXT NOT NULL, taken_at REAL NOT NULL, sent_at REAL, jitter_s REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS sends_by_place ON sends (place, taken_at);
CREATE TABLE IF NOT EXISTS blocks (place TEXT PRIMARY KEY, told_at REAL NOT NULL, until REAL NOT NULL);
"""


@frozen(kw_only=True)
class Claim:
    """What the file says: a row for a place that was taken, or when to ask again."""

    is_granted: bool
    row: int | None = None
    again_at: float = -math.inf
    stops_all: bool = False


@define(eq=False)
class MachineLedger:
    """The sends of all processes to one address.

    Every access runs in one thread of its own, in the order of the calls. When the file fails, ``warn`` is
    told once and this process goes on alone.
    """

    path: Path
    address: str
    warn: Callable[[str, str], None]
    now: Callable[[], float] = read_monotonic
    _thread: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="market-backbone-budget")
    )
    _lock: threading.Lock = field(factory=threading.Lock)
    _is_broken: bool = False

    async def claim(self, group: str, limit: int, second_s: float, jitter_s: float) -> Claim:
        """Take a place, if all processes together leave one: ``limit`` in ``second_s`` + J.

        A cancelled claim leaves no place taken.
        """
        if self._is_broken:
            return Claim(is_granted=True)
        running = self._thread.submit(self._claim_or_warn, group, limit, second_s, jitter_s)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            # In the same thread, so behind the claim: it cannot run before there is a row to release.
            self._thread.submit(self._release, running)
            raise

    def _claim_or_warn(self, group: str, limit: int, second_s: float, jitter_s: float) -> Claim:
        try:
            with self._opened() as connection:
                return self._claim(connection, f"{self.address} {group}", (limit, second_s, jitter_s))
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return Claim(is_granted=True)

    def _claim(self, connection: sqlite3.Connection, place: str, wanted: tuple[int, float, float]) -> Claim:
        limit, second_s, jitter_s = wanted
        now = self.now()
        # Before the count: rows of a process that died would hold its places for ever.
        self._forget_the_past(connection, now)
        if blocked := self._blocked(connection, place, now):
            return blocked
        latest = connection.execute(
            # NULL first: a place that is taken and not sent yet may be sent at any moment, so it is the newest.
            "SELECT sent_at, jitter_s FROM sends WHERE place = ? ORDER BY sent_at DESC NULLS FIRST LIMIT ?",
            (place, limit),
        ).fetchall()
        if len(latest) == limit:
            window = second_s + max(jitter_s, *(float(jitter) for _, jitter in latest))
            decisive = math.inf if latest[-1][0] is None else float(latest[-1][0])
            # Nobody tells when another process writes its send; polling costs one read of a small file.
            again_at = now + ASK_AGAIN_S * second_s if math.isinf(decisive) else decisive + window + 1e-6
            if again_at > now:
                return Claim(is_granted=False, again_at=again_at)
        cursor = connection.execute(
            "INSERT INTO sends (place, taken_at, jitter_s) VALUES (?, ?, ?)", (place, now, jitter_s)
        )
        return Claim(is_granted=True, row=cursor.lastrowid)

    def _blocked(self, connection: sqlite3.Connection, place: str, now: float) -> Claim | None:
        everything = f"{self.address} *"
        found = connection.execute(
            "SELECT place, until FROM blocks WHERE place IN (?, ?) AND until > ? ORDER BY until DESC",
            (place, everything, now),
        ).fetchone()
        if found is None:
            return None
        return Claim(is_granted=False, again_at=float(found[1]), stops_all=found[0] == everything)

    @staticmethod
    def _forget_the_past(connection: sqlite3.Connection, now: float) -> None:
        """Drop what is over, and what another life of this machine has left: instants that lie ahead."""
        connection.execute(
            "DELETE FROM sends WHERE taken_at > :now OR sent_at > :now OR sent_at < :old"
            " OR (sent_at IS NULL AND taken_at < :unsent)",
            {"now": now, "old": now - KEPT_S, "unsent": now - MAX_UNSENT_S},
        )
        connection.execute("DELETE FROM blocks WHERE told_at > ? OR until <= ?", (now, now))

    def settle(self, row: int, sent_at: float) -> None:
        """Say when the send of a place has happened; returns at once."""
        self._write("UPDATE sends SET sent_at = ? WHERE number = ?", (sent_at, row))

    def block(self, group: str, until: float) -> None:
        """Have no process send to a group, or to any (``*``), before ``until``; returns at once."""
        self._write(
            "INSERT INTO blocks VALUES (?, ?, ?) ON CONFLICT (place)"
            " DO UPDATE SET told_at = excluded.told_at, until = max(until, excluded.until)",
            (f"{self.address} {group}", self.now(), until),
        )

    def _release(self, claimed: Future[Claim]) -> None:
        if not claimed.cancelled() and (row := claimed.result().row) is not None:
            self._write_now("DELETE FROM sends WHERE number = ?", (row,))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        if not self._is_broken:
            self._thread.submit(self._write_now, statement, values)

    def _write_now(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            with self._opened() as connection:
                connection.execute(statement, values)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    @contextmanager
    def _opened(self) -> Generator[sqlite3.Connection]:
        """Open the file for one transaction: nothing stays open, so that nothing has to be closed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # what a power cut loses is worthless afterwards
            # The write lock before the reading: two processes must not both see the last place free.
            connection.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            yield connection
            connection.execute("COMMIT")

    def _give_up(self, error: Exception) -> None:
        with self._lock:
            was_broken, self._is_broken = self._is_broken, True
        if not was_broken:
            self.warn(
                "budget_not_shared",
                f"{self.path} cannot be used ({error}): the budget is not shared with other processes from here on; "
                "close them or delete the file, then start again",
            )
