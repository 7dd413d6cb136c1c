"""Many candles from the cache into a library's own shape.

Run: python ours_million.py fill FOLDER COUNT
     python ours_million.py numpy|polars|hold|ask FOLDER COUNT

Nobody is asked: the address of the exchange is a port where nobody listens, and the policy is cache-only.
"""

import asyncio
import gc
import importlib
import json
import statistics
import sys
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import memory

from market_backbone import (
    Candle,
    CandleSeries,
    Finality,
    SealedBy,
    Symbol,
    Timeframe,
    TimeRange,
    UnifiedMarketDataAPI,
    create_unified_api,
)
from market_backbone.domain.coverage import Coverage
from market_backbone.domain.ledger import SeriesKey
from market_backbone.infrastructure.candle_store import FILE, SqliteCandleStore

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOBODY = "http://127.0.0.1:9"
KEY = SeriesKey("custom:127.0.0.1:9", Symbol("KRW-BTC"), Timeframe.M1)
CHUNK = 20_000
ASKED = 40


def candle(number: int) -> Candle:
    """Return a candle with eight decimals."""
    base, opened_at = Decimal("103460000.00000000") + number % 5000 * 1000, START + number * MINUTE
    return Candle(
        venue=KEY.venue,
        symbol=KEY.symbol,
        timeframe=KEY.timeframe,
        opened_at=opened_at,
        open=base,
        high=base + 35_000,
        low=base - 40_000,
        close=base + number % 30 * 1000,
        volume=Decimal(number % 997 * 1_000_003 + 1).scaleb(-8),
        quote_volume=Decimal(number % 991 * 10_000_019 + 1).scaleb(-5),
        updated_at=opened_at + timedelta(seconds=59, milliseconds=number % 997),
        source="rest",
        finality=Finality.FINAL,
        sealed_by=SealedBy.REST,
    )


async def fill(folder: Path, count: int) -> None:
    """Write the candles, and that every slot is known."""
    store = SqliteCandleStore(folder / FILE, report=print)
    for first in range(0, count, CHUNK):
        beyond = min(count, first + CHUNK)
        span = TimeRange(START + first * MINUTE, START + beyond * MINUTE)
        rows = [candle(number) for number in range(first, beyond)]
        coverage = Coverage(asked=span, proven=(span,))
        await store.write(CandleSeries.of(KEY.venue, KEY.symbol, KEY.timeframe, rows, coverage))
    await store.close()
    print(json.dumps({"filled": count}))


def opened(folder: Path) -> AbstractAsyncContextManager[UnifiedMarketDataAPI]:
    """Open an API that asks nobody."""
    settings = {"upbit.rest_url": NOBODY, "cache.folder": str(folder), "log.level": "ERROR"}
    return create_unified_api("test", settings, policy="cache-only")


async def hold(folder: Path, count: int) -> None:
    """Print how much memory a series takes while it is held."""
    async with opened(folder) as api:
        await api.get_candles("KRW-BTC", "1m", start=START, end=START + 200 * MINUTE)
        before, cpu = memory.resident(), time.process_time()
        series = await api.get_candles("KRW-BTC", "1m", start=START, end=START + count * MINUTE)
        cpu = time.process_time() - cpu
        gc.collect()
        print(json.dumps({"resident_mib": memory.resident() - before, "cpu_seconds": cpu, "rows": len(series)}))


async def ask(folder: Path, count: int) -> None:
    """Print how long 200 candles take out of so many, and how large the file is."""
    times = []
    async with opened(folder) as api:
        for number in range(ASKED):
            start = START + number * 7919 % (count - 200) * MINUTE
            began = time.perf_counter()
            series = await api.get_candles("KRW-BTC", "1m", start=start, end=start + 200 * MINUTE)
            times.append(time.perf_counter() - began)
            assert len(series) == 200
    size = (folder / FILE).stat().st_size / memory.MIB
    print(json.dumps({"p50_ms": statistics.median(times) * 1000, "file_mib": size}))


async def read(library: str, folder: Path, count: int) -> None:
    """Print how long it takes and how much memory, beside the size of the columns."""
    for name in ("numpy", library):  # polars is handed arrays of numpy; what importing a library takes is not ours
        importlib.import_module(name)
    async with opened(folder) as api:
        few = await api.get_candles("KRW-BTC", "1m", start=START, end=START + 200 * MINUTE)
        getattr(few, f"to_{library}")()  # what a library loads with its first table is not ours either
        before = memory.resident()
        began = time.perf_counter()
        series = await api.get_candles("KRW-BTC", "1m", start=START, end=START + count * MINUTE)
        read_s = time.perf_counter() - began
        table = series.to_numpy() if library == "numpy" else series.to_polars()
        took = time.perf_counter() - began
        assert len(table) == count == len(series), (len(table), series)
        columns = table.nbytes if library == "numpy" else table.estimated_size()
    peak, size = memory.most() - before, columns / memory.MIB
    print(json.dumps({"seconds": took, "read_seconds": read_s, "peak_mib": peak, "columns_mib": size}), flush=True)


if __name__ == "__main__":
    what, where, many = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    ways = {"fill": fill, "hold": hold, "ask": ask}
    asyncio.run(ways[what](where, many) if what in ways else read(what, where, many))
