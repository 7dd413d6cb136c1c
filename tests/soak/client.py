"""The process that is watched: one API that lives long, with followers that stay and others that come and go.

Each second it writes one line of JSON about itself and about what its followers were told. It ends when its
input says so: ``calm`` sends away everybody who came late, ``close`` closes the API.
"""

import asyncio
import gc
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from statistics import quantiles

from attrs import define, field

from market_backbone import (
    Backfilled,
    CandleRevised,
    CandleUpdated,
    HistoryLoaded,
    MarketDataError,
    TradeReceived,
    create_realtime_request,
    create_unified_api,
)

SYMBOLS = ("KRW-BTC", "KRW-ETH", "KRW-AWE")
KINDS = ("candle", "trade", "ticker", "orderbook")
EVERY_S = 1.0
LATE_FOLLOWERS, QUESTIONS_A_S = 4, 5.0
HANDLES = next((Path(name) for name in ("/proc/self/fd", "/dev/fd") if Path(name).is_dir()), None)


@define
class Heard:
    """What the followers were told since the last line."""

    trades: dict = field(factory=dict)
    candles: list = field(factory=list)
    began: dict = field(factory=dict)
    errors: Counter = field(factory=Counter)
    counts: Counter = field(factory=Counter)
    lags: list = field(factory=list)

    def take(self, symbol, event, market_ms):
        """Note one event of a follower that stays."""
        self.counts["events"] += 1
        match event:
            case TradeReceived(trade=trade):
                self.trades.setdefault(symbol, []).append(trade.sequential_id)
                if not trade.is_late:
                    self.lags.append((market_ms - trade.traded_at.timestamp() * 1000) / 1000)
            case HistoryLoaded(series=series):
                begin = next((candle.opened_at for candle in series if not candle.is_final), series[-1].closed_at)
                self.began[symbol] = millis(begin)
            case CandleUpdated(candle=candle) if candle.is_final:
                self.candles.append((symbol, "final", *told(candle)))
            case Backfilled(candle=candle) | CandleRevised(new=candle):
                self.candles.append((symbol, "late", *told(candle)))


def millis(at):
    return round(at.timestamp() * 1000)


def told(candle):
    return millis(candle.opened_at), str(candle.close), str(candle.volume)


@define
class Client:
    """One API, and everybody who uses it."""

    rng: random.Random
    market_ms: object
    heard: Heard = field(factory=Heard)
    api: object = None
    is_calm: bool = False
    worst_s: float = 0.0

    async def stay(self, symbol, kind):
        """Follow for as long as the API lives."""
        request = create_realtime_request(symbol, kind=kind, history=20 if kind == "candle" else 0)
        async with self.api.follow(request) as events:
            async for event in events:
                self.heard.take(symbol, event, self.market_ms())

    async def come_and_go(self):
        """Follow anything for a few seconds, again and again."""
        while not self.is_calm:
            request = create_realtime_request(self.rng.choice(SYMBOLS), kind=self.rng.choice(KINDS))
            with suppress(TimeoutError):
                async with asyncio.timeout(self.rng.uniform(0.2, 4)):
                    await self._follow_briefly(request)

    async def _follow_briefly(self, request):
        try:
            async with self.api.follow(request) as events:
                async for _ in events:
                    self.heard.counts["late events"] += 1
        except MarketDataError as error:
            self.heard.errors[type(error).__name__] += 1
            await asyncio.sleep(0.2)

    async def ask(self):
        """Ask questions of every kind."""
        while not self.is_calm:
            await asyncio.sleep(self.rng.expovariate(QUESTIONS_A_S))
            try:
                await self._question()
                self.heard.counts["answers"] += 1
            except MarketDataError as error:
                self.heard.errors[type(error).__name__] += 1

    def _question(self):
        symbol, kind = self.rng.choice(SYMBOLS), self.rng.choice(KINDS)
        if kind == "candle":
            return self.api.get_candles(symbol, self.rng.choice(["1m", "5m", "1h"]), self.rng.randint(1, 400))
        if kind == "trade":
            return self.api.get_trades(symbol, 50)
        return self.api.get_tickers([symbol]) if kind == "ticker" else self.api.get_orderbook(symbol)

    async def watch_the_loop(self):
        """Measure by how much the event loop is late."""
        while True:
            due = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            self.worst_s = max(self.worst_s, time.monotonic() - due)

    def line(self, **more):
        """Return what is to be written, and begin anew."""
        heard, self.heard = self.heard, Heard()
        worst_s, self.worst_s = self.worst_s, 0.0
        lags = quantiles(heard.lags, n=100) if len(heard.lags) > 1 else [0.0] * 99
        return {
            **more,
            "rss": memory_bytes(),
            "blocks": sys.getallocatedblocks(),
            "tasks": len(asyncio.all_tasks()),
            "handles": len(os.listdir(HANDLES)) if HANDLES else 0,  # noqa: PTH208 - counted each second
            "threads": threading.active_count(),
            "loop_s": worst_s,
            "lag_s": [lags[49], lags[98]],
            "trades": heard.trades,
            "candles": heard.candles,
            "began": heard.began,
            "errors": heard.errors,
            "counts": heard.counts,
        }


def memory_bytes():
    """Return what the process holds at present; 0 where the system does not say."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def write(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def listen(said):
    """Yield what the judge says."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while word := (await reader.readline()).decode().strip():
        said(word)


async def live(client, settings):
    """Open the API, and be watched until told to close it."""
    closing, late = asyncio.Event(), []

    def said(word):
        if word == "calm":
            client.is_calm = True
            for task in late:
                task.cancel()
        else:
            closing.set()

    ear = asyncio.create_task(listen(said))
    async with create_unified_api("test", settings) as client.api:
        staying = [asyncio.create_task(client.stay(symbol, kind)) for symbol in SYMBOLS for kind in KINDS]
        loop = asyncio.create_task(client.watch_the_loop())
        await asyncio.sleep(2)
        write(client.line(state="base"))
        late += [asyncio.create_task(client.come_and_go()) for _ in range(LATE_FOLLOWERS)]
        late.append(asyncio.create_task(client.ask()))
        while not closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await closing.wait()
            broken = [repr(task) for task in staying if task.done()]
            write(client.line(state="calm" if client.is_calm else "busy", broken=broken))
    for task in (*staying, loop, *late):
        task.cancel()
    await asyncio.gather(*staying, loop, *late, return_exceptions=True)
    ear.cancel()
    await asyncio.sleep(0.5)
    gc.collect()
    write(client.line(state="closed"))


def main():
    """Live with the address, the speed, the seed and the clock that the judge gives."""
    given = json.loads(sys.argv[1])
    began, market_began, speed = given["monotonic"], given["market_ms"], given["speed"]
    client = Client(random.Random(given["seed"]), lambda: market_began + (time.monotonic() - began) * 1000 * speed)
    asyncio.run(live(client, given["settings"]))


if __name__ == "__main__":
    main()
