"""Downloads of 20,000 candles a symbol with the exchange's limits on, and a chart that is used meanwhile.

Run: python benchmarks/download.py [candles] [added latency in ms, comma-separated] [seconds of the chart run]

The sandbox runs in a process of its own, at speed 1. Everything starts cold: connections, budget and store.
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import aiohttp
from attrs import frozen

from market_backbone import Downloaded, UnifiedMarketDataAPI, create_unified_api

STARTS_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
SYMBOLS = ("KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL", "KRW-DOGE")
MINUTE = timedelta(minutes=1)
ALLOWED_PER_S, PER_CALL = 10, 200


@frozen
class Server:
    """A sandbox in another process, and what it has counted."""

    url: str
    session: aiohttp.ClientSession

    async def inject(self, **fault: object) -> None:
        """Break something on purpose."""
        async with self.session.post(f"{self.url}/sandbox/faults", json=fault) as reply:
            reply.raise_for_status()

    async def counted(self) -> tuple[int, int]:
        """Return how many calls for candles came, and how many calls of any kind were refused."""
        async with self.session.get(f"{self.url}/sandbox") as reply:
            statistics = (await reply.json())["statistics"]
        refused = sum(statistics["statuses"].get(status, 0) for status in ("429", "418"))
        return statistics["requests"].get("candles", 0), refused


@asynccontextmanager
async def served() -> AsyncGenerator[Server]:
    """Run a sandbox beside this process."""
    command = ("-m", "market_backbone", "sandbox", "--port", "0", "--start", STARTS_AT.isoformat())
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(20):
            url = ""
            while process.stdout is not None and not url:
                line = (await process.stdout.readline()).decode()
                url = line.split()[-1] if line.startswith("REST") else ""
        async with aiohttp.ClientSession() as session:
            yield Server(url.rstrip("/"), session)
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def opened(latency_ms: float) -> AsyncGenerator[tuple[Server, UnifiedMarketDataAPI]]:
    """Open a market whose replies come late, and an API that holds nothing."""
    async with served() as server:
        if latency_ms:
            await server.inject(kind="slow-rest", seconds=latency_ms / 1000)
        settings = {"upbit.rest_url": server.url, "cache.store": "memory", "log.level": "ERROR"}
        async with create_unified_api("test", settings) as api:
            yield server, api


async def download(api: UnifiedMarketDataAPI, symbols: tuple[str, ...], candles: int) -> list[Downloaded]:
    """Fill the store with about as many candles of each symbol."""
    end = datetime(2026, 11, 10, 12, tzinfo=UTC)  # before the sandbox's standstill of the evening
    return await api.download(symbols, "1m", start=end - candles * MINUTE, end=end)


async def measure(symbols: tuple[str, ...], candles: int, latency_ms: float) -> None:
    """Print how long a download took, and what share of the allowed calls it used."""
    async with opened(latency_ms) as (server, api):
        await api.get_markets()
        began = time.perf_counter()
        done = await download(api, symbols, candles)
        seconds = time.perf_counter() - began
        asked, refused = await server.counted()
    rows = sum(outcome.rows for outcome in done)
    whole = all(outcome.is_answered for outcome in done)
    print(
        f"{len(symbols)} x {candles:,} candles, {latency_ms:3.0f} ms added: {seconds:6.2f} s, {rows:,} rows"
        f"{'' if whole else ' (INCOMPLETE)'}, {asked} calls (least possible {-(-rows // PER_CALL)}), {refused} refused,"
        f" {asked / seconds / ALLOWED_PER_S:6.1%} of 10/s"
    )


async def use_chart(api: UnifiedMarketDataAPI, waits: list[float], rate: float | None, until: float) -> None:
    """Ask for 200 candles again and again: one after another, or at random at ``rate`` a second."""
    dice, end = random.Random(7), STARTS_AT - timedelta(days=100)

    async def ask(number: int) -> None:
        series = await api.get_candles("KRW-BTC", "1m", 200, end=end - number * 400 * MINUTE)
        if series.trace is not None:
            waits.append(sum(step.waited_ms for step in series.trace.steps))

    number = 0
    async with asyncio.TaskGroup() as group:
        while time.perf_counter() < until:
            number += 1
            if rate is None:
                await ask(number)
            else:
                group.create_task(ask(number))
                await asyncio.sleep(dice.expovariate(rate))


async def measure_chart(seconds: float, rate: float | None) -> None:
    """Print what a chart waited for the budget while years were downloaded."""
    waits: list[float] = []
    async with opened(0) as (server, api):
        await api.get_markets()
        loading = asyncio.get_running_loop().create_task(download(api, SYMBOLS[:1], 1_000_000))
        await asyncio.sleep(3)
        before, _ = await server.counted()
        began = time.perf_counter()
        await use_chart(api, waits, rate, began + seconds)
        took = time.perf_counter() - began
        asked, refused = await server.counted()
        asked -= before
        loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading
    waits.sort()
    how = "one after another" if rate is None else f"at random, {rate:g}/s"
    print(
        f"a chart {how}, {took:.0f} s beside a download: {len(waits)} answers, wait for the budget"
        f" median {statistics.median(waits):.0f} ms, p99 {waits[int(len(waits) * 0.99)]:.0f} ms;"
        f" all calls {asked / took:.2f}/s, of them the download's {(asked - len(waits)) / took:.2f}/s,"
        f" {refused} refused"
    )


async def main() -> None:
    """Run everything."""
    candles = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    latencies = [float(text) for text in (sys.argv[2] if len(sys.argv) > 2 else "0,170").split(",")]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 60.0
    for latency_ms in latencies:
        await measure(SYMBOLS[:1], candles, latency_ms)
        await measure(SYMBOLS, candles, latency_ms)
    for rate in (None, 3.0):
        await measure_chart(seconds, rate)


if __name__ == "__main__":
    asyncio.run(main())
