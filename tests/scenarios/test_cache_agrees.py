"""Whatever is asked in whatever order: an answer from the store is the answer of the exchange, and the truth."""

import os
import random
from datetime import UTC, datetime, timedelta

from market_backbone import create_candle_request, create_unified_api

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
WIDTHS = {"1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400}
HORIZONS = {"1m": 2 * 86_400, "5m": 6 * 86_400, "1h": 50 * 86_400, "1d": 4_000 * 86_400}
SYMBOLS = ("KRW-BTC", "KRW-AWE", "KRW-STRAX", "KRW-KAIA")
COUNTS = (1, 2, 10, 50, 199, 200, 201, 350)
FIELDS = ("opened_at", "open", "high", "low", "close", "volume", "finality")
QUESTIONS = int(os.environ.get("MARKET_BACKBONE_QUESTIONS", "40"))


def some_question(rng):
    """Any way of asking for candles of the past: rows before an end, a range, rows from a start."""
    timeframe = rng.choice(list(WIDTHS))
    width = WIDTHS[timeframe]
    end = START - timedelta(seconds=rng.randrange(2 * width + 120, HORIZONS[timeframe]))
    if rng.random() < 0.6:
        end = datetime.fromtimestamp(end.timestamp() // width * width, UTC)
    start = end - timedelta(seconds=width * rng.choice([1, 2, 50, 200, 400, 900]))
    count, rest = rng.choice(COUNTS), {"final_only": rng.random() < 0.2}
    bounds = rng.choice([{"end": end}, {"start": start, "end": end}, {"start": start}])
    return create_candle_request(rng.choice(SYMBOLS), timeframe, None if len(bounds) == 2 else count, **bounds, **rest)


def told(series):
    """Rows, and what is said of the slots between; an outage is silence whatever it is called."""
    rows = [tuple(getattr(candle, name) for name in FIELDS) for candle in series if candle.is_final]
    quiet = []
    for part in series.quiet():
        if quiet and quiet[-1][1] == part.start:
            quiet[-1] = (quiet[-1][0], part.end)
        else:
            quiet.append((part.start, part.end))
    return rows, quiet, series.gaps()


def lies(sandbox, series):
    """Slots that are said to be empty, or not told at all, and in which the market traded."""
    millis = [
        round(at.timestamp() * 1000) for at in (series.coverage.asked.start, min(series.coverage.asked.end, START))
    ]
    had = {candle.opened_at for candle in series}
    traded = {
        datetime.fromtimestamp(row.opened_ms / 1000, UTC)
        for row in sandbox.market.candles(series.symbol, {"1h": "60m"}.get(series.timeframe, series.timeframe), *millis)
    }
    return [slot for slot in traded - had if not any(slot in gap.span for gap in series.gaps())]


async def test_an_answer_from_the_store_is_the_answer_of_the_exchange(open_market):
    rng = random.Random(20)
    async with open_market(starts_at=START, speed=200.0, limits=False) as (sandbox, api):
        addresses = {"upbit.rest_url": sandbox.rest_url, "upbit.websocket_url": sandbox.websocket_url}
        quiet = {"log.level": "ERROR", "cache.store": "memory"}
        async with create_unified_api("test", {**addresses, **quiet}, "rest-only") as plain:
            for _ in range(QUESTIONS):
                request = some_question(rng)
                expected = await plain.request_data_sync(request)
                answer = await api.request_data_sync(request)
                assert told(answer) == told(expected), str(request)
                assert lies(sandbox, answer) == [], str(request)
                before = sandbox.counters.requests["candles"]
                again = await api.request_data_sync(request)
                assert told(again) == told(answer), str(request)
                if request.end is not None:
                    assert sandbox.counters.requests["candles"] == before, str(request)
