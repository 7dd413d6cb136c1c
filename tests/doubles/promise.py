"""The follower's promise, held against what the sandbox's market really did; and faults that try to break it.

Shared by the bad days of the test suite and by the soak.
"""

from collections import Counter

from market_backbone.infrastructure.sandbox import Fault

MINUTE_MS = 60_000
IDS_PER_MS = 10_000


def random_fault(rng, at_s, lasts_s):
    """Return one fault of the kinds that must cost no trade and no candle."""
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
    return rng.choice(kinds)(at_s, lasts_s)


def candle_faults(market, symbol, span, finals, known):
    """Return what is wrong with the candles of ``span`` (from ms, before ms), in words.

    Args:
        market: the sandbox's own.
        symbol: which market.
        span: from the slot that began first, to any instant; the last slot must be over by then.
        finals: the openings of FINAL candles in the order of their arrival, in ms.
        known: by opening in ms, close and volume as last told.

    """
    begin, edge = span
    truth = {candle.opened_ms: candle for candle in market.candles(symbol, "1m", begin, edge // MINUTE_MS * MINUTE_MS)}
    broken = [] if finals == sorted(set(finals)) else [f"{symbol} finals not once and in order: {finals}"]
    broken += [f"{symbol} lacks the candle of {slot}" for slot in truth if slot not in known]
    return broken + [
        f"{symbol} has {known[slot]!r}, the exchange has {row}"
        for slot, row in truth.items()
        if slot in known and known[slot] != (row.close, row.volume)
    ]


def trade_faults(market, symbol, span, ids):
    """Return which trades of ``span`` were lost, and whether any came twice, in words."""
    first, edge = span
    truth = {trade.sequential_id for trade in market.trades(symbol, first // IDS_PER_MS, edge)}
    lost = {number for number in truth if number >= first} - set(ids)
    broken = [f"{symbol} lost {len(lost)} of {len(truth)} trades: {sorted(lost)[:5]}"] if lost else []
    doubled = sorted(number for number, times in Counter(ids).items() if times > 1)
    return broken + ([f"{symbol} doubled {len(doubled)} trades: {doubled[:5]}"] if doubled else [])
