"""What a chart waits while years are downloaded beside it, with the exchange's limits on.

Run: python benchmarks/chart.py [seconds]

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

from market_backbone import DownloadResult, UnifiedMarketDataAPI, create_unified_api

STARTS_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
CANDLES = 1_000_000
MINUTE = timedelta(minutes=1)


@frozen
class Server:
    """A sandbox in another process, and what it has counted."""

    url: str
    session: aiohttp.ClientSession

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
async def opened() -> AsyncGenerator[tuple[Server, UnifiedMarketDataAPI]]:
    """Open a market, and an API that holds nothing."""
    async with served() as server:
        settings = {"upbit.rest_url": server.url, "cache.store": "memory", "log.level": "ERROR"}
        async with create_unified_api("test", settings) as api:
            yield server, api


async def download(api: UnifiedMarketDataAPI) -> list[DownloadResult]:
    """Fill the store with years."""
    end = datetime(2026, 11, 10, 12, tzinfo=UTC)  # before the sandbox's standstill of the evening
    return await api.download(["KRW-BTC"], "1m", start=end - CANDLES * MINUTE, end=end)


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
    async with opened() as (server, api):
        await api.get_markets()
        loading = asyncio.get_running_loop().create_task(download(api))
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
    """Ask one after another, then at random."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    for rate in (None, 3.0):
        await measure_chart(seconds, rate)


if __name__ == "__main__":
    asyncio.run(main())
