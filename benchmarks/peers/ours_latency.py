"""Delay from a frame's sending to the callback, through the whole API.

Run: python ours_latency.py KIND ADDRESS
"""

import asyncio
import time

import delays
from ours_api import follow, opened, run
from tally import Tally, addresses

from market_backbone import TradeReceived


async def main() -> None:
    """Note when each trade arrives, and look at them afterwards."""
    kind, _, _ = addresses()
    tally, arrivals = Tally(), []

    def on_event(event: object) -> None:
        if isinstance(event, TradeReceived):
            arrivals.append((time.monotonic_ns(), event.trade.volume))
            tally.hit()

    async with opened() as api:
        following = asyncio.create_task(follow(api, "KRW-BTC", kind, on_event))
        await tally.watch()
        following.cancel()
        delays.tell(arrivals)


if __name__ == "__main__":
    run(main())
