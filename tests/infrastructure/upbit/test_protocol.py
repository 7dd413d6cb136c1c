import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.errors import (
    IntegrityError,
    UnsupportedRequestError,
)
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import Rejected
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.timeframe import Timeframe
from market_backbone.infrastructure.upbit import protocol
from market_backbone.infrastructure.upbit.frames import ControlFrame, FrameOrigin, FrameReader
from market_backbone.infrastructure.upbit.mapping import excerpt, to_change, to_instant, to_slot, to_taker_side

BTC, ETH = Symbol("KRW-BTC"), Symbol("KRW-ETH")
LIVE = FrameOrigin("upbit-kr")
TRADE = {
    "type": "trade",
    "code": "KRW-BTC",
    "trade_price": 1.5,
    "trade_volume": 0.25,
    "ask_bid": "BID",
    "sequential_id": 7,
    "trade_timestamp": 1785395043779,
    "timestamp": 1785395043831,
    "stream_type": "REALTIME",
}


def test_candles_are_asked_for_before_an_instant_spelled_with_z():
    call = protocol.candles_call(BTC, Timeframe.H4, 200, datetime(2026, 1, 1, tzinfo=UTC))

    assert call.path == "/v1/candles/minutes/240"
    assert call.query == {"market": "KRW-BTC", "count": "200", "to": "2026-01-01T00:00:00Z"}
    assert "to" not in protocol.candles_call(BTC, Timeframe.D1, 1, None).query


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_bound_between_two_seconds_loses_no_slot(to):
    """The exchange reads whole seconds: rounding down would hide the slot that opened within the last one."""
    spelled = datetime.fromisoformat(protocol.candles_call(BTC, Timeframe.S1, 1, to).query["to"])

    assert spelled.microsecond == 0
    assert 0 <= (spelled - to).total_seconds() < 1


def test_calls_spell_their_parameters_as_the_exchange_does():
    assert protocol.tickers_call([BTC, ETH]).query == {"markets": "KRW-BTC,KRW-ETH"}
    assert protocol.all_tickers_call(["KRW", "BTC"]).query == {"quote_currencies": "KRW,BTC"}
    assert protocol.trades_call(BTC, 500, before_id=None, days_ago=None).query == {"market": "KRW-BTC", "count": "500"}
    assert protocol.trades_call(BTC, 5, before_id=9, days_ago=2).query["cursor"] == "9"
    assert protocol.orderbooks_call([BTC], count=5, level="10000").query["level"] == "10000"
    assert protocol.instruments_call([BTC]).group == "orderbook"
    assert protocol.markets_call().query == {"is_details": "true"}


@pytest.mark.parametrize(
    ("header", "remaining"),
    [
        ("group=candles; min=600; sec=9", ("candles", 10, 9)),
        ("group=crix-trades; min=300; sec=0", ("crix-trades", 5, 0)),
        ("group=origin; min=6; sec=0", ("origin", 1, 0)),
        ("nonsense", None),
        (None, None),
    ],
)
def test_the_budget_header_is_read_or_ignored(header, remaining):
    found = protocol.read_remaining(header)

    assert (found and (found.group, found.per_second, found.left)) == remaining


def test_a_subscription_names_its_ticket_first_and_its_format_last():
    topics = [
        Topic(DataKind.ORDERBOOK, BTC),
        Topic(DataKind.CANDLE, BTC, Timeframe.H1),
        Topic(DataKind.CANDLE, ETH, Timeframe.H1),
        Topic(DataKind.TRADE, BTC),
    ]

    text = protocol.subscription("t", topics, frame_format="SIMPLE", depth=5, snapshot_only=True)

    assert json.loads(text) == [
        {"ticket": "t"},
        {"type": "candle.60m", "codes": ["KRW-BTC", "KRW-ETH"], "is_only_snapshot": True},
        {"type": "orderbook", "codes": ["KRW-BTC.5"], "is_only_snapshot": True},
        {"type": "trade", "codes": ["KRW-BTC"], "is_only_snapshot": True},
        {"format": "SIMPLE"},
    ]


@pytest.mark.parametrize("timeframe", [Timeframe.D1, Timeframe.W1, Timeframe.MONTH, Timeframe.Y1, None])
def test_days_and_longer_have_no_stream(timeframe):
    with pytest.raises(UnsupportedRequestError, match="streams no"):
        protocol.stream_type(Topic(DataKind.CANDLE, BTC, timeframe))


@given(st.integers(1, 30))
def test_a_book_is_streamed_in_the_smallest_depth_that_holds_it(depth):
    offered = protocol.stream_depth(depth)

    assert offered >= depth
    assert all(other < depth or other >= offered for other in protocol.STREAM_DEPTHS)


@given(st.integers(0, 4_000_000_000))
def test_stamps_are_milliseconds_or_microseconds(second):
    assert to_instant(second * 1000).timestamp() == second
    if second * 1_000_000 >= protocol.MICROSECONDS_FROM:
        assert to_instant(second * 1_000_000) == to_instant(second * 1000)


