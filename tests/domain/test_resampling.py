"""Longer candles are exact aggregates of shorter ones, and never claim more than is known."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import (
    Candle,
    CandleSeries,
    Coverage,
    Finality,
    Reason,
    SealedBy,
    Symbol,
    Timeframe,
    TimeRange,
    UnsupportedRequestError,
)
from market_backbone.domain.resampling import is_made_of, resample

START = datetime(2026, 11, 2, tzinfo=UTC)
BTC = Symbol("KRW-BTC")


def minute_candle(minute, price, volume, quote_volume=Decimal(1)):
    return Candle(
        venue="test", symbol=BTC, timeframe=Timeframe.M1, opened_at=START + timedelta(minutes=minute),
        open=Decimal(price), high=Decimal(price + 2), low=Decimal(price - 2), close=Decimal(price + 1),
        volume=Decimal(volume), quote_volume=quote_volume,
        source="rest", finality=Finality.FINAL, sealed_by=SealedBy.REST,
    )  # fmt: skip


def minutes_of(rows, proven=240):
    asked = TimeRange(START, START + timedelta(minutes=240))
    known = TimeRange(START, START + timedelta(minutes=proven))
    candles = [minute_candle(minute, price, volume) for minute, (price, volume) in rows.items()]
    return CandleSeries.of("test", BTC, Timeframe.M1, candles, Coverage(asked=asked, proven=(known,)))


ROWS = st.dictionaries(st.integers(0, 239), st.tuples(st.integers(10, 99), st.integers(1, 9)), max_size=60)


@given(ROWS)
def test_going_by_five_minutes_or_straight_gives_the_same_quarter_hours(rows):
    series = minutes_of(rows)
    assert list(resample(resample(series, Timeframe.M5), Timeframe.M15)) == list(resample(series, Timeframe.M15))


@given(ROWS)
def test_nothing_is_added_and_nothing_is_lost(rows):
    series = minutes_of(rows)
    hours = resample(series, Timeframe.H1)
    assert sum(candle.volume for candle in hours) == sum(volume for _, volume in rows.values())
    assert {candle.opened_at for candle in hours} == {Timeframe.H1.floor(candle.opened_at) for candle in series}
    assert not any(candle.is_final for candle in hours)
    assert {candle.source for candle in hours} <= {"derived"}


def test_a_slot_that_is_known_in_part_only_is_still_forming_and_not_covered():
    series = minutes_of({0: (10, 1), 61: (11, 1)}, proven=90)
    hours = resample(series, Timeframe.H1)
    assert [candle.finality for candle in hours] == [Finality.CLOSED, Finality.FORMING]
    assert hours.coverage.proven == (TimeRange(START, START + timedelta(hours=1)),)


def test_open_high_low_close_come_from_the_first_the_extremes_and_the_last():
    (hour,) = resample(minutes_of({1: (10, 1), 5: (50, 2), 9: (20, 3)}), Timeframe.H1)
    assert (hour.open, hour.high, hour.low, hour.close, hour.volume, hour.quote_volume) == (10, 52, 8, 21, 6, 3)


def test_unknown_turnover_stays_unknown():
    candles = [minute_candle(0, 10, 1), minute_candle(1, 10, 1, None)]
    span = TimeRange(START, START + timedelta(minutes=5))
    series = CandleSeries.of("test", BTC, Timeframe.M1, candles, Coverage(asked=span, proven=(span,)))
    assert resample(series, Timeframe.M5)[0].quote_volume is None


@pytest.mark.parametrize(
    ("longer", "shorter", "expected"),
    [
        ("1h", "1m", True), ("1d", "1m", True), ("1w", "1d", True), ("1M", "1d", True), ("1y", "1M", True),
        ("5m", "3m", False), ("10m", "3m", False), ("1M", "1w", False), ("1y", "1w", False), ("1m", "1h", False),
        ("1m", "1m", True), ("1y", "4h", True),
        ("15m", "10m", False), ("1M", "1M", True),
    ],
)  # fmt: skip
def test_only_whole_slots_make_longer_ones(longer, shorter, expected):
    assert is_made_of(Timeframe(longer), Timeframe(shorter)) is expected


def test_a_timeframe_that_does_not_fit_is_refused():
    with pytest.raises(UnsupportedRequestError, match="cannot be made"):
        resample(resample(minutes_of({0: (10, 1)}), Timeframe.M3), Timeframe.M5)


def test_the_recorded_three_minute_candles_are_the_aggregate_of_the_recorded_minutes(recorded):
    def rows_of(name):
        return json.loads((recorded / "candles" / name).read_bytes(), parse_float=Decimal)

    minutes = rows_of("upbit_1m_20200220_170000-20200220_202000.json")
    expected = {row["candle_date_time_utc"]: row for row in rows_of("upbit_3m_20200220_170000-20200220_200000.json")}
    candles = [
        Candle(
            venue="test", symbol=BTC, timeframe=Timeframe.M1,
            opened_at=datetime.fromisoformat(row["candle_date_time_utc"]).replace(tzinfo=UTC),
            open=row["opening_price"], high=row["high_price"], low=row["low_price"], close=row["trade_price"],
            volume=row["candle_acc_trade_volume"], quote_volume=row["candle_acc_trade_price"],
            source="rest", finality=Finality.FINAL, sealed_by=SealedBy.REST,
        )
        for row in minutes
    ]  # fmt: skip
    opened = sorted(candle.opened_at for candle in candles)
    span = TimeRange(opened[0], opened[-1] + timedelta(minutes=1))
    series = CandleSeries.of("test", BTC, Timeframe.M1, candles, Coverage(asked=span, proven=(span,)))
    made = {f"{candle.opened_at:%Y-%m-%dT%H:%M:%S}": candle for candle in resample(series, Timeframe.M3)}
    assert len(expected) == 60
    for name, row in expected.items():
        candle = made[name]
        assert (candle.open, candle.high, candle.low, candle.close) == (
            row["opening_price"], row["high_price"], row["low_price"], row["trade_price"],
        )  # fmt: skip
        assert candle.volume == row["candle_acc_trade_volume"]


@given(ROWS)
def test_what_is_filled_forward_adds_nothing_to_longer_candles(rows):
    series = minutes_of(rows)
    filled = series.fill_forward()
    for timeframe in (Timeframe.M5, Timeframe.H1):
        assert resample(filled, timeframe) == resample(series, timeframe)
    assert filled.drop_empty() == series
    assert not any(candle.is_empty for candle in resample(filled, Timeframe.H1))


@given(st.integers(1, 23), st.integers(1, 59))
def test_the_day_of_a_listing_is_whole_although_nothing_was_before(hour, minute):
    listed = START + timedelta(hours=hour, minutes=minute)
    day = TimeRange(START, START + timedelta(days=1))
    rows = [minute_candle(hour * 60 + minute, 20, 1)]
    coverage = Coverage(asked=day, proven=(TimeRange(listed, day.end),)).explain(
        TimeRange(START, listed), Reason.BEFORE_LISTING
    )
    series = CandleSeries.of("test", BTC, Timeframe.M1, rows, coverage)
    (candle,) = resample(series, Timeframe.D1)
    assert candle.finality is Finality.CLOSED
    unknown = CandleSeries.of("test", BTC, Timeframe.M1, rows, Coverage(asked=day, proven=coverage.proven))
    assert resample(unknown, Timeframe.D1)[0].finality is Finality.FORMING
