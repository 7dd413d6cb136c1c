"""A download by ccxt, page by page, its limiter on; what is refused is asked again after a second.

Run: python ccxt_download.py candles ADDRESS COUNT SYMBOL
"""

import asyncio
import time
from datetime import timedelta

import ccxt.async_support as ccxt
from downloading import PAUSE_S, arguments, range_end, tell
from pages import PAGE, ROWS
from tally import addresses


async def main() -> None:
    """Walk forward over the range."""
    _, rest, _ = addresses()
    count, _ = arguments()
    exchange = ccxt.upbit()
    exchange.urls["api"] = {"public": rest, "private": rest}
    end = range_end()
    rows, since = 0, end - timedelta(minutes=count)
    try:
        await exchange.load_markets()
        began = time.perf_counter()
        while since < end:
            try:
                page = await exchange.fetch_ohlcv("BTC/KRW", "1m", since=int(since.timestamp() * 1000), limit=ROWS)
            except ccxt.RateLimitExceeded:
                await asyncio.sleep(PAUSE_S)
                continue
            rows, since = rows + len(page), since + PAGE
        tell(began, rows)
    finally:
        await exchange.close()


if __name__ == "__main__":
    asyncio.run(main())
