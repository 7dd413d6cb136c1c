"""Delay of a bare transport: a loop over the package websockets that decodes nothing while it is measured.

Run: python parts_latency.py KIND ADDRESS
"""

import asyncio
import json
import time
from decimal import Decimal

import delays
import websockets
from tally import Tally, addresses, subscription


async def main() -> None:
    """Note when each frame arrives, and read them afterwards."""
    kind, _, url = addresses()
    tally, arrivals = Tally(), []

    async def receive() -> None:
        async with websockets.connect(url, compression=None, ping_interval=None, proxy=None) as socket:
            await socket.send(subscription(kind))
            while True:
                frame = await socket.recv(decode=False)
                arrivals.append((time.monotonic_ns(), frame))
                tally.hit()

    task = asyncio.create_task(receive())
    await tally.watch()
    task.cancel()
    delays.tell([(at, json.loads(frame, parse_float=Decimal)["trade_volume"]) for at, frame in arrivals])


if __name__ == "__main__":
    asyncio.run(main())
