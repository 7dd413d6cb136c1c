"""The follower's promise on random bad days, over real sockets at high speed.

Every slot that traded is FINAL exactly once and in order, and every trade arrives exactly once, whatever
happened to the channels in between.
"""

import asyncio
import os
import random

import promise
import pytest
from promise import random_fault

from market_backbone import (
    Backfilled,
    CandleRevised,
    CandleUpdated,
    HistoryLoaded,
    TradeReceived,
    create_realtime_request,
)

SPEED = 20.0
MINUTES = 3
SETTLE_S = 75
EDGE_MS = 20_000
PATIENCE = 40
"""Half seconds for a busy machine to hand over what the market sent before the edge; what is lost never comes."""
SYMBOLS = ("KRW-BTC", "KRW-AWE")
SEQUENCES = int(os.environ.get("MARKET_BACKBONE_FAULT_SEQUENCES", "3"))
AT_ONCE = 3


def random_faults(rng):
    """One to five faults within the first minutes, with room at the end to recover."""
    return [random_fault(rng, rng.uniform(10, MINUTES * 60 - 60), rng.uniform(1, 25)) for _ in range(rng.randint(1, 5))]


async def bad_day(open_market, seed):
    """Live through one sequence; answers what broke the promise, in words."""
    events = {(symbol, kind): [] for symbol in SYMBOLS for kind in ("candle", "trade")}

    async def follow(api, symbol, kind):
        request = create_realtime_request(symbol, kind=kind, history=10 if kind == "candle" else 0)
        async with api.follow(request) as stream:
            async for event in stream:
                events[symbol, kind].append(event)

    async with open_market(speed=SPEED, seed=seed) as (sandbox, api):
        tasks = [asyncio.create_task(follow(api, *key)) for key in events]
        await asyncio.sleep(8 / SPEED)
        for fault in random_faults(random.Random(seed)):
            sandbox.inject(fault)
        await asyncio.sleep(MINUTES * 60 / SPEED)
        sandbox.clear_faults()
        await asyncio.sleep(SETTLE_S / SPEED)
        edge = sandbox.now_ms() - EDGE_MS
        for _ in range(PATIENCE):
            await asyncio.sleep(0.5)
            broken = [f"{task}" for task in tasks if task.done()]
            for symbol in SYMBOLS:
                broken += candle_faults(sandbox.market, symbol, events[symbol, "candle"], edge)
                broken += trade_faults(sandbox.market, symbol, events[symbol, "trade"], edge)
            if not broken:
                break
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [f"seed {seed}: {text}" for text in broken]


def millis(at):
    return round(at.timestamp() * 1000)


def candle_faults(market, symbol, events, edge):
    if not events or not isinstance(events[0], HistoryLoaded):
        return [f"{symbol} has no history"]
    history = events[0].series
    begin = next((candle.opened_at for candle in history if not candle.is_final), history[-1].closed_at)
    finals = [e.candle for e in events if isinstance(e, CandleUpdated) and e.candle.is_final]
    late = [e.candle for e in events if isinstance(e, Backfilled)]
    revised = [e.new for e in events if isinstance(e, CandleRevised)]
    known = {millis(one.opened_at): (one.close, one.volume) for one in (*finals, *late, *revised)}
    opened = [millis(candle.opened_at) for candle in finals]
    return promise.candle_faults(market, symbol, (millis(begin), edge), opened, known)


def trade_faults(market, symbol, events, edge):
    ids = [event.trade.sequential_id for event in events if isinstance(event, TradeReceived)]
    return promise.trade_faults(market, symbol, (ids[0], edge), ids) if ids else [f"{symbol} has no trade"]


@pytest.mark.timeout(60 + 30 * SEQUENCES)
async def test_the_promise_holds_on_random_bad_days(open_market):
    gate = asyncio.Semaphore(AT_ONCE)

    async def gated(seed):
        async with gate:
            return await bad_day(open_market, seed)

    broken = await asyncio.gather(*(gated(seed) for seed in range(SEQUENCES)))
    assert [text for texts in broken for text in texts] == []
