from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest

from market_backbone.domain.candle import Candle
from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.errors import (
    DeadlineExceededError,
    InvalidRangeError,
    RequestError,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.request import (
    CandleRequest,
    Priority,
    Topic,
    create_candle_request,
    create_orderbook_request,
    create_realtime_request,
    create_ticker_request,
    create_trades_request,
)
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe
from market_backbone.domain.trade import TakerSide, Trade

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(hours=1)
NO_COUNTS = [0, -1, True, False, 1.5, "200", 10**12]


def test_candles_are_asked_for_by_symbol_and_two_hundred_of_a_minute_are_meant():
    request = create_candle_request("KRW-BTC")

    assert (request.symbol, request.timeframe, request.count) == ("KRW-BTC", Timeframe.M1, 200)
    assert request == CandleRequest(symbol="KRW-BTC")


def test_an_end_alone_means_the_last_two_hundred_and_a_start_alone_means_all_since():
    assert create_candle_request("KRW-BTC", end=END).count == 200
    assert create_candle_request("KRW-BTC", start=START).count is None
    assert create_candle_request("KRW-BTC", start=START, end=END).count is None


def test_to_is_another_name_of_end_and_both_at_once_are_refused():
    assert create_candle_request("KRW-BTC", to=END) == create_candle_request("KRW-BTC", end=END)
    with pytest.raises(InvalidRangeError, match="two names of one bound"):
        create_candle_request("KRW-BTC", end=END, to=END)


def test_instants_of_any_zone_are_taken_to_utc():
    korean = timezone(timedelta(hours=9))

    request = create_candle_request("KRW-BTC", start=datetime(2026, 1, 1, 9, tzinfo=korean), count=5)

    assert request.start == START
    assert request.start.tzinfo is UTC


@pytest.mark.parametrize("count", NO_COUNTS)
def test_a_count_that_is_no_number_of_rows_is_refused(count):
    with pytest.raises(InvalidRangeError, match="count must be a whole number of candles from 1 to"):
        create_candle_request("KRW-BTC", count=count)
    with pytest.raises(InvalidRangeError, match="whole number of trades"):
        create_trades_request("KRW-BTC", count)


@pytest.mark.parametrize("bound", ["start", "end", "to"])
@pytest.mark.parametrize("at", [datetime(2026, 1, 1), "2026-01-01T00:00:00Z", 1767225600])
def test_a_bound_that_is_naive_or_no_datetime_is_refused(bound, at):
    with pytest.raises(InvalidRangeError, match="start, end and to must"):
        create_candle_request("KRW-BTC", **{bound: at})


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_the_ends_of_time_mean_whatever_there_is(timeframe):
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    asked = create_candle_request("KRW-BTC", timeframe, start=first, end=last)
    assert (asked.start.year, asked.end.year) == (1970, 9999)
    assert timeframe.count_slots(TimeRange(asked.start, timeframe.ceil(asked.end))) > 0


def test_a_start_after_its_end_is_refused_and_an_empty_range_is_not():
    with pytest.raises(InvalidRangeError, match="swap them"):
        create_candle_request("KRW-BTC", start=END, end=START)
    assert create_candle_request("KRW-BTC", start=START, end=START).count is None


def test_start_end_and_count_together_leave_no_question_open():
    with pytest.raises(InvalidRangeError, match="give at most two"):
        create_candle_request("KRW-BTC", start=START, end=END, count=5)


def test_an_impossible_range_is_a_value_error_and_a_request_error():
    assert issubclass(InvalidRangeError, ValueError)
    assert issubclass(InvalidRangeError, RequestError)


def test_a_symbol_in_lower_case_is_refused_with_the_right_spelling():
    with pytest.raises(UnknownSymbolError, match="did you mean 'KRW-BTC'"):
        create_candle_request("krw-btc")
    with pytest.raises(UnknownSymbolError, match="did you mean 'KRW-BTC'"):
        create_ticker_request(["KRW-ETH", "krw-btc"])


def test_a_timeframe_that_nobody_has_is_refused_with_the_nearest():
    with pytest.raises(UnsupportedRequestError, match="did you mean '1h'"):
        create_candle_request("KRW-BTC", "1H")


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
def test_a_deadline_that_has_passed_is_refused_for_every_kind_of_request(deadline):
    for ask in (
        lambda: create_candle_request("KRW-BTC", deadline=deadline),
        lambda: create_ticker_request("KRW-BTC", deadline=deadline),
        lambda: create_orderbook_request("KRW-BTC", deadline=deadline),
        lambda: create_trades_request("KRW-BTC", deadline=deadline),
    ):
        with pytest.raises(DeadlineExceededError, match="must be positive"):
            ask()


def test_tickers_are_asked_for_once_each_and_at_least_one():
    assert create_ticker_request("KRW-BTC").symbols == ("KRW-BTC",)
    assert create_ticker_request(["KRW-BTC", "KRW-ETH", "KRW-BTC"]).symbols == ("KRW-BTC", "KRW-ETH")
    with pytest.raises(UnsupportedRequestError, match="at least one symbol"):
        create_ticker_request([])


@pytest.mark.parametrize("depth", [0, -1, 31, True, 1.5, "15"])
def test_a_depth_that_no_book_has_is_refused(depth):
    with pytest.raises(UnsupportedRequestError, match="from 1 to 30"):
        create_orderbook_request("KRW-BTC", depth)


def test_a_kind_of_data_that_does_not_exist_is_refused():
    with pytest.raises(UnsupportedRequestError, match="expected one of candle, ticker, trade, orderbook"):
        create_realtime_request("KRW-BTC", kind="book")


@pytest.mark.parametrize("history", [-1, True, 1.5])
def test_a_history_that_is_no_number_of_candles_is_refused(history):
    with pytest.raises(InvalidRangeError, match="candles of history"):
        create_realtime_request("KRW-BTC", history=history)


def test_only_candles_have_a_history():
    with pytest.raises(UnsupportedRequestError, match="history is for candles only"):
        create_realtime_request("KRW-BTC", kind="trade", history=5)


def test_a_followed_topic_carries_a_timeframe_for_candles_only():
    candles = create_realtime_request("KRW-BTC", "1m", print, history=20)
    trades = create_realtime_request("KRW-BTC", kind="trade")

    assert candles.topic == Topic(DataKind.CANDLE, "KRW-BTC", Timeframe.M1)
    assert (str(candles.topic), str(trades.topic)) == ("candle.1m:KRW-BTC", "trade:KRW-BTC")
    assert (str(candles), str(trades)) == (
        "follow candle 1m KRW-BTC history=20",
        "follow trade KRW-BTC history=0",
    )


def trade(symbol="KRW-BTC"):
    return Trade(
        venue="upbit-kr", symbol=Symbol(symbol), sequential_id=17, price=Decimal(1), volume=Decimal(1),
        taker_side=TakerSide.BUY, traded_at=START, source="rest",
    )  # fmt: skip


def candle(symbol="KRW-BTC", timeframe=Timeframe.M1, finality=Finality.FINAL):
    one = Decimal(1)
    return Candle(
        venue="upbit-kr", symbol=Symbol(symbol), timeframe=timeframe, opened_at=START, open=one, high=one, low=one,
        close=one, volume=one, source="rest", finality=finality,
        sealed_by=SealedBy.REST if finality is Finality.FINAL else None,
    )  # fmt: skip


def test_trades_go_on_after_a_trade_or_its_id_and_candles_after_a_candle_or_its_opening():
    korean = timezone(timedelta(hours=9))

    assert create_realtime_request("KRW-BTC", kind="trade", resume_after=trade()).resume_after == trade()
    assert create_realtime_request("KRW-BTC", kind="trade", resume_after=0).resume_after == 0
    assert create_realtime_request("KRW-BTC", resume_after=candle()).resume_after == START
    assert create_realtime_request("KRW-BTC", resume_after=START.astimezone(korean)).resume_after == START
    assert create_realtime_request("KRW-BTC").resume_after is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (trade("KRW-ETH"), "must be a trade of KRW-BTC, got one of KRW-ETH; follow each symbol by itself"),
        (START, "must be the last trade had, or its sequential_id as an int, got datetime"),
        (True, "sequential_id as an int, got True"),
        (-1, "sequential_id as an int, got -1"),
        (2**63, "sequential_id as an int, got 9223372036854775808"),
        ("17", "sequential_id as an int, got '17'"),
    ],
)
def test_trades_do_not_go_on_after_what_is_no_trade_of_theirs(given, told):
    with pytest.raises(RequestError, match=told):
        create_realtime_request("KRW-BTC", kind="trade", resume_after=given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (candle("KRW-ETH"), "must be a candle of KRW-BTC 1m, got one of KRW-ETH 1m"),
        (candle(timeframe=Timeframe.parse("5m")), "must be a candle of KRW-BTC 1m, got one of KRW-BTC 5m"),
        (candle(finality=Finality.CLOSED), "last FINAL candle had, got a CLOSED one; give the FINAL one before"),
        (17, "the last FINAL candle had, or its opened_at, got 17"),
        (datetime(2026, 1, 1), "resume_after must carry a time zone"),
        (START + timedelta(seconds=7), "opening of a 1m slot, .*00:07Z; did you mean 2026-01-01T00:00:00Z"),
    ],
)
def test_candles_do_not_go_on_after_what_opens_no_slot_of_theirs(given, told):
    with pytest.raises(RequestError, match=told):
        create_realtime_request("KRW-BTC", "1m", resume_after=given)


