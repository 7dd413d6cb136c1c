import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.errors import InvalidRangeError
from market_backbone.domain.time_range import TimeRange, clip, subtract, unite
from market_backbone.domain.timestamps import from_micros, from_seconds, to_micros, to_text, to_utc

START = datetime(2026, 1, 1, tzinfo=UTC)
GRID = 24


def hour(number):
    return START + timedelta(hours=number)


spans = st.tuples(st.integers(0, GRID), st.integers(0, GRID)).map(lambda pair: TimeRange(*map(hour, sorted(pair))))
sets = st.lists(spans, max_size=6)


def hours(ranges):
    """The brute-force model: the set of hours that the ranges hold."""
    return {number for number in range(GRID) for span in ranges if hour(number) in span}


@given(sets)
def test_a_union_holds_the_same_instants_in_sorted_pieces_that_do_not_touch(ranges):
    united = unite(ranges)

    assert hours(united) == hours(ranges)
    assert all(older.end < newer.start for older, newer in itertools.pairwise(united))
    assert all(united)


@given(sets, spans)
def test_clipping_keeps_what_lies_inside_the_window(ranges, window):
    assert hours(clip(ranges, window)) == hours(ranges) & hours([window])


@given(spans, sets)
def test_subtraction_leaves_what_is_not_known_oldest_first(window, known):
    left = list(subtract(window, known))

    assert hours(left) == hours([window]) - hours(known)
    assert left == list(unite(left))


@given(spans, spans)
def test_an_intersection_is_what_both_share_or_nothing(one, other):
    shared = one.intersect(other)

    assert hours([shared] if shared else []) == hours([one]) & hours([other])
    assert one.intersect(other) == other.intersect(one)


@given(spans)
def test_a_range_without_instants_is_false(span):
    assert bool(span) == bool(hours([span]))


def test_bounds_are_taken_to_utc_and_printed_half_open():
    korean = timezone(timedelta(hours=9))

    span = TimeRange(datetime(2026, 1, 1, 9, tzinfo=korean), datetime(2026, 1, 1, 10, tzinfo=korean))

    assert span == TimeRange(hour(0), hour(1))
    assert str(span) == "[2026-01-01T00:00:00Z, 2026-01-01T01:00:00Z)"


def test_a_range_never_runs_backwards():
    with pytest.raises(InvalidRangeError, match="swap them"):
        TimeRange(hour(1), hour(0))


@pytest.mark.parametrize("bound", [datetime(2026, 1, 1), "2026-01-01", None])
def test_a_bound_that_is_no_instant_is_refused(bound):
    with pytest.raises(InvalidRangeError, match="a bound of a range must"):
        TimeRange(bound, hour(1))


def test_an_instant_beyond_the_calendar_is_refused():
    with pytest.raises(InvalidRangeError, match="outside the years"):
        to_utc(datetime.min.replace(tzinfo=timezone(timedelta(hours=9))))


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_and_back_lose_nothing(at):
    assert from_micros(to_micros(at)) == at


def test_seconds_are_taken_to_the_microsecond_and_text_ends_in_z():
    assert from_seconds(1773240059.132) == datetime(2026, 3, 11, 14, 40, 59, 132000, tzinfo=UTC)
    assert to_text(datetime(2026, 3, 11, 9, tzinfo=timezone(timedelta(hours=9)))) == "2026-03-11T00:00:00Z"
