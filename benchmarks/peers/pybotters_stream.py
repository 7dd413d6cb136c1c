"""Frames to a handler of pybotters, which decodes them with the standard library's json.

Run: python pybotters_stream.py KIND ADDRESS
"""

import asyncio
import json

import pybotters
from tally import Tally, addresses, subscription


async def main() -> None:
    """Follow one code until its flow ends."""
    kind, _, url = addresses()
    tally = Tally()

    def on_message(_message: object, _socket: object) -> None:
        tally.hit()

    async with pybotters.Client() as client:
        await client.ws_connect(url, send_json=[json.loads(subscription(kind))], hdlr_json=on_message)
        await tally.watch()
        tally.tell()


if __name__ == "__main__":
    asyncio.run(main())
