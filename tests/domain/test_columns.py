from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.candle import Candle
from market_backbone.domain.columns import CandleColumns, DecimalColumn
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.timeframe import Timeframe

START = datetime(2026, 1, 1, tzinfo=UTC)
numbers = st.one_of(
    st.none(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.integers(-(2**70), 2**70).map(lambda units: Decimal(units).scaleb(-8)),
    st.builds(lambda digits, shift: Decimal(digits).scaleb(shift), st.integers(0, 10**60), st.integers(-80, 80)),
    st.sampled_from(
        [
            Decimal("17343033068679.96786000"),
            Decimal("92233720368.54775807"),
            Decimal("92233720368.54775808"),
            Decimal("-92233720368.54775808"),
            Decimal("1E-9"),
            Decimal("1E+999999"),
            Decimal("0E-30"),
        ]
    ),
)


@given(st.lists(numbers, max_size=20))
def test_a_column_gives_back_every_number_exactly_whatever_its_size(given_numbers):
    column = DecimalColumn.of(given_numbers)

    assert len(column) == len(given_numbers)
    assert column.to_decimals() == given_numbers
    assert [column.get(row) for row in range(len(column))] == given_numbers


@given(st.lists(numbers, max_size=20), st.integers(0, 20), st.integers(0, 20))
def test_a_slice_of_a_column_is_the_slice_of_its_numbers(given_numbers, start, stop):
    start, stop = min(start, len(given_numbers)), min(stop, len(given_numbers))

    assert DecimalColumn.of(given_numbers).slice(start, stop).to_decimals() == given_numbers[start:stop]


@given(st.lists(numbers, max_size=20))
def test_floats_are_the_nearest_to_the_exact_numbers(given_numbers):
    floats = DecimalColumn.of(given_numbers).to_floats()

    for number, rounded in zip(given_numbers, floats, strict=True):
        assert isnan(rounded) if number is None else rounded == float(number)


def test_ordinary_numbers_cost_eight_bytes_and_only_odd_ones_more():
    column = DecimalColumn.of([Decimal("103600000.00000000"), Decimal("0.00000001"), None, Decimal("1E-9")])

    assert list(column.outsized) == [3]
    assert column.units.itemsize == 8


def test_a_missing_number_is_an_error_where_every_row_has_one():
    with pytest.raises(IndexError, match="row 0"):
        DecimalColumn.of([None]).require(0)


prices = st.decimals(Decimal("1E-12"), Decimal("1E+20"), allow_nan=False, allow_infinity=False)


@st.composite
def candles(draw, size=8):
    made = []
    for row in sorted(draw(st.sets(st.integers(0, 50), max_size=size))):
        low, middle, high = sorted(draw(st.tuples(prices, prices, prices)))
        sealed_by = draw(st.sampled_from([None, *SealedBy]))
        made.append(
            Candle(
                venue="upbit-kr",
                symbol=Symbol("KRW-BTC"),
                timeframe=Timeframe.M1,
                opened_at=START + timedelta(minutes=row),
                open=middle,
                high=high,
                low=low,
                close=draw(st.sampled_from([low, middle, high])),
                volume=draw(prices),
                quote_volume=draw(st.one_of(st.none(), prices)),
                updated_at=draw(st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)))),
                source=draw(st.sampled_from(["rest", "websocket"])),
                finality=Finality.FINAL if sealed_by else draw(st.sampled_from([Finality.FORMING, Finality.CLOSED])),
                sealed_by=sealed_by,
                revision=draw(st.integers(0, 3)),
            )
        )
    return made


@given(candles(), st.data())
def test_candles_come_back_from_columns_and_their_slices_as_they_went_in(made, data):
    columns = CandleColumns.of("upbit-kr", Symbol("KRW-BTC"), Timeframe.M1, made)
    start = data.draw(st.integers(0, len(made)))
    stop = data.draw(st.integers(start, len(made)))

    part = columns.slice(start, stop)

    assert [columns.candle(row) for row in range(len(columns))] == made
    assert [part.candle(row) for row in range(len(part))] == made[start:stop]
