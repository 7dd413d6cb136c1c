"""What an answer, or the store, says it knows, judged against the market. Every function tells what is broken."""

from market_backbone.domain.coverage import Reason
from market_backbone.infrastructure.sandbox.units import ms, utc

NUMBERS = ("open", "high", "low", "close", "volume")
MAX_TOLD = 3
GRACE_MS = 5_000


def numbers(row):
    """Return what a candle and the market's own must agree in."""
    return tuple(getattr(row, name) for name in NUMBERS)


def true_candles(market, symbol, unit, start_ms, end_ms):
    """Return the market's own candles of a half-open span, by their opening in milliseconds."""
    return {row.opened_ms: row for row in market.candles(symbol, unit, start_ms, end_ms)}


def broken_answer(market, now_ms, request, series):
    """Judge one answer: its rows, its coverage, and whether it says why it is short."""
    told = f"{request} answered at {utc(now_ms)}"
    broken = []
    opened = [candle.opened_at for candle in series]
    if opened != sorted(set(opened)):
        broken.append(f"{told}: not unique and in order")
    if len(series) > request.count:
        broken.append(f"{told}: {len(series)} rows are more than asked for")
    if len(series) < request.count and not _has_reason(series):
        broken.append(f"{told}: {len(series)} rows, and no reason why not more")
    return broken + _broken_knowledge(market, now_ms, told, series, series.coverage.proven)


def _has_reason(series):
    reasons = {part.reason for part in (*series.quiet(), *series.gaps())}
    return bool(reasons - {Reason.NO_TRADE, Reason.OUTAGE})


def broken_ledger(market, now_ms, key, ledger, series):
    """Judge what the store says it knows of one series."""
    if market.find(key.symbol) is None:
        return []
    broken = _broken_knowledge(market, now_ms, f"the store of {key}", series, ledger.proven)
    return broken + [f"the store of {key} holds {candle!r}, not FINAL" for candle in series if not candle.is_final]


def _broken_knowledge(market, now_ms, told, series, proven):
    """Compare rows, proven ranges and ranges that are called quiet with the truth."""
    spans = [(ms(span.start), ms(span.end)) for span in proven]
    spans += [(ms(candle.opened_at), ms(candle.closed_at)) for candle in series]
    if not spans:
        return []
    start_ms, end_ms = min(start for start, _ in spans), max(end for _, end in spans)
    truth = true_candles(market, series.symbol, str(series.timeframe), start_ms, min(end_ms, now_ms))
    held = {ms(candle.opened_at): candle for candle in series}
    broken = [text for span in proven for text in _broken_span(span, series, held, truth, now_ms)]
    broken += [text for slot, candle in held.items() if (text := _untrue(candle, truth.get(slot), now_ms))]
    broken += [text for part in series.quiet() if (text := _not_quiet(market, series, part, now_ms))]
    return [f"{told}: {text}" for text in broken[:MAX_TOLD]]


def _broken_span(span, series, held, truth, now_ms):
    asked = series.coverage.asked
    missing = [utc(slot) for slot in truth if slot not in held and utc(slot) in span and utc(slot) in asked]
    future = [f"coverage up to {span.end} claims the future"] if ms(span.end) > now_ms else []
    return [*future, *(f"{span} is called proven, and lacks {at}" for at in missing)]


def _untrue(candle, true, now_ms):
    if true is None:
        return f"{candle!r}, when nobody traded"
    if candle.is_final and numbers(candle) != numbers(true):
        return f"{candle!r} is FINAL, the exchange has {true!r}"
    return f"{candle!r} is FINAL too early" if is_premature(candle, now_ms) else ""


def is_premature(candle, now_ms):
    """Return whether a candle was called FINAL before the grace had passed."""
    return candle.is_final and ms(candle.closed_at) + GRACE_MS > now_ms


def _not_quiet(market, series, part, now_ms):
    end_ms = min(ms(part.end), now_ms)
    traded = list(true_candles(market, series.symbol, str(series.timeframe), ms(part.start), end_ms))
    return f"{part} is wrong, there is a candle of {utc(traded[0])}" if traded else ""


def broken_budget(network):
    """Judge the server's own count: one delay beyond the jitter may cost one refusal."""
    if network.refused <= network.stragglers:
        return []
    return [f"{network.refused} refusals by the server's own count, {network.stragglers} stragglers"]
