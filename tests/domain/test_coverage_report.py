"""Completeness in figures agrees with the ranges that a series tells."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from market_backbone import Candle, CandleSeries, Completeness, Coverage, Finality, Symbol, Timeframe, TimeRange
from market_backbone.domain.coverage import Reason

START = datetime(2026, 11, 1, tzinfo=UTC)
ONE = Decimal(1)


def minute(number):
    return START + timedelta(minutes=number)


def candle(number):
    return Candle(
        venue="test", symbol=Symbol("KRW-BTC"), timeframe=Timeframe.M1, opened_at=minute(number), open=ONE, high=ONE,
        low=ONE, close=ONE, volume=ONE, quote_volume=None, updated_at=None, source="rest", finality=Finality.CLOSED,
    )  # fmt: skip


def spans():
    bounds = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted)
    return st.lists(bounds.map(lambda pair: TimeRange(minute(pair[0]), minute(pair[1]))), max_size=4)


@given(st.sets(st.integers(0, 39)), spans(), spans(), st.timedeltas(timedelta(0), timedelta(seconds=59)))
def test_the_figures_are_those_of_gaps_and_quiet_ranges(rows, proven, delisted, ragged):
    coverage = Coverage(asked=TimeRange(START, minute(40) - ragged), proven=tuple(proven))
    for span in delisted:
        coverage = coverage.explain(span, Reason.BEFORE_LISTING)
    series = CandleSeries.of("test", Symbol("KRW-BTC"), Timeframe.M1, map(candle, rows), coverage)

    def slots(ranges):
        return sum(Timeframe.M1.count_slots(part.span) for part in ranges)

    found = series.completeness()
    assert (found.received, found.unknown, found.quiet) == (len(rows), slots(series.gaps()), slots(series.quiet()))
    assert found.expected == found.received + found.quiet + found.unknown == 40


def test_two_series_together_are_the_sum_of_both():
    one = Completeness(expected=4, received=2, quiet=1, unknown=1)
    assert dict((one + one).by_state()) == {"expected": 8, "received": 4, "quiet": 2, "unknown": 2}