def test_what_is_only_ever_the_newest_goes_on_after_nothing():
    with pytest.raises(UnsupportedRequestError, match="resume_after is for trades and candles, got one for kind='tick"):
        create_realtime_request("KRW-BTC", kind="ticker", resume_after=17)


def test_history_and_a_point_to_go_on_from_exclude_each_other():
    with pytest.raises(UnsupportedRequestError, match="history=5 and resume_after both say where to begin"):
        create_realtime_request("KRW-BTC", history=5, resume_after=START)


@pytest.mark.parametrize("seconds", [-1, 61, True, "1", float("nan"), float("inf")])
def test_a_time_that_trades_cannot_be_held_is_refused(seconds):
    with pytest.raises(InvalidRangeError, match=r"reorder_s must be from 0 \(off\) to 60 market seconds, got"):
        create_realtime_request("KRW-BTC", kind="trade", reorder_s=seconds)


def test_only_trades_are_put_in_order():
    with pytest.raises(
        UnsupportedRequestError, match=r"reorder_s is for trades only, got reorder_s=0\.5 for kind='cand"
    ):
        create_realtime_request("KRW-BTC", reorder_s=0.5)


def test_a_followed_request_says_where_it_goes_on():
    by_trade = create_realtime_request("KRW-BTC", kind="trade", resume_after=trade(), reorder_s=0.5)
    by_id = create_realtime_request("KRW-BTC", kind="trade", resume_after=17)
    by_slot = create_realtime_request("KRW-BTC", resume_after=candle())

    assert str(by_trade) == "follow trade KRW-BTC history=0 resume_after=17 reorder_s=0.5"
    assert str(by_id) == "follow trade KRW-BTC history=0 resume_after=17"
    assert str(by_slot) == "follow candle 1m KRW-BTC history=0 resume_after=2026-01-01T00:00:00Z"


