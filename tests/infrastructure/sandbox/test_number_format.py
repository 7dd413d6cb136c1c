"""Numbers are spelled as captured: by endpoint, by format, to the byte."""

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from market_backbone.infrastructure.sandbox.market.ticks import supported_levels, tick_size
from market_backbone.infrastructure.sandbox.market.values import Bar
from market_backbone.infrastructure.sandbox.number_format import fixed, http_date, java_double, plain, rate
from market_backbone.infrastructure.sandbox.rest import rest_rows
from market_backbone.infrastructure.sandbox.units import UNITS, ms

E8 = 10**8


def e8(text):
    return int(Decimal(text).scaleb(8))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("116539000", "1.16539E8"),
        ("1551410000", "1.55141E9"),
        ("87000.02", "87000.02"),
        ("0.00079276", "7.9276E-4"),
        ("0.0005", "5.0E-4"),
        ("127", "127.0"),
        ("0", "0.0"),
        ("10000000", "1.0E7"),
        ("0.001", "0.001"),
        ("-0.0005", "-5.0E-4"),
    ],
)
def test_java_doubles_have_an_exponent_outside_a_range(value, text):
    assert java_double(e8(value)) == text


def test_plain_numbers_never_have_one():
    assert [plain(e8(text)) for text in ("116233000", "0.00483381", "0.004", "0", "-1.5")] == [
        "116233000", "0.00483381", "0.004", "0", "-1.5"
    ]  # fmt: skip


def test_fixed_numbers_round_half_up():
    assert fixed(e8("103600000")) == "103600000.00000000"
    assert fixed(5, scale=9) == "0.00000001"
    assert fixed(-5, scale=9) == "-0.00000001"
    assert fixed(-1) == "-0.00000001"
    assert rate(e8("1043000"), e8("102417000")) == "0.0101838562"
    assert rate(1, 0) == "0.0000000000"


def test_dates_have_whole_seconds_and_english_names():
    assert http_date(1_773_240_059_999) == "Wed, 11 Mar 2026 14:40:59 GMT"


@pytest.mark.parametrize(
    ("quote", "price", "tick"),
    [
        ("KRW", "2000000", "1000"),
        ("KRW", "999999", "500"),
        ("KRW", "5000", "5"),
        ("KRW", "4999", "1"),
        ("KRW", "100", "1"),
        ("KRW", "99.9", "0.1"),
        ("KRW", "0.000009", "0.00000001"),
        ("USDT", "10", "0.01"),
        ("USDT", "0.00005", "0.00000001"),
        ("BTC", "1", "0.00000001"),
    ],
)
def test_ticks_follow_the_table(quote, price, tick):
    assert tick_size(quote, e8(price)) == e8(tick)


def test_only_won_books_have_levels():
    assert supported_levels("KRW", e8("100000000"))[1] == 10_000 * E8
    assert supported_levels("BTC", E8) == (0,)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("seconds", "1s"), ("minutes", "1m"), ("weeks", "1w"), ("months", "1M"), ("years", "1y"), ("days", "1d")],
)
def test_a_captured_candle_is_spelled_to_the_byte(recorded, name, unit):
    body = (recorded / "rest" / "etag-verified" / f"get_candles_{name}.body.json").read_bytes()
    row = json.loads(body, parse_float=Decimal)[0]
    prices = (
        e8(row[key]) for key in ("opening_price", "high_price", "low_price", "trade_price", "candle_acc_trade_volume")
    )
    start = ms(datetime.fromisoformat(row["candle_date_time_utc"]).replace(tzinfo=UTC))
    bar = Bar(start, *prices, int(row["candle_acc_trade_price"].scaleb(16)), 0, row["timestamp"], 1)
    extra = rest_rows.day_fields(bar, e8(row["prev_closing_price"]), None) if name == "days" else ""
    assert rest_rows.array([rest_rows.candle_row("KRW-BTC", UNITS[unit], bar, korean=True, extra=extra)]) == body


def test_captured_etags_are_the_hash_that_the_sandbox_sends(recorded):
    folder = recorded / "rest" / "etag-verified"
    for each in json.loads((folder / "requests_and_headers.json").read_text()):
        body = (folder / each["file"]).read_bytes()
        assert each["headers"]["ETag"] == f'W/"0{hashlib.md5(body).hexdigest()}"'  # noqa: S324


def test_instruments_are_spelled_to_the_byte(recorded):
    body = (recorded / "rest" / "etag-verified" / "get_orderbook_instruments.body.json").read_bytes()
    assert rest_rows.array([rest_rows.instrument_row("KRW-BTC", e8("103460000"))]) == body


def test_a_captured_reply_has_the_fields_and_the_order_of_ours(recorded, bench):
    folder = recorded / "rest" / "etag-verified"
    ticker = json.loads((folder / "get_tickers.body.json").read_bytes())[0]
    assert list(bench.get("ticker", markets="KRW-BTC")[0]) == list(ticker)
    trade = json.loads((folder / "get_trades.body.json").read_bytes())[0]
    assert list(bench.get("trades/ticks", market="KRW-BTC")[0]) == list(trade)


def test_a_captured_candle_frame_has_the_fields_and_the_order_of_ours(recorded, bench):
    frame = json.loads((recorded / "websocket" / "candles" / "stream.CANDLE_SNAPSHOT.json").read_text())
    wire = bench.session()
    wire.send({"type": "candle.1m", "codes": ["KRW-BTC"]})
    assert list(wire.run(1)[0]) == list(frame)


def test_captured_frames_have_the_fields_and_the_order_of_ours(recorded, bench):
    for line in (recorded / "websocket" / "verbatim-frames.jsonl").read_text().splitlines():
        raw = json.loads(line)["raw"]
        frame = json.loads(raw)
        kind = frame.get("type") or frame.get("ty")
        if kind is None:
            continue
        wire = bench.session()
        wire.send({"type": kind, "codes": ["KRW-BTC"]}, shape="SIMPLE" if "ty" in frame else "DEFAULT")
        ours = wire.run(1)[0]
        assert list(ours) == list(frame)
        units = "obu" if "ty" in frame else "orderbook_units"
        if units in frame:
            assert list(ours[units][0]) == list(frame[units][0])
