"""Frames to a callback through the whole API.

Run: python ours_stream.py KIND ADDRESS
"""

import asyncio
import sys
from collections import Counter

from ours_api import follow, opened, run
from tally import Tally, addresses


async def main() -> None:
    """Follow one code until its flow ends; events that are no values are named, because they void the figure."""
    kind, _, _ = addresses()
    tally, others = Tally(), Counter()

    def on_event(event: object) -> None:
        if hasattr(event, kind):
            tally.hit()
        else:
            others[type(event).__name__] += 1

    async with opened() as api:
        following = asyncio.create_task(follow(api, "KRW-BTC", kind, on_event))
        await tally.watch()
        following.cancel()
        tally.tell(others=others, loop=type(asyncio.get_running_loop()).__module__, picows="picows" in sys.modules)


if __name__ == "__main__":
    run(main())
