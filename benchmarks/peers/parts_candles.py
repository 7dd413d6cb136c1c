"""Candles over REST by the best parts: aiohttp, and msgspec straight to attrs objects with decimals.

Run: python parts_candles.py candles ADDRESS PAGES
"""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import attrs
import msgspec
from pages import ROWS, time_pages
from tally import addresses


@attrs.frozen
class Candle:
    """One row of the answer."""

    market: str
    candle_date_time_utc: datetime
    opening_price: Decimal
    high_price: Decimal
    low_price: Decimal
    trade_price: Decimal
    timestamp: int
    candle_acc_trade_price: Decimal
    candle_acc_trade_volume: Decimal


DECODER = msgspec.json.Decoder(list[Candle])


async def main() -> None:
    """Ask on one warm connection."""
    _, rest, _ = addresses()
    async with aiohttp.ClientSession() as session:

        async def ask(end: datetime) -> list[Candle]:
            query = {"market": "KRW-BTC", "count": str(ROWS), "to": end.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
            async with session.get(f"{rest}/v1/candles/minutes/1", params=query) as reply:
                return DECODER.decode(await reply.read())[::-1]

        await time_pages(ask)


if __name__ == "__main__":
    asyncio.run(main())