def read(frame, frame_format="DEFAULT"):
    return FrameReader(frame_format).read(frame if isinstance(frame, (bytes, str)) else json.dumps(frame), LIVE)


@pytest.mark.parametrize("frame_format", ["DEFAULT", "JSON_LIST"])
def test_a_data_frame_is_read_as_text_and_as_bytes(frame_format):
    frame = [TRADE, TRADE] if frame_format == "JSON_LIST" else TRADE

    as_text, as_bytes = read(frame, frame_format), read(json.dumps(frame).encode(), frame_format)

    assert as_text == as_bytes
    assert [item.value.price for item in as_text] == [Decimal("1.5")] * (2 if frame_format == "JSON_LIST" else 1)


@pytest.mark.parametrize("stamp", [-1, 10**30])
def test_a_row_whose_stamp_is_none_takes_no_other_with_it(stamp):
    before, odd, after = read([TRADE, {**TRADE, "timestamp": stamp}, TRADE], "JSON_LIST")

    assert isinstance(odd, Rejected)
    assert odd.topic == before.topic == after.topic
    assert before.value == after.value


@pytest.mark.parametrize(
    "frame",
    [
        {"status": "UP"},
        {"method": "LIST_SUBSCRIPTIONS", "result": [], "ticket": "t"},
        {"mthd": "LIST_SUBSCRIPTIONS", "rslt": [], "tckt": "t"},
        [{"status": "UP"}],
        {"error": {"name": "NO_CODES", "message": "codes field not exists."}},
    ],
)
def test_control_frames_carry_no_data_in_any_format(frame):
    for frame_format in ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"):
        (item,) = read(frame, frame_format)
        assert isinstance(item, ControlFrame)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "candle.1d"},
        {"code": "krw-btc"},
        {"trade_price": None},
        {"trade_price": "NaN"},
        {"trade_price": -1},
        {"trade_price": True},
        {"ask_bid": "BOTH"},
        {"sequential_id": 2**64},
        {"trade_timestamp": 10**30},
    ],
)
def test_a_frame_that_cannot_be_meant_is_rejected_with_its_text(change):
    (item,) = read({**TRADE, **change})

    assert isinstance(item, Rejected)
    assert item.excerpt.startswith('{"type"')


@pytest.mark.parametrize(
    ("change", "topic"),
    [
        ({"trade_price": "NaN"}, Topic(DataKind.TRADE, "KRW-BTC")),
        ({"trade_price": -1}, Topic(DataKind.TRADE, "KRW-BTC")),
        ({"type": "candle.3m"}, Topic(DataKind.CANDLE, "KRW-BTC", Timeframe.M3)),
        ({"type": "candle.1d"}, None),
        ({"code": "krw-btc"}, None),
        ({"code": 7}, None),
    ],
)
def test_what_is_rejected_says_what_it_was_about_if_it_can(change, topic):
    (item,) = read({**TRADE, **change})
    assert item.topic == topic


@given(st.binary(max_size=200))
def test_no_content_whatever_makes_reading_fail(frame):
    for item in read(frame):
        assert isinstance(item, Rejected | ControlFrame)


@pytest.mark.parametrize("frame", [b"\xff\xfe", "[" * 5000, "[]", "{}", "1", '{"status":""}'])
def test_a_frame_that_is_no_frame_is_rejected(frame):
    (item,) = read(frame)

    assert isinstance(item, Rejected)
    assert item.reason.startswith("not a frame")


@pytest.mark.parametrize("text", ["", "today", "2026-03-11T14:40:00+09:00", "9999-12-31T00:00:00"])
def test_the_opening_of_a_candle_is_utc_without_saying_so(text):
    assert to_slot("2026-03-11T14:40:00") == datetime(2026, 3, 11, 14, 40, tzinfo=UTC)
    with pytest.raises(IntegrityError, match="no opening of a candle"):
        to_slot(text)


def test_words_that_upbit_does_not_use_are_refused():
    with pytest.raises(IntegrityError, match="expected ASK or BID"):
        to_taker_side("SELL")
    with pytest.raises(IntegrityError, match="expected RISE, EVEN or FALL"):
        to_change("UP")


def test_an_excerpt_is_one_short_line():
    assert excerpt("a\n  b") == "a b"
    assert excerpt(b"\xff" * 1000) == "\ufffd" * 160 + "…"


def test_a_canary_is_one_level_deep_unless_its_book_is_followed_anyway():
    canary, other = (Topic(DataKind.ORDERBOOK, Symbol(code)) for code in ("KRW-BTC", "KRW-ETH"))
    cheap = json.loads(protocol.subscription("t", [other], canary=canary))
    assert cheap[1] == {"type": "orderbook", "codes": ["KRW-BTC.1", "KRW-ETH"]}
    followed = json.loads(protocol.subscription("t", [canary], canary=canary))
    assert followed[1] == {"type": "orderbook", "codes": ["KRW-BTC"]}
