"""Many followers of one code, each a loop of its own: CPU time per event.

Run: python ours_fanout.py trade ADDRESS FOLLOWERS
"""

import asyncio
import sys
import time

import memory
from ours_api import follow, opened, run
from tally import Tally, addresses


def nothing(_: object) -> None:
    """Do nothing with an event."""


async def main() -> None:
    """Follow, and print what it took while events came."""
    kind, _, _ = addresses()
    tally, followers = Tally(), int(sys.argv[3])
    async with opened() as api:
        takes = [lambda _: tally.hit(), *[nothing] * (followers - 1)]  # one of all counts
        tasks = [asyncio.create_task(follow(api, "KRW-BTC", kind, take)) for take in takes]
        began = time.perf_counter()
        await tally.watch()
        resident = memory.resident()
        for task in tasks:
            task.cancel()
        tally.tell(followers=followers, resident_mib=resident, all_seconds=time.perf_counter() - began)


if __name__ == "__main__":
    run(main())
