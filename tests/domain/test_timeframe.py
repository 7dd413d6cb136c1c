from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.errors import InvalidRangeError, UnsupportedRequestError
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe

timeframes = st.sampled_from(list(Timeframe))
instants = st.datetimes(
    datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=9))])
)


@given(timeframes, instants)
def test_an_instant_lies_in_its_slot_and_openings_are_fixed_points(timeframe, at):
    opened_at, following = timeframe.floor(at), timeframe.next(at)

    assert opened_at <= at < following
    assert timeframe.floor(opened_at) == opened_at
    assert timeframe.floor(following) == following
    assert opened_at.utcoffset() == timedelta(0)


@given(timeframes, instants)
def test_next_and_previous_undo_each_other(timeframe, at):
    opened_at = timeframe.floor(at)

    assert timeframe.next(timeframe.previous(at)) == opened_at
    assert timeframe.previous(timeframe.next(at)) == opened_at


@given(timeframes, instants)
def test_ceil_is_the_first_opening_that_is_not_earlier(timeframe, at):
    up = timeframe.ceil(at)

    assert timeframe.is_on_grid(up)
    assert timeframe.previous(up) < at <= up


@given(timeframes, instants, st.integers(0, 40), st.data())
def test_slots_are_every_opening_inside_and_their_count_needs_no_walk(timeframe, start, slots, data):
    end = start
    for _ in range(slots):
        end = timeframe.next(end)
    end = data.draw(
        st.sampled_from([end, max(start, end - timedelta(microseconds=1)), end + timedelta(microseconds=1)])
    )
    span = TimeRange(start, end)

    walked = list(timeframe.slots(span))

    assert timeframe.count_slots(span) == len(walked)
    assert all(span.start <= slot < span.end for slot in walked)
    assert [timeframe.next(slot) for slot in walked[:-1]] == walked[1:]
    if walked:
        assert timeframe.previous(walked[0]) < span.start
        assert timeframe.next(walked[-1]) >= span.end


@given(timeframes, instants)
def test_no_slot_is_narrower_than_the_nominal_width(timeframe, at):
    width = timeframe.next(at) - timeframe.floor(at)

    assert width >= timeframe.nominal_width
    assert (width == timeframe.nominal_width) or not timeframe.is_fixed


@pytest.mark.parametrize(
    ("timeframe", "opened_at"),
    [
        ("4h", datetime(2026, 3, 11, 12, tzinfo=UTC)),
        ("1d", datetime(2026, 3, 11, tzinfo=UTC)),
        ("1w", datetime(2026, 3, 9, tzinfo=UTC)),
        ("1M", datetime(2026, 3, 1, tzinfo=UTC)),
        ("1y", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_grid_is_the_one_that_the_exchange_showed_on_a_captured_day(timeframe, opened_at):
    assert Timeframe(timeframe).floor(datetime(2026, 3, 11, 14, 40, 59, tzinfo=UTC)) == opened_at


def test_a_leap_february_and_the_turn_of_a_year_are_whole_slots():
    assert Timeframe.MONTH.next(datetime(2024, 2, 29, 23, tzinfo=UTC)) == datetime(2024, 3, 1, tzinfo=UTC)
    assert Timeframe.MONTH.next(datetime(2025, 12, 31, tzinfo=UTC)) == datetime(2026, 1, 1, tzinfo=UTC)
    assert Timeframe.Y1.previous(datetime(2024, 5, 1, tzinfo=UTC)) == datetime(2023, 1, 1, tzinfo=UTC)


def test_the_earliest_instant_that_python_knows_still_has_a_slot():
    first = datetime.min.replace(tzinfo=UTC)

    assert {timeframe.floor(first) for timeframe in Timeframe} == {first}


def test_a_naive_instant_belongs_to_no_slot():
    with pytest.raises(InvalidRangeError, match="naive"):
        Timeframe.M1.floor(datetime(2026, 1, 1))


@pytest.mark.parametrize(("alias", "timeframe"), [("60m", "1h"), ("240m", "4h"), ("1M", "1M"), ("1m", "1m")])
def test_a_timeframe_reads_its_text_and_the_aliases_of_the_exchange(alias, timeframe):
    assert Timeframe.parse(alias) == timeframe
    assert Timeframe.parse(Timeframe.parse(alias)) is Timeframe(timeframe)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("1H", "1h"), ("5M", "5m"), ("1min", "1m"), ("1month", "1M"), ("1 day", "1d"), ("60M", "1h"), ("1year", "1y")],
)
def test_a_misspelt_timeframe_is_answered_with_the_one_that_was_meant(text, hint):
    with pytest.raises(UnsupportedRequestError, match=f"did you mean '{hint}'"):
        Timeframe.parse(text)


@pytest.mark.parametrize("text", ["", "fortnight", 60, None, [], 1.5])
def test_what_is_no_timeframe_at_all_is_refused_with_the_whole_list(text):
    with pytest.raises(UnsupportedRequestError, match="expected one of 1s 1m 3m 5m 10m 15m 30m 1h 4h 1d 1w 1M 1y"):
        Timeframe.parse(text)
