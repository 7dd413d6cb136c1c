"""A process of its own that calls a sandbox: python caller.py URL CALLS SHARED FOLDER; prints its refusals."""

import asyncio
import sys

from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.errors import RateLimitedError
from market_backbone.domain.finality import Grace
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime
from market_backbone.infrastructure.upbit import UpbitOptions, UpbitRest


def warn(event, text):
    print("WARNED", event, text, flush=True)


async def main(url, calls, shared, folder):
    clock = MarketClock(follows_speed=True)
    context = AdapterContext(
        name="rest",
        options={"cache": {"folder": folder}},
        clock=clock,
        server_time=MeasuredServerTime(clock),
        grace=Grace(),
        warn=warn,
    )
    channel = UpbitRest(UpbitOptions(rest_url=url, shared=shared, least_jitter_s=0.4), context)
    print("READY", flush=True)
    sys.stdin.readline()
    refused = 0

    async def ask():
        nonlocal refused
        try:
            await channel.get_ticker("KRW-BTC")
        except RateLimitedError:
            refused += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(int(calls)):
            group.create_task(ask())
    await channel.close()
    print("REFUSED", refused, flush=True)


asyncio.run(main(*sys.argv[1:]))
