import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from market_backbone.domain.candle import Candle
from market_backbone.domain.columns import DecimalColumn
from market_backbone.domain.coverage import Coverage
from market_backbone.domain.errors import UnsupportedRequestError
from market_backbone.domain.finality import Finality
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.series_export import CHUNK, _floats
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe

START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = ["open", "high", "low", "close", "volume", "quote_volume"]
OUTSIZED = Decimal("123456789012345678901234567890.123456789")


def series(*volumes, last=None):
    """Candles of the first minutes; up to minute ``last`` it is known that nothing was traded."""
    coverage = Coverage.nothing(START)
    if last is not None:
        asked = TimeRange(START, START + timedelta(minutes=last + 1))
        coverage = Coverage(asked=asked, proven=(asked,))
    candles = [
        Candle(
            venue="upbit-kr",
            symbol=Symbol("KRW-BTC"),
            timeframe=Timeframe.M1,
            opened_at=START + timedelta(minutes=row),
            open=Decimal("1.1"),
            high=Decimal("1.3"),
            low=Decimal("1.0"),
            close=Decimal("1.2"),
            volume=Decimal(volume),
            quote_volume=None if row else Decimal("17343033068679.96786000"),
            source="rest",
            finality=Finality.CLOSED,
        )
        for row, volume in enumerate(volumes)
    ]
    return CandleSeries.of("upbit-kr", Symbol("KRW-BTC"), Timeframe.M1, candles, coverage)


def test_pandas_gets_a_frame_indexed_by_opening_in_utc():
    frame = series("0.5", "0.25").to_pandas()

    assert list(frame.columns) == NUMBERS
    assert frame.index.name == "opened_at"
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert str(frame.index.dtype) == "datetime64[us, UTC]"
    assert list(frame.index) == [START, START + timedelta(minutes=1)]
    assert set(map(str, frame.dtypes)) == {"float64"}
    assert list(frame["volume"]) == [0.5, 0.25]
    assert frame["quote_volume"].isna().tolist() == [False, True]


def test_pandas_gets_exact_decimals_on_request():
    frame = series("0.1", OUTSIZED).to_pandas(exact=True)

    assert list(frame["volume"]) == [Decimal("0.1"), OUTSIZED]
    assert frame["quote_volume"].iloc[0] == Decimal("17343033068679.96786")
    assert frame["quote_volume"].iloc[1] is None


def test_polars_gets_a_column_of_openings_in_utc_first():
    frame = series("0.5", "0.25").to_polars()

    assert frame.columns == ["opened_at", *NUMBERS]
    assert frame.schema["opened_at"] == pl.Datetime("us", "UTC")
    assert {frame.schema[name] for name in NUMBERS} == {pl.Float64}
    assert frame["opened_at"].to_list() == [START, START + timedelta(minutes=1)]


def test_polars_gets_exact_decimals_and_text_where_one_does_not_fit():
    exact = series("0.1", "0.2").to_polars(exact=True)
    outsized = series("0.1", OUTSIZED).to_polars(exact=True)

    assert exact.schema["volume"] == pl.Decimal(38, 8)
    assert exact["volume"].to_list() == [Decimal("0.1"), Decimal("0.2")]
    assert exact["quote_volume"].to_list() == [Decimal("17343033068679.96786"), None]
    assert outsized.schema["volume"] == pl.String
    assert [Decimal(text) for text in outsized["volume"]] == [Decimal("0.1"), OUTSIZED]


def test_arrow_gets_a_table_with_openings_in_utc_first():
    table = series("0.5", "0.25").to_arrow()

    assert table.column_names == ["opened_at", *NUMBERS]
    assert table.schema.field("opened_at").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("close").type == pa.float64()
    assert table["quote_volume"].null_count == 1
    assert table["opened_at"].to_pylist() == [START, START + timedelta(minutes=1)]


