"""A download of ours, with the limits on.

Run: python ours_download.py candles ADDRESS COUNT SYMBOL[,SYMBOL]
"""

import time
from datetime import timedelta

from downloading import arguments, range_end, tell
from ours_api import opened, run


async def main() -> None:
    """Fill an empty store."""
    count, symbols = arguments()
    end = range_end()
    async with opened() as api:
        await api.get_markets()
        began = time.perf_counter()
        done = await api.download(symbols, "1m", start=end - timedelta(minutes=count), end=end)
        tell(began, sum(one.rows for one in done), whole=all(one.is_answered for one in done))


if __name__ == "__main__":
    run(main())
