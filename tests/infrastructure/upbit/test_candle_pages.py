"""A page that is taken at once is the page that is taken row by row."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import Finality, Symbol, Timeframe
from market_backbone.infrastructure.upbit import rest_decoding as replies
from market_backbone.infrastructure.upbit.candle_pages import PageOrigin, sound_columns

START = datetime(2026, 3, 11, tzinfo=UTC)
ORIGIN = PageOrigin(
    venue="upbit-kr",
    symbol=Symbol("KRW-BTC"),
    timeframe=Timeframe.M1,
    source="rest",
    read_at=START + timedelta(minutes=30),
    received_by=START + timedelta(minutes=31),
    grace=timedelta(seconds=5),
)


def row(minute, **fields):
    at = START + timedelta(minutes=minute)
    return replies.CandleRow(
        **{
            "candle_date_time_utc": at.strftime("%Y-%m-%dT%H:%M:%S"),
            "opening_price": Decimal(100),
            "high_price": Decimal("100.5"),
            "low_price": Decimal("99.00000001"),
            "trade_price": Decimal(100),
            "timestamp": int(at.timestamp() * 1000) + 59_132,
            "candle_acc_trade_price": Decimal("17343033068679.96786"),
            "candle_acc_trade_volume": Decimal("0.00000001"),
            "market": "KRW-BTC",
        }
        | fields
    )


def spelled(number):
    """Write a number as REST does: eight decimals, or as many as it has."""
    if not number.is_finite() or number.adjusted() > 100:
        return str(number)
    return f"{number:.8f}" if Decimal(f"{number:.8f}") == number else f"{number:f}"


def body_of(rows):
    """Return the answer that holds these rows."""
    texts = []
    for one in rows:
        fields = ", ".join(
            f'"{name}": {spelled(value) if isinstance(value, Decimal) else json.dumps(value)}'
            for name, value in msgspec.structs.asdict(one).items()
        )
        texts.append(f"{{{fields}}}")
    return f"[{', '.join(texts)}]".encode()


def newest_first(*minutes, **fields):
    return [row(minute, **fields) for minute in sorted(minutes, reverse=True)]


amounts = st.integers(0, 10**17).map(lambda units: Decimal(units).scaleb(-8))
prices = st.lists(amounts, min_size=4, max_size=4).map(sorted)


@st.composite
def rows_of_a_page(draw):
    rows = newest_first(*draw(st.sets(st.integers(0, 31), min_size=1)))
    for one in rows:
        one.low_price, one.opening_price, one.trade_price, one.high_price = draw(prices)
        one.candle_acc_trade_volume = draw(amounts)
        one.candle_acc_trade_price = draw(amounts)
    return rows


@given(rows_of_a_page())
def test_it_holds_the_same_candles_as_row_by_row(rows):
    body = body_of(rows)
    at_once = sound_columns(body, evolve(ORIGIN, received_by=None))
    one_by_one = replies.page_row_by_row(replies.decode_candles(body), evolve(ORIGIN, received_by=None))

    if at_once is not None:  # turnovers may be too large for a column
        assert one_by_one.rejections == ()
        assert replies.CandlePage(at_once).candles == one_by_one.candles
        assert (at_once.marks, list(at_once.mark)) == (one_by_one.columns.marks, list(one_by_one.columns.mark))


def test_a_page_is_as_final_as_each_of_its_slots():
    columns = sound_columns(body_of(newest_first(27, 28, 29, 30, candle_acc_trade_price=Decimal(1))), ORIGIN)

    found = [candle.finality for candle in replies.CandlePage(columns).candles]
    assert found == [Finality.FINAL, Finality.FINAL, Finality.CLOSED, Finality.FORMING]


@pytest.mark.parametrize(
    "fields",
    [
        {"low_price": Decimal("100.1")},
        {"high_price": Decimal("99.9")},
        {"candle_acc_trade_volume": Decimal(-1)},
        {"candle_acc_trade_price": Decimal(-1)},
        {"opening_price": Decimal("NaN")},
        {"high_price": Decimal("Infinity")},
        {"high_price": Decimal("1e999999999")},
        {"high_price": Decimal("1." + "1" * 150)},
        {"candle_acc_trade_volume": Decimal("0.000000001")},
        {"candle_acc_trade_price": Decimal(10**12)},
        {"candle_acc_trade_price": Decimal("92233720368.54775808")},
        {"timestamp": -1},
        {"timestamp": 10**15},
        {"candle_date_time_utc": "yesterday"},
        {"candle_date_time_utc": "2026-03-11T00:03:30"},
        {"candle_date_time_utc": "2026-03-11T00:03:00.5"},
        {"candle_date_time_utc": "2026-03-11T00:03:00+00:00"},
        {"market": "KRW-ETH"},
        {"candle_date_time_utc": "2026-03-11T00:02:00"},
        {"candle_date_time_utc": "2026-03-11T00:59:00"},
        {"candle_date_time_utc": "1969-03-11T00:03:00"},
    ],
)
def test_a_page_with_one_odd_row_is_left_to_whoever_looks_at_each(fields):
    sound = {"candle_acc_trade_price": Decimal(1)}
    assert sound_columns(body_of(newest_first(1, 2, 3, 4, **sound)), ORIGIN) is not None
    odd = [*newest_first(4, **sound), row(3, **(sound | fields)), *newest_first(1, 2, **sound)]
    assert sound_columns(body_of(odd), ORIGIN) is None


def test_rows_in_another_order_and_slots_of_other_widths_are_left_as_well():
    assert sound_columns(body_of(newest_first(1, 2)[::-1]), ORIGIN) is None
    assert sound_columns(b"[]", ORIGIN) is None
    assert sound_columns(body_of(newest_first(0)), evolve(ORIGIN, timeframe=Timeframe.MONTH)) is None


SOUND = body_of(newest_first(1, 2, 3, 4, candle_acc_trade_price=Decimal(1), candle_acc_trade_volume=Decimal(7)))


@pytest.mark.parametrize(
    ("opening", "high"),
    [
        ("100", "150000000"),  # one dot less in two texts: together they look like 100.50000000
        ("100.0", "100.50000000"),
        ("1e2", "100.50000000"),
        ("100.00000000e0", "100.50000000"),
        ("100.000000000", "100.50000000"),
        ("-100.00000000", "100.50000000"),
        ('"100.00000000"', "100.50000000"),
        ("[100.00000000]", "100.50000000"),
        ("null", "100.50000000"),
        ("100.00000000, 1", "100.50000000"),
        ("0100.00000000", "100.50000000"),
        ("100.", "100.50000000"),
    ],
)
def test_only_a_page_of_figures_with_eight_decimals_is_taken_at_once(opening, high):
    texts = b'"opening_price": 100.00000000', b'"high_price": 100.50000000'
    assert sound_columns(SOUND, ORIGIN) is not None
    odd = SOUND.replace(texts[0], f'"opening_price": {opening}'.encode(), 1)
    odd = odd.replace(texts[1], f'"high_price": {high}'.encode(), 1)

    assert odd != SOUND
    assert sound_columns(odd, ORIGIN) is None


def test_figures_below_one_and_of_sixteen_digits_keep_every_digit():
    rows = newest_first(5, candle_acc_trade_price=Decimal("92233720367.54775807"))
    (candle,) = replies.CandlePage(sound_columns(body_of(rows), ORIGIN)).candles

    assert (candle.volume, candle.quote_volume) == (Decimal("0.00000001"), Decimal("92233720367.54775807"))
    assert (candle.low, candle.high) == (Decimal("99.00000001"), Decimal("100.5"))


def test_two_whole_numbers_are_never_taken_for_one_with_decimals():
    whole = {name: Decimal(100) for name in ("opening_price", "low_price", "candle_acc_trade_volume")}
    whole |= {name: Decimal(150_000_000) for name in ("high_price", "trade_price", "candle_acc_trade_price")}
    body = body_of(newest_first(3, 4, **whole)).replace(b".00000000", b"")

    assert sound_columns(body, ORIGIN) is None
