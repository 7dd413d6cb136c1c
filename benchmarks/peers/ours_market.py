"""Everything that the exchange trades, followed at once: trades, books and minutes of each symbol.

Run: python ours_market.py market ADDRESS SYMBOLS RATE SECONDS
"""

import asyncio
import gc
import json
import sys
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from functools import partial

import delays
import memory
from ours_api import follow, opened, run
from tally import Tally, addresses

from market_backbone import (
    CandleUpdated,
    OrderBookUpdated,
    TradeReceived,
    UnifiedMarketDataAPI,
)

KINDS = ("trade", "orderbook", "candle")
MAX_SETUP_S = 60.0
FASTER = 10
"""How much faster than the exchange's own rate frames come while it is measured."""
SETTLING_S = 3.0
E8 = 10**8


class Reader:
    """Counts what all followers get, and notes when each frame arrived."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.tally, self.others = Tally(), Counter()
        self.arrivals = []
        self.heard, self.candles = set(), {}
        self.heard_more = asyncio.Event()

    def take(self, topic: object, event: object) -> None:
        """Note one event."""
        now = time.monotonic_ns()
        match event:
            case TradeReceived(trade=trade):
                size, kind = trade.volume, "trade"
            case OrderBookUpdated(orderbook=book):
                size, kind = book.asks[0].size, "orderbook"
            case CandleUpdated(candle=candle) if self.candles.get(topic) != candle.volume:
                size, kind = candle.volume, "candle.1m"
                self.candles[topic] = size
            case CandleUpdated():
                return  # CLOSED or FINAL, with the figures of a frame that was counted
            case _:
                self.others[type(event).__name__] += 1
                return
        if topic not in self.heard:
            self.heard.add(topic)
            self.heard_more.set()
        self.arrivals.append((now, size, kind))
        self.tally.hit()

    async def all_heard(self, many: int) -> None:
        """Return when so many topics have shown something."""
        while len(self.heard) < many:
            self.heard_more.clear()
            await self.heard_more.wait()

    def sent_since(self, began_ns: int) -> list[tuple[int, Decimal, str]]:
        """Return what arrived of the frames that were sent from then on."""
        return [one for one in self.arrivals if one[1] * E8 >= began_ns]

    def forget(self) -> None:
        """Begin anew: what came so far was the setting up."""
        self.others.clear()
        self.arrivals.clear()
        self.tally = Tally()


def call(url: str, **body: object) -> dict[str, int]:
    """Conduct the server."""
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=10) as reply:  # noqa: S310
        return json.load(reply)


async def measure(api: UnifiedMarketDataAPI, reader: Reader, rest: str) -> dict[str, object]:
    """Follow, wait until all is set up, let the frames flow, and return what it cost."""
    symbols, rate, seconds = (int(text) for text in sys.argv[3:6])
    names = [str(market.symbol) for market in await api.get_markets()][:symbols]
    topics = [(name, kind) for name in names for kind in KINDS]
    await asyncio.to_thread(call, f"{rest}/bench/start", rate=rate // FASTER, seconds=MAX_SETUP_S * 2)
    began = time.perf_counter()
    tasks = [asyncio.create_task(follow(api, name, kind, partial(reader.take, (name, kind)))) for name, kind in topics]
    with suppress(TimeoutError):
        async with asyncio.timeout(MAX_SETUP_S):
            await reader.all_heard(len(topics))
    setup_s = time.perf_counter() - began
    await asyncio.sleep(SETTLING_S)
    reader.forget()
    gc.collect()
    gc.freeze()  # as README says under "Fast": the collector need not look through what stays anyway
    started = await asyncio.to_thread(call, f"{rest}/bench/start", rate=rate, seconds=seconds)
    cpu = time.process_time()
    await reader.tally.watch()
    cpu = time.process_time() - cpu
    for task in tasks:
        task.cancel()
    reader.arrivals = reader.sent_since(started["began_ns"])
    return {
        "topics": len(topics), "heard": len(reader.heard), "setup_s": setup_s, "cpu_share": cpu / seconds,
        "delivered": Counter(kind for *_, kind in reader.arrivals), "others": reader.others,
        "resident_mib": memory.resident(),
    }  # fmt: skip


async def main() -> None:
    """Print what was delivered, how late and at what cost."""
    _, rest, _ = addresses()
    reader = Reader()
    async with opened() as api:
        told = await measure(api, reader, rest)
        delays.tell([(at, size) for at, size, _ in reader.arrivals], **told)


if __name__ == "__main__":
    run(main())
