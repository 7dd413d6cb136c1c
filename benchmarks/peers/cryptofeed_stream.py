"""Frames to a callback of cryptofeed.

Run: python cryptofeed_stream.py KIND ADDRESS
"""

import asyncio
import sys

import cryptofeed.connection
from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, TRADES
from cryptofeed.exchanges import Upbit
from tally import Tally, addresses

CHANNELS = {"trade": TRADES, "orderbook": L2_BOOK}


def main() -> None:
    """Follow one symbol until its flow ends."""
    kind, rest, url = addresses()
    if kind not in CHANNELS:
        sys.exit(f"cryptofeed has no {kind} for Upbit")
    tally = Tally()

    async def on_event(_event: object, _received: float) -> None:
        tally.hit()

    connect = cryptofeed.connection.connect
    cryptofeed.connection.connect = lambda _, **options: connect(url, **options)  # it accepts wss only
    Upbit.websocket_endpoints = [WebsocketEndpoint(url.replace("ws:", "wss:"))]
    Upbit.rest_endpoints = [RestEndpoint(rest, routes=Routes("/v1/market/all"))]
    handler = FeedHandler(config={"log": {"filename": "/dev/null", "level": "WARNING"}})
    handler.add_feed(Upbit(channels=[CHANNELS[kind]], symbols=["BTC-KRW"], callbacks={CHANNELS[kind]: on_event}))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    handler.run(start_loop=False, install_signal_handlers=False)
    loop.run_until_complete(tally.watch())
    tally.tell()
    handler.stop(loop=loop)


if __name__ == "__main__":
    main()
