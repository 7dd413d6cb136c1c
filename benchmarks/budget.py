"""How much of the allowed ten calls a second the budget uses, and what that costs a person who waits.

Run: python benchmarks/budget.py [calls of the real run] [virtual hours of the fairness run] [added latency in ms]

The curves and the fairness figures come from model servers on an event loop whose time jumps; they are the
same on every machine. The real run talks to a sandbox over loopback, limits on, speed 1.
"""

import asyncio
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "doubles"))

from rate_models import SERVERS, Desk, FixedWindows, Way, alone, run

from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.call_context import CallContext, use_call_context
from market_backbone.domain.errors import RateLimitedError
from market_backbone.domain.finality import Grace
from market_backbone.domain.request import Priority
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime
from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig
from market_backbone.infrastructure.upbit import UpbitOptions, UpbitRest

CALLS, SEED = 1000, 20261123
BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE


def curve(kind: str, way: Way, priority: Priority) -> str:
    """Return the fraction of 10/s between the first and the last send, and the refusals."""

    async def main() -> Desk:
        desk = Desk(alone(), SERVERS[kind](0.3), way)
        await desk.keep_busy(CALLS, priority=priority)
        return desk

    desk = run(main())
    return f"{desk.rate() / 10:6.1%} {len(desk.refused_at):4d}"


def print_curves() -> None:
    """Print the rate over jitter and over constant round trips."""
    print(f"{CALLS} calls, 20 asked for at once: fraction of 10/s and number of 429s")
    print(
        f"{'':26}"
        + "".join(f"{kind + ' ' + priority.name.lower():>22}" for priority in (BULK, INTERACTIVE) for kind in SERVERS)
    )
    for ms in (0, 10, 20, 30, 50, 100, 200):
        row = [
            curve(kind, Way(0.05, ms / 1000, dice=random.Random(SEED)), p)
            for p in (BULK, INTERACTIVE)
            for kind in SERVERS
        ]
        print(
            f"jitter {ms:3d} ms (10/(1+J)={1 / (1 + max(0.02, ms / 1000)):5.1%})"
            + "".join(f"{cell:>22}" for cell in row)
        )
    for ms in (0, 14, 170, 400):
        row = [
            curve(kind, Way(ms / 1000, dice=random.Random(SEED)), p) for p in (BULK, INTERACTIVE) for kind in SERVERS
        ]
        print(f"round trip {ms:3d} ms         " + "".join(f"{cell:>22}" for cell in row))


def fairness(hours: float, round_trip_s: float, serial: bool) -> str:
    """Return what a person waits while a download keeps everything busy, and what the download keeps."""
    dice = random.Random(SEED)

    async def ask(desk: Desk) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                if serial:
                    await desk.call()
                else:
                    await asyncio.sleep(dice.expovariate(3.0))
                    group.create_task(desk.call())

    async def main() -> Desk:
        desk = Desk(alone(), FixedWindows(0.37), Way(round_trip_s, 0.01, dice=dice))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(desk.keep_busy(10**9)), group.create_task(ask(desk))]
            await asyncio.sleep(hours * 3600)
            for task in tasks:
                task.cancel()
        return desk

    desk = run(main())
    spacing = 1.02 / 10
    waits = sorted(desk.waits[INTERACTIVE])
    ours, theirs = len(waits), len(desk.waits[BULK])
    allowed = hours * 3600
    p50, p99, worst = (waits[place] / spacing for place in (ours // 2, ours * 99 // 100, -1))
    of_promised, of_allowed = theirs / (allowed / spacing - ours), theirs / (allowed * 10 - ours)
    return (
        f"{'one after another' if serial else 'Poisson 3/s':18} round trip {round_trip_s * 1000:3.0f} ms, {hours:g} h: "
        f"{ours} interactive, wait p50 {p50:4.2f} p99 {p99:4.2f} max {worst:5.2f} spacings; bulk {theirs} = "
        f"{of_promised:.1%} of what 10/(1 + J) leaves, {of_allowed:.1%} of what 10/s leave; 429s {len(desk.refused_at)}"
    )


async def real_run(calls: int, in_flight: int, priority: Priority, latency_s: float) -> str:
    """Keep calls in flight against a sandbox."""
    refused = 0
    left = iter(range(calls))
    async with Sandbox(SandboxConfig()) as sandbox:
        if latency_s:
            sandbox.inject(Fault("slow-rest", seconds=latency_s))
        clock = MarketClock()
        context = AdapterContext(
            name="rest", options={}, clock=clock, server_time=MeasuredServerTime(clock), grace=Grace()
        )
        channel = UpbitRest(UpbitOptions(rest_url=sandbox.rest_url), context)

        async def one_after_another() -> None:
            nonlocal refused
            for _ in left:
                try:
                    await channel.get_candles("KRW-BTC", count=200)
                except RateLimitedError:
                    refused += 1

        began = time.perf_counter()
        with use_call_context(CallContext(priority)):
            async with asyncio.TaskGroup() as group:
                for _ in range(in_flight):
                    group.create_task(one_after_another())
        taken = time.perf_counter() - began
        jitter_ms = channel.client.budget.headroom()["candles"].jitter_s * 1000
        await channel.close()
    return (
        f"sandbox, {priority.name.lower():11} {in_flight:2d} in flight, {latency_s * 1000:3.0f} ms added: "
        f"{calls} calls of 200 candles, {taken:6.2f} s, 429s {refused}, {calls / taken / 10:6.1%} of 10/s, "
        f"J {jitter_ms:.0f} ms at the end"
    )


def main() -> None:
    """Print everything."""
    given = [float(text) for text in sys.argv[1:]]
    calls, hours, added_ms = [*given, *(100.0, 10.0, 170.0)[len(given) :]]
    print_curves()
    for serial in (True, False):
        for round_trip_s in (0.014, 0.17):
            print(fairness(hours, round_trip_s, serial), flush=True)
    for priority in (BULK, INTERACTIVE):
        for latency_s in (0.0, added_ms / 1000):
            print(asyncio.run(real_run(int(calls), 12, priority, latency_s)), flush=True)


if __name__ == "__main__":
    main()
