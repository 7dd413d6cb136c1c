"""Candles over REST by ccxt.

Run: python ccxt_candles.py candles ADDRESS PAGES
"""

import asyncio
from datetime import datetime

import ccxt.async_support as ccxt
from pages import PAGE, ROWS, time_pages
from tally import addresses


async def main() -> None:
    """Ask on one warm connection, its own limiter off."""
    _, rest, _ = addresses()
    exchange = ccxt.upbit({"enableRateLimit": False})
    exchange.urls["api"] = {"public": rest, "private": rest}

    def ask(end: datetime) -> object:
        since = int((end - PAGE).timestamp() * 1000)
        return exchange.fetch_ohlcv("BTC/KRW", "1m", since=since, limit=ROWS)

    try:
        await exchange.load_markets()
        await time_pages(ask)
    finally:
        await exchange.close()


if __name__ == "__main__":
    asyncio.run(main())
