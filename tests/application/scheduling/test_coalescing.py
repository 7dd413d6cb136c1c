"""Which answer on its way holds the answer to another question."""

from datetime import timedelta

import pytest

from market_backbone import (
    CandleSeries,
    Coverage,
    Symbol,
    Timeframe,
    TimeRange,
    create_candle_request,
    create_orderbook_request,
    create_ticker_request,
    create_trades_request,
)
from market_backbone.application.scheduling.coalescing import covers, extract

MINUTE = timedelta(minutes=1)


def candles(count=None, symbol="KRW-BTC", timeframe="1m", **bounds):
    return create_candle_request(symbol, timeframe, count, **bounds)


@pytest.mark.parametrize(
    ("larger", "smaller", "expected"),
    [
        (candles(200), candles(50), True),
        (candles(50), candles(200), False),
        (candles(201), candles(50), False),  # a page more: the chart would wait for it
        (candles(400), candles(201), True),
        (candles(200), candles(50, "KRW-ETH"), False),
        (candles(200), candles(50, timeframe="3m"), False),
        (candles(200), candles(50, closed_only=True), False),
        (create_ticker_request(["KRW-BTC", "KRW-ETH"]), create_ticker_request("KRW-ETH"), True),
        (create_ticker_request("KRW-ETH"), create_ticker_request(["KRW-BTC", "KRW-ETH"]), False),
        (create_orderbook_request("KRW-BTC", 15), create_orderbook_request("KRW-BTC", 5), True),
        (create_orderbook_request("KRW-BTC", 5), create_orderbook_request("KRW-BTC", 15), False),
        (create_trades_request("KRW-BTC", 100), create_trades_request("KRW-BTC", 10), True),
        (create_trades_request("KRW-BTC", 5000), create_trades_request("KRW-BTC", 10), False),
        (("page", 1), candles(50), False),
    ],
)
def test_a_question_is_contained_in_a_larger_one_that_costs_no_page_more(larger, smaller, expected):
    assert covers(larger, smaller, 200) is expected


def test_a_range_is_contained_in_a_range_around_it(kit):
    outer = candles(start=kit.START, end=kit.START + 150 * MINUTE)
    inner = candles(start=kit.START + 10 * MINUTE, end=kit.START + 20 * MINUTE)
    assert covers(outer, inner, 200)
    assert not covers(inner, outer, 200)
    assert not covers(candles(start=kit.START, end=kit.START + 500 * MINUTE), inner, 200)
    assert not covers(outer, candles(50), 200)


def series_of(kit, rows):
    made = [kit.candle(number) for number in range(rows)]
    span = TimeRange(kit.START, kit.START + rows * MINUTE)
    return CandleSeries.of("test", Symbol("KRW-BTC"), Timeframe.M1, made, Coverage(asked=span, proven=(span,)))


def test_the_part_of_a_series_is_what_was_asked_for_and_claims_no_more(kit):
    series = series_of(kit, 30)
    newest = extract(series, candles(10))
    assert list(newest) == list(series)[-10:]
    assert newest.gaps() == ()
    inner = extract(series, candles(start=kit.START + 5 * MINUTE, end=kit.START + 8 * MINUTE))
    assert [candle.opened_at for candle in inner] == [kit.START + number * MINUTE for number in (5, 6, 7)]
    assert inner.coverage.asked == TimeRange(kit.START + 5 * MINUTE, kit.START + 8 * MINUTE)
    assert extract(series, candles(50)) == series
