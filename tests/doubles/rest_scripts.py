"""Bodies that a scripted REST server answers with."""

import json
from datetime import UTC, datetime

MINUTES = "/v1/candles/minutes/1"


def row(minute, **changes):
    opened_at = datetime(2026, 3, 11, 14, minute, tzinfo=UTC)
    return {
        "market": "KRW-BTC",
        "candle_date_time_utc": opened_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "candle_date_time_kst": "1999-01-01T00:00:00",
        "opening_price": 2.0,
        "high_price": 4.0,
        "low_price": 1.0,
        "trade_price": 3.0,
        "timestamp": 1773240059132,
        "candle_acc_trade_price": 5.5,
        "candle_acc_trade_volume": 0.25,
        "unit": 1,
    } | changes


def rows(*minutes):
    return json.dumps([row(minute) for minute in sorted(minutes, reverse=True)])


def market(*codes):
    return json.dumps([{"market": code, "english_name": code, "korean_name": code} for code in codes])


TICKER = {
    "market": "KRW-BTC",
    "change": "RISE",
    "trade_timestamp": 1773240059095,
    "timestamp": 1773240059132,
} | dict.fromkeys(
    [
        *("trade_price", "opening_price", "high_price", "low_price", "prev_closing_price"),
        *("signed_change_price", "signed_change_rate", "trade_volume", "acc_trade_price", "acc_trade_price_24h"),
        *("acc_trade_volume", "acc_trade_volume_24h", "highest_52_week_price", "lowest_52_week_price"),
    ],
    1.5,
)
