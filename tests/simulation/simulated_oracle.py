"""What has to hold, judged against the market itself. Every function returns what is broken, in words."""

from itertools import pairwise

from simulated_truth import is_premature, numbers, true_candles

from market_backbone import CandleRevised, CandleUpdated, Gap, HistoryLoaded
from market_backbone.infrastructure.sandbox.market.values import to_decimal
from market_backbone.infrastructure.sandbox.units import ms, utc

EDGE_MS = 40_000
"""At the very end what traded last is still on its way: FINAL takes the grace, and repair a page."""


def broken_promise(market, edge_ms, followed):
    """Judge what one follower was given over all its lives, once everything has had time to be mended."""
    broken = [f"{followed.symbol} {followed.kind} failed: {life.error!r}" for life in followed.lives if life.error]
    judge = {"candle": _broken_candles, "trade": _broken_trades, "orderbook": _broken_books}[followed.kind]
    return broken + judge(market, edge_ms, followed)


def _broken_candles(market, edge_ms, followed):
    symbol = followed.symbol
    begin = _promised_from(followed)
    if begin is None:
        return [f"{symbol} never had a history"]
    broken, finals = [], [candle for life in followed.lives for candle in life.finals()]
    late = [candle for life in followed.lives for candle in life.backfilled()]
    opened = [candle.opened_at for candle in finals]
    if opened != sorted(set(opened)):
        broken.append(f"{symbol} FINAL candles not once and in order: {_disorder(opened)}")
    if doubled := {candle.opened_at for candle in late} & set(opened):
        broken.append(f"{symbol} FINAL candles twice, the second time as Backfilled: {sorted(doubled)}")
    end_ms = edge_ms // 60_000 * 60_000
    truth = true_candles(market, symbol, "1m", ms(begin), end_ms)
    known = {ms(candle.opened_at): candle for candle in (*finals, *late)}
    known |= {ms(event.new.opened_at): event.new for event in _events(followed, CandleRevised)}
    excused = _lost_with_a_process(followed)
    lost = [utc(slot) for slot in truth if slot not in known and not any(utc(slot) in span for span in excused)]
    broken += [f"{symbol} lacks the candle of {slot}" for slot in lost]
    broken += [
        f"{symbol} has a FINAL candle of {utc(slot)}, when nobody traded"
        for slot in _untrue(known, truth, begin, end_ms)
    ]
    wrong = [slot for slot, row in truth.items() if slot in known and numbers(known[slot]) != numbers(row)]
    broken += [f"{symbol} has {known[slot]!r}, the exchange {truth[slot]!r}" for slot in wrong]
    return broken + _premature(followed) + _mixed_candles(market, followed)


def _premature(followed):
    told = [pair for life in followed.lives for pair in zip(life.events, life.told_ms, strict=True)]
    early = [event.candle for event, at in told if isinstance(event, CandleUpdated) and is_premature(event.candle, at)]
    return [f"{candle!r} is FINAL too early" for candle in early[:3]]


def _promised_from(followed):
    for life in reversed(followed.lives):
        for event in life.events:
            if isinstance(event, HistoryLoaded) and life.resumed_after is None:
                series = event.series
                newest = series[-1].closed_at if len(series) else series.coverage.asked.end
                return next((candle.opened_at for candle in series if not candle.is_final), newest)
    return None


def _events(followed, kind):
    return [event for life in followed.lives for event in life.events if isinstance(event, kind)]


def _untrue(known, truth, begin, end_ms):
    return [slot for slot in known if ms(begin) <= slot < end_ms and slot not in truth]


def _lost_with_a_process(followed):
    """Return the ranges that were told as gaps in a life that ended before they came: a new life begins after them."""
    return [event.range for life in followed.lives[:-1] for event in life.events if isinstance(event, Gap)]


def _disorder(opened):
    return [str(newer) for older, newer in pairwise(opened) if newer <= older][:3]


def _mixed_candles(market, followed):
    """Name candles that no reader can have seen: every view is what a first part of the slot's trades adds up to."""
    views = {}
    broken = []
    for event in _events(followed, CandleUpdated):
        candle = event.candle
        start_ms = ms(candle.opened_at)
        if start_ms not in views:
            views[start_ms] = _possible_views(market.trades(followed.symbol, start_ms, start_ms + 60_000))
        if numbers(candle) not in views[start_ms]:
            broken.append(f"{followed.symbol}: nobody can have seen {candle!r}")
    return broken[:3]


def _possible_views(trades):
    views, high, low, volume = set(), 0, 0, 0
    for trade in trades:
        high = max(high, trade.price_e8)
        low = min(low or trade.price_e8, trade.price_e8)
        volume += trade.volume_e8
        view = (trades[0].price_e8, high, low, trade.price_e8, volume)
        views.add(tuple(to_decimal(number) for number in view))
    return views


def _broken_trades(market, edge_ms, followed):
    symbol, broken = followed.symbol, []
    trades = [trade for life in followed.lives for trade in life.trades()]
    ids = [trade.sequential_id for trade in trades]
    if len(ids) != len(set(ids)):
        broken.append(f"{symbol} doubled {len(ids) - len(set(ids))} trades")
    if not trades:
        return broken
    first = trades[0]
    truth = {trade.sequential_id: trade for trade in market.trades(symbol, ms(first.traded_at), edge_ms)}
    resumed = [life.resumed_after for life in followed.lives if life.resumed_after is not None]
    lost = [trade for number, trade in truth.items() if number > first.sequential_id and number not in set(ids)]
    lost = [trade for trade in lost if not any(_was_late(trade, point) for point in resumed)]
    broken += [f"{symbol} lost {len(lost)} of {len(truth)} trades: {lost[:3]}"] if lost else []
    wrong = [
        trade
        for trade in trades
        if (true := truth.get(trade.sequential_id)) and (trade.price, trade.volume) != (true.price, true.volume)
    ]
    return broken + [f"{symbol} has {trade!r}, the exchange {truth[trade.sequential_id]!r}" for trade in wrong[:3]]


def _is_wrong(trade, true):
    return true is not None and (trade.price, trade.volume) != (true.price, true.volume)


def _was_late(trade, point):
    """Return whether a trade lies before the one that a new life went on after: nobody asked for it any more."""
    return (trade.traded_ms, trade.sequential_id) < (ms(point.traded_at), point.sequential_id)


def _broken_books(market, edge_ms, followed):
    life = followed.lives[-1]
    books = [event.orderbook for event in life.events if hasattr(event, "orderbook")]
    changed = market.book(market.view(followed.symbol), edge_ms)
    if changed is None:
        return []
    if not books or ms(books[-1].updated_at) < changed.changed_ms:
        had = books[-1].updated_at if books else None
        return [f"{followed.symbol}: the newest book is of {had}, the exchange has one of {utc(changed.changed_ms)}"]
    return []
