"""The follower's promise on random bad days, over real sockets at high speed.

Every slot that traded is FINAL exactly once and in order, and every trade arrives exactly once, whatever
happened to the channels in between.
"""

import asyncio
import os
import random

import pytest

from market_backbone import (
    Backfilled,
    CandleRevised,
    CandleUpdated,
    HistoryLoaded,
    TradeReceived,
    create_realtime_request,
)
from market_backbone.infrastructure.sandbox import Fault

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
    kinds = (
        lambda at, _: Fault("drop-sockets", at_s=at),
        lambda at, _: Fault("close-sockets", at_s=at, code=rng.choice([1000, 1001])),
        lambda at, lasts: Fault("stall", at_s=at, duration_s=lasts, pongs=rng.random() < 0.5),
        lambda at, lasts: Fault("refuse-upgrades", at_s=at, duration_s=lasts, status=rng.choice([429, 418, 503])),
        lambda at, lasts: Fault("rest-status", at_s=at, duration_s=lasts, status=rng.choice([429, 500, 502])),
        lambda at, lasts: Fault("slow-rest", at_s=at, duration_s=lasts, seconds=rng.uniform(0.5, 4)),
        lambda at, lasts: Fault("late-frames", at_s=at, duration_s=lasts, channel="candle", share=0.5),
        lambda at, lasts: Fault("duplicate-frames", at_s=at, duration_s=lasts, share=0.5),
        lambda at, lasts: Fault("disordered-frames", at_s=at, duration_s=lasts, share=0.5, maximum_ms=400),
        lambda at, lasts: Fault("microsecond-timestamp", at_s=at, duration_s=lasts, share=0.3),
        lambda at, lasts: Fault("unit-lag", at_s=at, duration_s=lasts),
    )
    return [rng.choice(kinds)(rng.uniform(10, MINUTES * 60 - 60), rng.uniform(1, 25)) for _ in range(rng.randint(1, 5))]


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
    known = {millis(candle.opened_at): candle for candle in (*finals, *late)}
    known |= {millis(e.new.opened_at): e.new for e in events if isinstance(e, CandleRevised)}
    end = edge // 60_000 * 60_000
    truth = {candle.opened_ms: candle for candle in market.candles(symbol, "1m", millis(begin), end)}
    opened = [candle.opened_at for candle in finals]
    broken = [] if opened == sorted(set(opened)) else [f"{symbol} finals not once and in order: {opened}"]
    broken += [f"{symbol} lacks the candle of {slot}" for slot in truth if slot not in known]
    return broken + [
        f"{symbol} has {known[slot]!r}, the exchange has {row}"
        for slot, row in truth.items()
        if slot in known and (known[slot].close, known[slot].volume) != (row.close, row.volume)
    ]


def trade_faults(market, symbol, events, edge):
    ids = [event.trade.sequential_id for event in events if isinstance(event, TradeReceived)]
    if not ids:
        return [f"{symbol} has no trade"]
    begin = ids[0] // 10_000
    truth = {trade.sequential_id for trade in market.trades(symbol, begin, edge)}
    lost = {number for number in truth if number >= ids[0]} - set(ids)
    broken = [f"{symbol} lost {len(lost)} of {len(truth)} trades: {sorted(lost)[:5]}"] if lost else []
    return broken + ([f"{symbol} doubled {len(ids) - len(set(ids))} trades"] if len(ids) != len(set(ids)) else [])


@pytest.mark.timeout(60 + 30 * SEQUENCES)
async def test_the_promise_holds_on_random_bad_days(open_market):
    gate = asyncio.Semaphore(AT_ONCE)

    async def gated(seed):
        async with gate:
            return await bad_day(open_market, seed)

    broken = await asyncio.gather(*(gated(seed) for seed in range(SEQUENCES)))
    assert [text for texts in broken for text in texts] == []
