"""What has to hold while nothing goes wrong: promptness, order, and no work for nothing."""

from market_backbone import CandleUpdated, Gap, TradeReceived
from market_backbone.infrastructure.sandbox.units import ms, utc

CALM_AFTER_S = 100.0
"""A block of 60 s, and a back-off of up to 30 s that began in it, have to be over."""
FINAL_WITHIN_MS = 5_000 + 3_000 + 1_500
"""The grace, what is promised beyond it, and the way of a page."""
TRADE_WITHIN_MS = 12_000
"""A connect, its SNAPSHOT, and a few tries to read what was missed."""
TYPES = {"candle": "candle.1m", "trade": "trade", "orderbook": "orderbook"}
HARMLESS = ("drop-sockets", "close-sockets", "refuse-upgrades", "duplicate-frames", "malformed-frame", "one-sided-book",
            "delist", "rename", "redenominate", "microsecond-timestamp", "restart", "revise-candle")  # fmt: skip
"""Each of these shows, or loses nothing: what it hid is read at once."""


def calm_spans(troubles, until_s, harmless=(), after_s=CALM_AFTER_S):
    """Return the spans, in seconds after the beginning, in which nothing had gone wrong for a while.

    ``troubles`` are (kind, from, to) as they happened: a program that sleeps has them later than its script says.
    """
    spans, at_s = [], 0.0
    for began, ended in sorted((began, ended) for kind, began, ended in troubles if kind not in harmless):
        spans.append((at_s, began))
        at_s = max(at_s, ended + after_s)
    return [(start, end) for start, end in (*spans, (at_s, until_s)) if start < end]


def broken_promptness(troubles, began_ms, now_ms, market, followed):
    """Name the candles of calm times that were FINAL too late."""
    if followed.kind != "candle":
        return []
    told = [pair for life in followed.lives for pair in zip(life.events, life.told_ms, strict=True)]
    final_ms = {ms(e.candle.opened_at): at for e, at in told if isinstance(e, CandleUpdated) and e.candle.is_final}
    broken = []
    for start_s, end_s in calm_spans(troubles, (now_ms - began_ms) / 1000):
        start, end = began_ms + 1000 * start_s, began_ms + 1000 * end_s - FINAL_WITHIN_MS
        rows = market.candles(followed.symbol, "1m", int(start), int(end) - 60_000)
        due = {row.opened_ms: row.opened_ms + 60_000 + FINAL_WITHIN_MS for row in rows}
        late = [slot for slot, at in due.items() if slot in final_ms and final_ms[slot] > at]
        broken += [f"{followed.symbol} {utc(slot)} was FINAL at {utc(final_ms[slot])} only" for slot in late]
    return broken


def broken_lateness(troubles, began_ms, followed):
    """Name trades that came late, although nothing had hidden them for long, or kept REST from answering.

    What was told as a gap has no hour at which it is due.
    """
    if followed.kind != "trade":
        return []
    calm = calm_spans(troubles, float("inf"), HARMLESS, after_s=60.0)
    told = [(*pair, life) for life in followed.lives for pair in zip(life.events, life.told_ms, strict=True)]
    trades = [(event.trade, at, life.told_ms[0]) for event, at, life in told if isinstance(event, TradeReceived)]
    late = [(trade, at) for trade, at, began in trades if at - max(began, ms(trade.traded_at)) > TRADE_WITHIN_MS]
    gaps = [event.range for event, _, _ in told if isinstance(event, Gap)]
    late = [(trade, at) for trade, at in late if not any(trade.traded_at in gap for gap in gaps)]
    late = [(trade, at) for trade, at in late if any(start <= (at - began_ms) / 1000 < end for start, end in calm)]
    return [f"{trade!r} came at {utc(at)} only" for trade, at in late[:3]]


def broken_subscriptions(troubles, until_s, network, followed):
    """Name what is followed and not subscribed after a calm time."""
    start, _ = calm_spans(troubles, until_s)[-1] if calm_spans(troubles, until_s) else (until_s, until_s)
    if until_s - start < 1.0:
        return []
    wanted = {(TYPES[one.kind], one.symbol) for one in followed}
    return [f"{kind} of {code} is followed and not subscribed" for kind, code in sorted(wanted - network.subscribed())]
