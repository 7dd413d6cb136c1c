"""Candles on disk: blocks of columns beside a row per candle, both in SQLite with the same settings.

Run: python benchmarks/store.py
"""

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from market_backbone import Candle, CandleSeries, Symbol, Timeframe, TimeRange
from market_backbone.domain.columns import CandleColumns
from market_backbone.domain.coverage import Coverage
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.ledger import SeriesKey
from market_backbone.domain.timestamps import from_micros, to_micros
from market_backbone.infrastructure.candle_store import SqliteCandleStore

ROUNDS, ROWS, PAGE = 5, 10_000, 200
START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = SeriesKey("upbit-kr", Symbol("KRW-BTC"), Timeframe.M1)
WHOLE = TimeRange(START, START + timedelta(minutes=ROWS))


def make_series(first: int, beyond: int) -> CandleSeries:
    """Return candles with eight decimals, proven throughout."""
    rows = [
        Candle(
            venue=KEY.venue,
            symbol=KEY.symbol,
            timeframe=KEY.timeframe,
            opened_at=START + timedelta(minutes=number),
            open=Decimal("103600000.00000000") + number,
            high=Decimal("103700000.00000000") + number,
            low=Decimal("103425000.00000000") + number,
            close=Decimal("103460000.00000000") + number,
            volume=Decimal("1.59335120"),
            quote_volume=Decimal("164899503.14206000"),
            updated_at=START + timedelta(minutes=number, seconds=59, milliseconds=132),
            source="rest",
            finality=Finality.FINAL,
            sealed_by=SealedBy.REST,
        )
        for number in range(first, beyond)
    ]
    asked = TimeRange(START + timedelta(minutes=first), START + timedelta(minutes=beyond))
    return CandleSeries.of(KEY.venue, KEY.symbol, KEY.timeframe, rows, Coverage(asked=asked, proven=(asked,)))


class RowPerCandle:
    """The obvious layout: numbers as the text that the venue sent, one row a slot, no coverage at all."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.execute(
            "CREATE TABLE candles (venue TEXT, symbol TEXT, timeframe TEXT, opened INTEGER, open TEXT, high TEXT,"
            " low TEXT, close TEXT, volume TEXT, quote_volume TEXT, updated INTEGER, source TEXT, sealed_by TEXT,"
            " revision INTEGER,"
            " PRIMARY KEY (venue, symbol, timeframe, opened)) WITHOUT ROWID"
        )

    async def write(self, series: CandleSeries) -> None:
        """Insert every candle, or overwrite it."""
        rows = [
            (
                *(candle.venue, str(candle.symbol), str(candle.timeframe), to_micros(candle.opened_at)),
                *(str(candle.open), str(candle.high), str(candle.low), str(candle.close), str(candle.volume)),
                *(str(candle.quote_volume), to_micros(candle.updated_at), candle.source, str(candle.sealed_by), 0),
            )
            for candle in series
        ]
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(f"INSERT OR REPLACE INTO candles VALUES ({','.join('?' * 14)})", rows)  # noqa: S608
        self.connection.execute("COMMIT")

    async def read(self) -> CandleColumns:
        """Return the candles as columns, exact."""
        rows = self.connection.execute(
            "SELECT opened, open, high, low, close, volume, quote_volume, updated, source, sealed_by, revision "
            "FROM candles WHERE venue = ? AND symbol = ? AND timeframe = ? AND opened >= ? AND opened < ? "
            "ORDER BY opened",
            (KEY.venue, str(KEY.symbol), str(KEY.timeframe), to_micros(WHOLE.start), to_micros(WHOLE.end)),
        )
        return CandleColumns.of(KEY.venue, KEY.symbol, KEY.timeframe, map(to_candle, rows))


def to_candle(row: tuple) -> Candle:
    """Make the candle of a row."""
    opened, *numbers, updated, source, sealed_by, revision = row
    opening, high, low, close, volume, turnover = map(Decimal, numbers)
    return Candle(
        venue=KEY.venue,
        symbol=KEY.symbol,
        timeframe=KEY.timeframe,
        opened_at=from_micros(opened),
        open=opening,
        high=high,
        low=low,
        close=close,
        volume=volume,
        quote_volume=turnover,
        updated_at=from_micros(updated),
        source=source,
        finality=Finality.FINAL,
        sealed_by=SealedBy(sealed_by),
        revision=revision,
    )


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Return how long the work takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def measure(folder: Path, pages: list[CandleSeries], taken: dict[str, list[float]]) -> None:
    """Write and read everything once in each layout, one after the other."""
    rows = RowPerCandle(folder / "rows.sqlite3")
    blocks = SqliteCandleStore(folder / "blocks.sqlite3", report=print)
    blocks.ledger(KEY)  # opens the file

    async def write_all(write: Callable[[CandleSeries], Awaitable[object]]) -> None:
        for page in pages:
            await write(page)

    async def ask_ledger() -> None:
        for _ in range(1000):
            blocks.ledger(KEY)

    taken["write, a row per candle"].append(await seconds(lambda: write_all(rows.write)))
    taken["write, blocks"].append(await seconds(lambda: write_all(blocks.write)))
    taken["write again, a row per candle"].append(await seconds(lambda: write_all(rows.write)))
    taken["write again, blocks"].append(await seconds(lambda: write_all(blocks.write)))
    taken["read, a row per candle"].append(await seconds(rows.read))
    taken["read, blocks"].append(await seconds(lambda: blocks.read(KEY, WHOLE)))
    taken["ledger"].append(await seconds(ask_ledger) / 1000)
    assert [*(await blocks.read(KEY, WHOLE))] == [candle for page in pages for candle in page]
    rows.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rows.connection.close()
    await blocks.close()
    for name in ("rows", "blocks"):
        taken[f"bytes per candle, {name}"].append((folder / f"{name}.sqlite3").stat().st_size / ROWS)


TITLES = ("write", "write again", "read")


async def main() -> None:
    """Print medians, and what blocks gain."""
    pages = [make_series(first, first + PAGE) for first in range(0, ROWS, PAGE)]
    names = [f"{title}, {layout}" for title in TITLES for layout in ("a row per candle", "blocks")]
    taken = {name: [] for name in (*names, "ledger", "bytes per candle, rows", "bytes per candle, blocks")}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            await measure(Path(folder), pages, taken)
    median = {name: statistics.median(times) for name, times in taken.items()}
    print(f"{ROWS:,} candles, written in pages of {PAGE}; median of {ROUNDS} rounds")
    for title in TITLES:
        slow, quick = (median[f"{title}, {layout}"] for layout in ("a row per candle", "blocks"))
        print(
            f"{title:<12} row per candle {slow * 1e3:8.1f} ms   blocks {quick * 1e3:8.1f} ms   {slow / quick:5.1f} x"
            f"   {ROWS / quick:10,.0f} rows/s"
        )
    print(f"{'ledger()':<12} {median['ledger'] * 1e6:.1f} µs")
    print(
        "size         "
        + "   ".join(f"{name} {median[f'bytes per candle, {name}']:.0f} bytes" for name in ("rows", "blocks"))
    )


if __name__ == "__main__":
    asyncio.run(main())
