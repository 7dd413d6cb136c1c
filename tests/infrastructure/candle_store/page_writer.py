"""A process that writes pages into a store and says each one on stdout after it was kept.

Run: python page_writer.py FILE FIRST BEYOND ROWS STEP
"""

import asyncio
import sys
from pathlib import Path

import candle_pages

from market_backbone.infrastructure.candle_store import SqliteCandleStore


async def main(path, first, beyond, rows, step):
    store = SqliteCandleStore(Path(path), report=lambda event, text: print("TOLD", event, text, flush=True))
    print("READY", flush=True)
    try:
        for start in range(first, beyond, step):
            await store.write(candle_pages.quick_page(start, start + rows))
            print("KEPT", start, start + rows, flush=True)
    finally:
        await store.close()


if __name__ == "__main__":
    first, beyond, rows, step = map(int, sys.argv[2:6])
    asyncio.run(main(sys.argv[1], first, beyond, rows, step))
