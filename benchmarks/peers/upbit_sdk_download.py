"""A download by the official SDK, page by page; it asks again by itself what is refused.

Run: python upbit_sdk_download.py candles ADDRESS COUNT SYMBOL
"""

import asyncio
import time

from downloading import MAX_TRIES, PAUSE_S, arguments, range_end, tell
from pages import ROWS
from tally import addresses
from upbit import APIStatusError, AsyncUpbit


async def main() -> None:
    """Walk back from the end of the range."""
    count, _ = arguments()
    client = AsyncUpbit(base_url=addresses()[1])
    rows, to = 0, f"{range_end():%Y-%m-%dT%H:%M:%S}Z"
    began = time.perf_counter()
    for _ in range(MAX_TRIES):
        try:
            page = await client.candles.list_minutes(1, market="KRW-BTC", count=ROWS, to=to)
        except APIStatusError:
            await asyncio.sleep(PAUSE_S)
            continue
        rows += len(page)
        if rows >= count or not page:
            break
        to = f"{page[-1].candle_date_time_utc}Z"
    tell(began, rows)


if __name__ == "__main__":
    asyncio.run(main())
