"""A long life under faults, watched: ``python tests/soak/soak.py --minutes 10 [--speed 20] [--seed 1]``.

The sandbox and the judge live in this process, the client in one of its own, so that its memory is its own. The
judge knows what really was traded, and holds what the followers were told against it all the time.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import promise
import verdict
from attrs import define, field
from client import SYMBOLS

from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig

CLIENT = Path(__file__).with_name("client.py")
SETTLED_S = 30.0
"""Real seconds after which what was traded must have been told."""
CALM_S = 12.0
"""Real seconds without faults and late followers at the end."""
JUDGED_EVERY_S = 10.0
EDGE_MS = 20_000
PATIENCE_S = 30
MAX_LINE = 1 << 24


@define
class Told:
    """What the followers of one symbol were told and the judge has not judged yet."""

    ids: list = field(factory=list)
    began_with: int | None = None
    first: int | None = None
    begin_ms: int | None = None
    finals: list = field(factory=list)
    known: dict = field(factory=dict)

    def faults(self, market, symbol, edge):
        """Return what broke the promise before ``edge``."""
        if self.first is None or self.begin_ms is None:
            return [f"{symbol}: nothing was told"]
        candles = promise.candle_faults(market, symbol, (self.begin_ms, edge), self.finals, self.known)
        return candles + promise.trade_faults(market, symbol, (self.first, edge), self.ids)

    def begins_before(self, edge):
        """Return whether there is anything to judge before ``edge``."""
        has_begun = self.first is not None and self.begin_ms is not None
        return has_begun and max(self.first // promise.IDS_PER_MS, self.begin_ms) < edge

    def forget(self, edge):
        """Keep only what lies behind ``edge``, which has been judged."""
        edge = edge // promise.MINUTE_MS * promise.MINUTE_MS
        self.first = max(self.first, edge * promise.IDS_PER_MS)
        self.begin_ms = max(self.begin_ms, edge)
        self.ids = [number for number in self.ids if number >= self.first]
        self.finals = [slot for slot in self.finals if slot >= edge]
        self.known = {slot: row for slot, row in self.known.items() if slot >= edge}

    def is_double(self, number):
        """Return whether a trade comes again after it was judged."""
        return self.first is not None and self.began_with <= number < self.first


@define
class Judge:
    """Reads what the client writes."""

    sandbox: Sandbox
    told: dict = field(factory=dict)
    lines: list = field(factory=list)
    broken: list = field(factory=list)
    counts: Counter = field(factory=Counter)
    errors: Counter = field(factory=Counter)
    is_over: bool = False

    async def read(self, stream):
        """Take every line until the client ends."""
        while text := await stream.readline():
            self.take(json.loads(text))
        self.is_over = True

    def take(self, line):
        """Take one line."""
        for symbol, ids in line.pop("trades").items():
            told = self.of(symbol)
            if told.first is None:
                told.first = told.began_with = ids[0]
            self.broken += [f"{symbol}: trade {number} came again" for number in ids if told.is_double(number)]
            told.ids += ids
            self.counts["trades"] += len(ids)
        for symbol, begin_ms in line.pop("began").items():
            self.of(symbol).begin_ms = begin_ms
        for symbol, what, slot, close, volume in line.pop("candles"):
            told = self.of(symbol)
            if what == "final":
                told.finals.append(slot)
                self.counts["final candles"] += 1
            told.known[slot] = (Decimal(close), Decimal(volume))
        self.counts.update(line.pop("counts"))
        self.errors.update(line.pop("errors"))
        self.broken += line.get("broken", [])
        self.lines.append(line)

    def of(self, symbol):
        """Return what is kept of a symbol."""
        return self.told.setdefault(symbol, Told())

    def faults(self, edge):
        """Return everything that broke the promise before ``edge``."""
        return [text for symbol in SYMBOLS for text in self.of(symbol).faults(self.sandbox.market, symbol, edge)]

    async def judge_always(self):
        """Judge what has had its time, again and again."""
        while True:
            await asyncio.sleep(JUDGED_EVERY_S)
            edge = self.sandbox.now_ms() - int(SETTLED_S * 1000 * self.sandbox.config.speed)
            if all(told.begins_before(edge) for told in self.told.values()):
                self.broken += self.faults(edge)
                for told in self.told.values():
                    told.forget(edge)

    async def judge_at_last(self):
        """Judge the rest, once the client has had some time."""
        edge, rest = self.sandbox.now_ms() - EDGE_MS, []
        for _ in range(PATIENCE_S):
            await asyncio.sleep(1)
            if not (rest := self.faults(edge)):
                return
        self.broken += rest

    def state(self, name):
        """Return the last line of a state."""
        return next((line for line in reversed(self.lines) if line["state"] == name), None)


async def trouble(sandbox, rng):
    """Have something go wrong every now and then."""
    while True:
        await asyncio.sleep(rng.uniform(10, 60) / sandbox.config.speed)
        sandbox.inject(promise.random_fault(rng, 0.0, rng.uniform(1, 25)))


async def soak(minutes, speed, seed):
    """Live through it; answers the judge."""
    rng = random.Random(seed)
    async with Sandbox(SandboxConfig(speed=speed, seed=seed)) as sandbox:
        with tempfile.TemporaryDirectory() as folder:
            settings = {
                "upbit.rest_url": sandbox.rest_url,
                "upbit.websocket_url": sandbox.websocket_url,
                "cache.folder": folder,
                "log.level": "CRITICAL",
            }
            given = {"monotonic": time.monotonic(), "market_ms": sandbox.now_ms(), "speed": speed, "seed": seed}
            client = await asyncio.create_subprocess_exec(
                sys.executable, str(CLIENT), json.dumps({**given, "settings": settings}),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE,
            )  # fmt: skip
            judge = Judge(sandbox)
            try:
                await _watch(client, judge, rng, minutes)
            finally:
                if client.returncode is None:
                    client.kill()
                    await client.wait()
    return judge


async def _watch(client, judge, rng, minutes):
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(judge.read(client.stdout))
        judging = tasks.create_task(judge.judge_always())
        troubling = tasks.create_task(trouble(judge.sandbox, rng))
        await asyncio.sleep(max(10.0, minutes * 60 - CALM_S))
        troubling.cancel()
        judging.cancel()
        judge.sandbox.clear_faults()
        client.stdin.write(b"calm\n")
        await asyncio.sleep(CALM_S)
        await judge.judge_at_last()
        client.stdin.write(b"close\n")
        await asyncio.wait([reading], timeout=30)
        reading.cancel()


def report(judge):
    """Print the figures, and return what is wrong."""
    busy = [line for line in judge.lines if line["state"] == "busy"]
    trends = [verdict.trend_of(name, [line[name] for line in busy]) for name in ("rss", "blocks") if busy[-1][name]]
    for one in trends:
        print(one)
    for name in ("tasks", "handles", "threads"):
        figures = [line[name] for line in busy]
        ends = {state: judge.state(state)[name] for state in ("base", "calm", "closed") if judge.state(state)}
        print(f"{name} {min(figures)} to {max(figures)}; {ends}")
    print(
        f"event loop late by {statistics.median(line['loop_s'] for line in busy) * 1000:.0f} ms in a usual second, "
        f"{max(line['loop_s'] for line in busy) * 1000:.0f} ms at worst"
    )
    print(
        f"trades told after {statistics.median(line['lag_s'][0] for line in busy):.1f} market seconds (median), "
        f"{statistics.median(line['lag_s'][1] for line in busy):.1f} (p99 of a usual second)"
    )
    print(f"{dict(judge.counts)}; errors answered: {dict(judge.errors)}; {judge.sandbox.counters.to_table()}")
    broken = [*judge.broken, *(f"{one} looks like a leak" for one in trends if one.is_leak)]
    if not judge.state("closed"):
        return [*broken, "the client did not close"]
    return broken + verdict.left_behind(busy, judge.state("calm"), judge.state("closed"))


def main():
    """Soak, report, and end with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--speed", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    broken = report(asyncio.run(soak(given.minutes, given.speed, given.seed)))
    for text in broken[:20]:
        print(f"BROKEN {text}")
    print(
        f"soaked for {time.monotonic() - began:.0f} s: {f'{len(broken)} promises broken' if broken else 'all is well'}"
    )
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