def test_arrow_gets_exact_decimals_and_text_where_one_does_not_fit():
    exact = series("0.1", "0.2").to_arrow(exact=True)
    outsized = series("0.1", OUTSIZED).to_arrow(exact=True)

    assert exact.schema.field("volume").type == pa.decimal128(38, 8)
    assert exact["quote_volume"].to_pylist() == [Decimal("17343033068679.96786"), None]
    assert [Decimal(text) for text in outsized["volume"].to_pylist()] == [Decimal("0.1"), OUTSIZED]
    assert outsized["quote_volume"].to_pylist()[1] is None


def test_numpy_gets_a_structured_array_with_openings_first():
    rows = series("0.5", "0.25").to_numpy()

    assert rows.dtype.names == ("opened_at", *NUMBERS)
    assert rows["opened_at"].tolist() == [datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 1)]
    assert rows["volume"].tolist() == [0.5, 0.25]
    assert np.isnan(rows["quote_volume"][1])


def test_numpy_gets_exact_decimals_on_request():
    assert series("0.1", OUTSIZED).to_numpy(exact=True)["volume"].tolist() == [Decimal("0.1"), OUTSIZED]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("leave", ["to_pandas", "to_polars", "to_arrow", "to_numpy"])
def test_a_series_without_candles_leaves_with_the_same_columns(leave, exact):
    empty, full = (getattr(one, leave)(exact=exact) for one in (series(), series("1")))

    assert len(empty) == 0
    if leave == "to_pandas":
        assert (list(empty.columns), str(empty.index.dtype)) == (NUMBERS, "datetime64[us, UTC]")
        assert (list(empty.columns), empty.index.name) == (list(full.columns), full.index.name)
        assert str(empty.index.dtype) == str(full.index.dtype)
        assert list(empty.dtypes) == list(full.dtypes)
    elif leave == "to_numpy":
        assert empty.dtype == full.dtype
    else:
        assert empty.schema == full.schema


beyond_a_float = st.integers(2**53, 2**63 - 1)
between_two_floats = st.builds(  # as near to the middle between two floats as units of 1e-8 come
    lambda half, scale, off: ((2 * half + 1) * 10**8 >> scale) + off,
    st.integers(2**52, 2**53 - 1),
    st.integers(18, 28),
    st.integers(0, 1),
).filter(lambda units: units < 2**63)
any_units = st.integers(-(2**63) + 1, 2**63 - 1) | beyond_a_float | between_two_floats


@given(st.lists(any_units | st.none(), max_size=50) | st.lists(st.integers(2**53 - 9, 2**63 - 1), min_size=1))
@example([2**53 + 1, 2**63 - 1])
@example([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 1 - 2**63, None, 0])
def test_floats_made_by_numpy_are_those_that_are_made_one_by_one(given_units):
    column = DecimalColumn.of(None if units is None else Decimal(units).scaleb(-8) for units in given_units)

    assert np.array_equal(_floats(column), np.array(column.to_floats(), "f8"), equal_nan=True)


def test_openings_that_are_held_as_a_range_leave_like_all_others():
    wide = series(*["0.5"] * 3)
    opened = wide.columns.opened
    narrow = evolve(wide, columns=evolve(wide.columns, opened=range(opened[0], opened[-1] + 60_000_000, 60_000_000)))

    assert narrow.to_polars().equals(wide.to_polars())
    assert narrow.to_arrow().equals(wide.to_arrow())
    assert narrow.to_pandas().equals(wide.to_pandas())
    assert narrow.to_numpy().tobytes() == wide.to_numpy().tobytes()
    assert list(narrow) == list(wide)


def test_a_table_that_is_changed_leaves_the_series_as_it_was():
    wide = series(*["0.5"] * 3)
    before = list(wide)

    opened = wide.to_polars()["opened_at"]
    opened[0] = START + timedelta(days=1)
    pandas = wide.to_pandas()
    pandas.iloc[0, 0] = 7.0
    wide.to_numpy()["opened_at"][:] = 0

    assert list(wide) == before
    assert wide.to_polars()["opened_at"][0] == START


