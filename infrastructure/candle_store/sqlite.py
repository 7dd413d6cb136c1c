"""A store in one SQLite file, which several processes may share."""

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from ...domain.errors import ChannelUnavailableError, ClosedError
from ...domain.ledger import HeldSeries, Ledger, SeriesKey, WriteResult
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from . import transactions
from .connection import CHANNEL, in_our_words, is_corruption
from .ledger_cache import LedgerCache
from .ledger_rules import invalidate
from .store_file import StoreFile
from .tables import Tables

_T = TypeVar("_T")
_TIMEOUT_S = 5.0
"""How long a call waits while another process writes."""


class SqliteCandleStore:
    """A ``CandleStore`` in a file that is opened, or begun, at first use.

    Invariants:
        Candles and the coverage that vouches for them are written in one transaction, in the store's own thread.
        A cancelled call is done wholly or not at all.
        After an error of SQLite the connections are given up: the next call begins with fresh ones.
    """

    def __init__(self, path: Path, *, report: Callable[[str, str], None]) -> None:
        """Touch nothing yet.

        Args:
            path: the file; its folder is made when it is missing.
            report: hears of what was moved or set aside, as an event's name and a sentence; called from any thread.

        """
        self._file = StoreFile(path, report)
        self._report = report
        self._ledgers = LedgerCache(self._file, report)
        self._connection: sqlite3.Connection | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="candle-store")
        self._is_closed = False

    def ledger(self, key: SeriesKey) -> Ledger:
        """Return what is known of a series, at once."""
        self._check_sound()
        with self._looking():
            return self._ledgers.ledger(key)

    def state(self) -> object:
        """Return an object that is another one after every write, also by another process."""
        self._check_sound()
        with self._looking():
            return self._ledgers.state()

    def _check_sound(self) -> None:
        self._check_open()
        if self._file.is_suspect:
            self._executor.submit(self._attempt, transactions.inventory)  # opens, which may take long
            message = f"{self._file.path} is being checked, because it was found damaged; ask again in a moment"
            raise ChannelUnavailableError(message, channel=CHANNEL)

    @contextmanager
    def _looking(self) -> Generator[None]:
        """Give the cache up when something is wrong with it."""
        with in_our_words(self._file.path):
            try:
                yield
            except sqlite3.Error as error:
                self._file.is_suspect |= is_corruption(error)
                self._ledgers.close()
                raise

    async def read(self, key: SeriesKey, span: TimeRange) -> CandleSeries:
        """Return every candle of ``span``, and the coverage inside it, of one state of the file."""
        return await self._run(partial(transactions.read, key=key, span=span))

    async def read_newest(self, key: SeriesKey, count: int, span: TimeRange) -> CandleSeries:
        """Return the newest ``count`` candles of ``span``; from memory when nobody has written since the last time."""
        self._check_open()
        question = (key, count, span)
        with self._looking():
            # The state is taken before the reading: a write in between makes put() drop the answer.
            answer, state = self._ledgers.get(question)
        if answer is None:
            answer = await self._run(partial(transactions.read_newest, key=key, count=count, span=span))
            self._ledgers.put(question, state, answer)
        return answer

    async def write(self, series: CandleSeries) -> WriteResult:
        """Keep what is FINAL and known of a series."""
        return await self._run(partial(transactions.write, written=series))

    async def quarantine(self, key: SeriesKey, reason: str) -> int:
        """Begin a series anew; its rows are kept apart."""
        return await self._run(partial(transactions.quarantine, key=key, reason=reason))

    async def mark_verified(self, key: SeriesKey, at: datetime) -> None:
        """Note that stored pages were compared with the venue; of a series that is not held, nothing was."""
        await self._run(partial(transactions.change_ledger, key=key, change=transactions.verified(at)))

    async def invalidate(self, key: SeriesKey, span: TimeRange) -> None:
        """Strike provisional coverage inside ``span``."""

        def change(ledger: Ledger) -> Ledger:
            return invalidate(ledger, span, key.timeframe)

        await self._run(partial(transactions.change_ledger, key=key, change=change))

    async def inventory(self) -> Sequence[HeldSeries]:
        """Return what is held, and after that what was set aside."""
        return await self._run(transactions.inventory)

    async def close(self) -> None:
        """Finish what has begun and release the file; idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        # Queued before the shutdown, and behind every write that has begun.
        released = asyncio.get_running_loop().run_in_executor(self._executor, self._release)
        self._executor.shutdown(wait=False)
        await released

    async def _run(self, work: Callable[[Tables], _T]) -> _T:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._attempt, work)

    def _attempt(self, work: Callable[[Tables], _T]) -> _T:
        """Do one piece of work in the store's thread."""
        with in_our_words(self._file.path):
            try:
                # The connection of before must not be used on: the check moves the file aside under it.
                if self._file.is_suspect:
                    self._release()
                if self._connection is None:
                    self._connection = self._file.open(timeout_s=_TIMEOUT_S)
                return work(Tables(self._connection, self._report))
            except sqlite3.Error as error:
                self._file.is_suspect |= is_corruption(error)
                # A connection may be inside a transaction after an error; a fresh one never is.
                self._release()
                raise

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        self._ledgers.close()
        if connection is not None:
            connection.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the store of candles is closed; create another")
