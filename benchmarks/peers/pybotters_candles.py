"""Candles over REST by pybotters, which leaves the rows as they come.

Run: python pybotters_candles.py candles ADDRESS PAGES
"""

import asyncio
from datetime import datetime

import pybotters
from pages import ROWS, time_pages
from tally import addresses


async def main() -> None:
    """Ask on one warm connection."""
    _, rest, _ = addresses()
    async with pybotters.Client(base_url=rest) as client:

        async def ask(end: datetime) -> list[object]:
            query = {"market": "KRW-BTC", "count": str(ROWS), "to": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
            async with client.get("/v1/candles/minutes/1", params=query) as reply:
                return await reply.json()

        await time_pages(ask)


if __name__ == "__main__":
    asyncio.run(main())