def test_a_structured_array_of_several_chunks_is_made_whole():
    rows = [str(row) for row in range(CHUNK + 3)]
    rows[5] = rows[CHUNK + 1] = str(OUTSIZED)

    table = series(*rows).to_numpy()

    assert table["volume"].tolist() == [*map(float, rows)]
    assert table["opened_at"].tolist() == [
        (START + timedelta(minutes=row)).replace(tzinfo=None) for row in range(len(rows))
    ]


def test_a_column_of_several_chunks_is_made_whole():
    numbers = [Decimal(row) for row in range(CHUNK + 3)]
    column = DecimalColumn.of([*numbers, OUTSIZED, None])

    assert _floats(column).tolist()[:-1] == [*map(float, numbers), float(OUTSIZED)]
    assert np.isnan(_floats(column)[-1])


@pytest.mark.parametrize("leave", ["to_polars", "to_arrow"])
def test_libraries_that_do_without_numpy_get_the_same_without_it(monkeypatch, leave):
    with_numpy = getattr(series("0.5", OUTSIZED), leave)()
    monkeypatch.setattr(
        "market_backbone.domain.series_export.import_module",
        lambda name: sys.modules[name] if name != "numpy" else (_ for _ in ()).throw(ModuleNotFoundError(name)),
    )

    assert getattr(series("0.5", OUTSIZED), leave)().equals(with_numpy)


def filled():
    return series("0.5", last=2).fill_forward()


def test_pandas_gets_fillers_like_any_candle():
    frame = filled().to_pandas()

    assert list(frame.columns) == NUMBERS
    assert (frame.index.name, str(frame.index.dtype)) == ("opened_at", "datetime64[us, UTC]")
    assert list(frame.index) == [START + timedelta(minutes=row) for row in range(3)]
    assert set(map(str, frame.dtypes)) == {"float64"}
    assert list(frame["open"]) == [1.1, 1.2, 1.2]
    assert list(frame["volume"]) == [0.5, 0.0, 0.0]


def test_polars_gets_fillers_like_any_candle():
    frame, exact = filled().to_polars(), filled().to_polars(exact=True)

    assert frame.schema["opened_at"] == pl.Datetime("us", "UTC")
    assert {frame.schema[name] for name in NUMBERS} == {pl.Float64}
    assert frame["volume"].to_list() == [0.5, 0.0, 0.0]
    assert {exact.schema[name] for name in NUMBERS} == {pl.Decimal(38, 8)}
    assert exact["close"].to_list() == [Decimal("1.2")] * 3


def test_arrow_gets_fillers_like_any_candle():
    table, exact = filled().to_arrow(), filled().to_arrow(exact=True)

    assert table.schema.field("opened_at").type == pa.timestamp("us", tz="UTC")
    assert {table.schema.field(name).type for name in NUMBERS} == {pa.float64()}
    assert table["volume"].to_pylist() == [0.5, 0.0, 0.0]
    assert {exact.schema.field(name).type for name in NUMBERS} == {pa.decimal128(38, 8)}


def test_numpy_gets_fillers_like_any_candle():
    rows = filled().to_numpy()

    assert rows.dtype == series("1").to_numpy().dtype
    assert rows["volume"].tolist() == [0.5, 0.0, 0.0]
    assert rows["opened_at"].dtype == np.dtype("M8[us]")


@pytest.mark.parametrize(
    ("leave", "library", "extra"),
    [
        ("to_pandas", "pandas", "pandas"),
        ("to_polars", "polars", "polars"),
        ("to_arrow", "pyarrow", "arrow"),
        ("to_numpy", "numpy", "numpy"),
    ],
)
def test_a_missing_library_says_what_to_install(monkeypatch, leave, library, extra):
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(UnsupportedRequestError, match=rf"pip install 'market-backbone\[{extra}\]'"):
        getattr(series("1"), leave)()
