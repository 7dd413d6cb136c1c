"""How long after a slot's end a follower hears CLOSED and FINAL, in market seconds.

Run: python benchmarks/latency.py [market minutes] [speed]

The sandbox runs in the same process as its client, so that a machine that is busy shows here as latency
times speed: 50 real milliseconds are 1 market second at speed 20.
"""

import asyncio
import math
import statistics
import sys
from collections import defaultdict
from contextlib import AsyncExitStack

from market_backbone import (
    CandleUpdated,
    Finality,
    UnifiedMarketDataAPI,
    create_realtime_request,
    create_unified_api,
)
from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig

FOLLOWED = [("KRW-BTC", "1m"), ("KRW-BTC", "1s"), ("KRW-AWE", "1m"), ("KRW-AWE", "1s")]
PROMISED_S = {Finality.CLOSED: 1.5, Finality.FINAL: 8.0}
Latencies = dict[tuple[str, str, Finality], list[float]]


async def note(api: UnifiedMarketDataAPI, sandbox: Sandbox, symbol: str, timeframe: str, found: Latencies) -> None:
    """Keep how late the first CLOSED and the FINAL event of each slot come that ends while it is followed."""
    told: set[tuple[Finality, int]] = set()
    began = sandbox.now_ms()
    async with api.follow(create_realtime_request(symbol, timeframe)) as events:
        async for event in events:
            now = sandbox.now_ms()
            if not isinstance(event, CandleUpdated) or event.candle.finality is Finality.FORMING:
                continue
            ended = round(event.candle.closed_at.timestamp() * 1000)
            key = (event.candle.finality, ended)
            if ended > began + 2000 and key not in told:
                told.add(key)
                found[symbol, timeframe, event.candle.finality].append((now - ended) / 1000)


async def measure(minutes: float, speed: float) -> Latencies:
    """Follow everything at once for some market minutes."""
    found: Latencies = defaultdict(list)
    async with AsyncExitStack() as opened:
        sandbox = await opened.enter_async_context(Sandbox(SandboxConfig(speed=speed)))
        settings = {
            "upbit.rest_url": sandbox.rest_url,
            "upbit.websocket_url": sandbox.websocket_url,
            "log.level": "ERROR",
        }
        api = await opened.enter_async_context(create_unified_api("test", settings))
        tasks = [asyncio.create_task(note(api, sandbox, *followed, found)) for followed in FOLLOWED]
        await asyncio.sleep(minutes * 60 / speed)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return found


def main() -> None:
    """Print median and worst of each, beside what is promised."""
    minutes, speed = (float(text) for text in (*sys.argv[1:], *("10", "20")[len(sys.argv) - 1 :]))
    found = asyncio.run(measure(minutes, speed))
    print(f"{minutes:g} market minutes at speed {speed:g}; market seconds after the slot's end")
    print(f"{'':<10} {'':<4} {'event':<7} {'slots':>6} {'median':>7} {'95 %':>7} {'worst':>7}  promised")
    for (symbol, timeframe, finality), times in sorted(found.items()):
        times.sort()
        most = times[min(len(times) - 1, math.ceil(0.95 * len(times)))]
        print(
            f"{symbol:<10} {timeframe:<4} {finality!s:<7} {len(times):>6} {statistics.median(times):>7.2f} "
            f"{most:>7.2f} {times[-1]:>7.2f}  {PROMISED_S[finality]:.1f}"
        )


if __name__ == "__main__":
    main()
