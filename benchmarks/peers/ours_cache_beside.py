"""Candles from our cache beside the same out of a bare SQLite file, in one process and in turn: CPU time of each.

Run: python ours_cache_beside.py

The bare file holds blocks: 200 rows as msgpack, decoded to structs with exact decimals; and columns of floats, joined
by numpy. What a cache is for (coverage, finality, a trace) it does not have.
"""

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
from ours_million import MINUTE, START, candle, fill, opened

COUNT, FEW, BLOCK = 100_000, 200, 1000
ROUNDS = 7
FIELDS = ("open", "high", "low", "close", "volume", "quote_volume")


class Row(msgspec.Struct, array_like=True):
    """One candle of the bare file."""

    opened: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal


ROWS = msgspec.msgpack.Decoder(list[Row])


def fill_bare(path: Path) -> sqlite3.Connection:
    """Write one block of rows, and all columns in blocks."""
    rows = [candle(number) for number in range(FEW)]
    packed = msgspec.msgpack.encode(
        [(number, *(str(getattr(row, name)) for name in FIELDS)) for number, row in enumerate(rows)]
    )
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE blocks (first INTEGER PRIMARY KEY, body BLOB)")
    connection.execute("CREATE TABLE columns (first INTEGER PRIMARY KEY, body BLOB)")
    connection.execute("INSERT INTO blocks VALUES (0, ?)", (packed,))
    numbers = np.arange(BLOCK * (len(FIELDS) + 1), dtype="f8").tobytes()
    connection.executemany("INSERT INTO columns VALUES (?, ?)", [(n, numbers) for n in range(0, COUNT, BLOCK)])
    connection.commit()
    return connection


def read_few(connection: sqlite3.Connection) -> int:
    """Return 200 structs."""
    (body,) = connection.execute("SELECT body FROM blocks WHERE first = 0").fetchone()
    return len(ROWS.decode(body))


def read_many(connection: sqlite3.Connection) -> int:
    """Return 100,000 rows of floats."""
    found = connection.execute("SELECT body FROM columns ORDER BY first").fetchall()
    blocks = [np.frombuffer(body, "f8").reshape(len(FIELDS) + 1, -1) for (body,) in found]
    return np.concatenate(blocks, axis=1).shape[1]


async def cpu_s(work: Callable[[], Awaitable[int]], times: int, expected: int) -> float:
    """Return the CPU time of one of several goes."""
    began = time.process_time()
    for _ in range(times):
        found = await work()
        assert found == expected, (found, expected)
    return (time.process_time() - began) / times


async def main() -> None:
    """Fill both, then read both in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await fill(folder, COUNT)
        bare = fill_bare(folder / "bare.sqlite3")
        async with opened(folder) as api:

            async def ours(count: int) -> int:
                series = await api.get_candles("KRW-BTC", "1m", start=START, end=START + count * MINUTE)
                return len(series.to_numpy()) if count == COUNT else len(series)

            async def theirs(count: int) -> int:
                return read_many(bare) if count == COUNT else read_few(bare)

            print(json.dumps({str(count): await ratios(ours, theirs, count) for count in (FEW, COUNT)}))


async def ratios(ours: Callable[[int], Awaitable[int]], theirs: Callable[[int], Awaitable[int]], count: int) -> float:
    """Return what share of the bare file's speed the cache has: the median of several rounds."""
    times = 2 if count == COUNT else 30
    found = []
    for _ in range(ROUNDS):
        bare = await cpu_s(lambda: theirs(count), times * 5, count)
        found.append(bare / await cpu_s(lambda: ours(count), times, count))
    return statistics.median(found[1:])


if __name__ == "__main__":
    asyncio.run(main())
