"""200 candles that need no call: from the cache, and from what is followed.

Run: python ours_held.py candles ADDRESS TIMES
"""

import asyncio
import json
import statistics
import tempfile
import time
from datetime import datetime

from ours_api import opened, run
from pages import ROWS, page_ends, wanted

from market_backbone import CandleSeries, UnifiedMarketDataAPI, create_realtime_request


async def p50_ms(api: UnifiedMarketDataAPI, end: datetime | None) -> tuple[float, CandleSeries]:
    """Ask for the same again and again; the last answer goes along."""
    times = []
    for _ in range(wanted()):
        began = time.perf_counter()
        series = await api.get_candles("KRW-BTC", "1m", ROWS, end=end)
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0)
    return statistics.median(times) * 1000, series


async def from_cache(api: UnifiedMarketDataAPI) -> float:
    """Ask for a page that is on disk."""
    (end,) = page_ends(1)
    await api.get_candles("KRW-BTC", "1m", ROWS, end=end)
    await asyncio.sleep(0.2)
    taken, series = await p50_ms(api, end)
    assert len(series) == ROWS
    assert series.trace is not None
    assert series.trace.calls == 0, series.trace
    return taken


async def from_subscription(api: UnifiedMarketDataAPI) -> tuple[float, str]:
    """Ask for the newest candles while they are followed."""
    async with api.follow(create_realtime_request("KRW-BTC", "1m", history=ROWS)) as events:
        reading = asyncio.create_task(_read(events))
        await api.get_candles("KRW-BTC", "1m", ROWS)
        await asyncio.sleep(1.0)
        taken, series = await p50_ms(api, None)
        reading.cancel()
    assert len(series) == ROWS
    return taken, f"{series.trace.calls if series.trace else '?'} calls"


async def _read(events: object) -> None:
    async for _ in events:
        pass


async def main() -> None:
    """Print both medians."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(cache__store="sqlite", cache__folder=folder, budget__requests_per_s=1_000_000) as api:
            cached = await from_cache(api)
            followed, how = await from_subscription(api)
    print(json.dumps({"cached_ms": cached, "followed_ms": followed, "how": f"the newest ones: {how}"}), flush=True)


if __name__ == "__main__":
    run(main())
