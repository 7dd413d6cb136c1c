"""Candles over REST by the official SDK.

Run: python upbit_sdk_candles.py candles ADDRESS PAGES
"""

import asyncio
from datetime import datetime

from pages import ROWS, time_pages
from tally import addresses
from upbit import AsyncUpbit


async def main() -> None:
    """Ask on one warm connection."""
    client = AsyncUpbit(base_url=addresses()[1])

    def ask(end: datetime) -> object:
        text = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        return client.candles.list_minutes(1, market="KRW-BTC", count=ROWS, to=text)

    await time_pages(ask)


if __name__ == "__main__":
    asyncio.run(main())
