"""Frames to a caller of the official SDK.

Run: python upbit_sdk_stream.py KIND ADDRESS
"""

import asyncio

from tally import Tally, addresses
from upbit import AsyncUpbit


async def main() -> None:
    """Iterate over one code's events until its flow ends."""
    kind, rest, url = addresses()
    tally = Tally()
    client = AsyncUpbit(base_url=rest, websocket_base_url=url.rpartition("/websocket")[0])

    async def follow() -> None:
        async with getattr(client.ws_stream, kind)(["KRW-BTC"]) as stream:
            async for _ in stream:
                tally.hit()

    task = asyncio.create_task(follow())
    await tally.watch()
    task.cancel()
    tally.tell()


if __name__ == "__main__":
    asyncio.run(main())