def test_every_request_says_its_question_in_one_line():
    ranged = create_candle_request("KRW-BTC", "1h", start=START, end=END, closed_only=True, priority=Priority.BULK)

    assert str(ranged) == "candles KRW-BTC 1h start=2026-01-01T00:00:00Z end=2026-01-01T01:00:00Z closed only"
    assert str(create_candle_request("KRW-BTC", final_only=True)) == "candles KRW-BTC 1m count=200 final only"
    assert str(create_ticker_request(["KRW-BTC", "KRW-ETH"])) == "ticker KRW-BTC KRW-ETH"
    assert str(create_orderbook_request("KRW-BTC")) == "orderbook KRW-BTC depth=15"
    assert str(create_trades_request("KRW-BTC")) == "trades KRW-BTC count=100"


def test_integers_of_numpy_are_integers():
    three = np.int64(3)
    assert create_candle_request("KRW-BTC", "1m", three).count == 3
    assert type(create_candle_request("KRW-BTC", "1m", three).count) is int
    assert create_orderbook_request("KRW-BTC", np.uint8(3)).depth == 3
    assert create_trades_request("KRW-BTC", np.int32(3)).count == 3
    assert create_realtime_request("KRW-BTC", history=three).history == 3
    for odd in (np.float64(3), 3.0, True, "3"):
        with pytest.raises(InvalidRangeError, match="whole number"):
            create_candle_request("KRW-BTC", "1m", odd)
