"""Frames to a caller of ccxt.pro, by its own methods.

Run: python ccxt_stream.py KIND ADDRESS
"""

import asyncio

import ccxt.pro
from tally import Tally, addresses

SYMBOL = "BTC/KRW"


async def main() -> None:
    """Watch one symbol until its flow ends."""
    kind, rest, url = addresses()
    exchange = ccxt.pro.upbit({"enableRateLimit": False})
    exchange.urls["api"] = {"public": rest, "private": rest, "ws": url}
    tally = Tally()
    watch = {
        "trade": exchange.watch_trades, "ticker": exchange.watch_ticker, "orderbook": exchange.watch_order_book
    }[kind]  # fmt: skip

    async def follow() -> None:
        while True:
            news = await watch(SYMBOL)
            tally.hits(len(news) if kind == "trade" else 1)

    await exchange.load_markets()
    task = asyncio.create_task(follow())
    try:
        await tally.watch()
    finally:
        task.cancel()
        await exchange.close()
    tally.tell()


if __name__ == "__main__":
    asyncio.run(main())
