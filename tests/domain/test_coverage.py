from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.coverage import Coverage, ExplainedRange, PageRead, Reason, page_coverage
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe
from market_backbone.domain.timestamps import to_micros

START = datetime(2026, 1, 1, tzinfo=UTC)
HALVES = 40
GRACE = timedelta(seconds=5)


def micros(instants):
    return list(map(to_micros, instants))


def half_minute(number):
    return START + timedelta(seconds=30 * number)


def minute(number, second=0):
    return START + timedelta(minutes=number, seconds=second)


spans = st.tuples(st.integers(0, HALVES), st.integers(0, HALVES)).map(
    lambda pair: TimeRange(*map(half_minute, sorted(pair)))
)
labels = st.tuples(spans, st.sampled_from(Reason)).map(lambda pair: ExplainedRange(pair[0].start, pair[0].end, pair[1]))
coverages = st.builds(
    Coverage,
    asked=spans,
    proven=st.lists(spans, max_size=4),
    provisional=st.lists(spans, max_size=2),
    explained=st.lists(labels, max_size=4),
)
candle_slots = st.sets(st.integers(0, HALVES // 2 - 1)).map(lambda slots: [minute(slot) for slot in sorted(slots)])


def slots_of(ranges):
    found = [slot for part in ranges for slot in Timeframe.M1.slots(part.span)]
    assert len(found) == len(set(found))
    return set(found)


def is_whole(slot, ranges):
    """The brute-force model of knowledge: every half of the minute lies in some range."""
    return all(any(half in span for span in ranges) for half in (slot, slot + timedelta(seconds=30)))


@given(coverages, candle_slots)
def test_every_slot_of_the_question_has_a_candle_or_is_quiet_or_is_a_gap_and_only_one_of_them(coverage, opened):
    asked = set(Timeframe.M1.slots(coverage.asked))
    known = [*coverage.proven, *(part.span for part in coverage.explained if part.reason.is_known_empty)]

    quiet = list(coverage.quiet(micros(opened), Timeframe.M1))
    gaps = list(coverage.gaps(micros(opened), Timeframe.M1))

    assert slots_of(quiet) == {slot for slot in asked if slot not in opened and is_whole(slot, known)}
    assert slots_of(gaps) == {slot for slot in asked if slot not in opened and not is_whole(slot, known)}
    assert [part.start for part in quiet] == sorted(part.start for part in quiet)
    assert [part.start for part in gaps] == sorted(part.start for part in gaps)


@given(coverages, candle_slots)
def test_the_reason_of_a_slot_is_that_of_a_label_which_holds_it(coverage, opened):
    for part in (*coverage.quiet(micros(opened), Timeframe.M1), *coverage.gaps(micros(opened), Timeframe.M1)):
        for slot in Timeframe.M1.slots(part.span):
            told = {label.reason for label in coverage.explained if slot in label.span}
            assert part.reason in told or part.reason in {Reason.NO_TRADE, Reason.UNKNOWN}


@pytest.mark.parametrize("hole", [0, 1, 2, 3, 4, 5, 499, 500, 997, 998, 999])
def test_one_hole_in_a_long_run_of_candles_is_found_wherever_it_lies(hole):
    opened = [minute(slot) for slot in range(1000) if slot != hole]
    asked = TimeRange(minute(0), minute(1000))
    quiet = list(Coverage(asked=asked, proven=(asked,)).quiet(micros(opened), Timeframe.M1))

    assert [part.span for part in quiet] == [TimeRange(minute(hole), minute(hole + 1))]


@given(candle_slots)
def test_months_are_told_apart_as_well_as_minutes(opened):
    months = [datetime(2026, 1 + index % 12, 1, tzinfo=UTC) for index in range(0, len(opened), 2)][:6]
    months = sorted(set(months))
    year = TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    quiet = list(Coverage(asked=year, proven=(year,)).quiet(micros(months), Timeframe.MONTH))

    assert sum(Timeframe.MONTH.count_slots(part.span) for part in quiet) == 12 - len(months)


def test_reasons_say_which_of_them_are_knowledge():
    assert {reason for reason in Reason if reason.is_known_empty} == {
        Reason.NO_TRADE,
        Reason.OUTAGE,
        Reason.BEFORE_LISTING,
    }


def test_labels_name_outages_and_what_is_beyond_retention():
    coverage = (
        Coverage(asked=TimeRange(minute(0), minute(10)), proven=(TimeRange(minute(2), minute(8)),))
        .explain(TimeRange(minute(0), minute(1)), Reason.BEYOND_RETENTION)
        .explain(TimeRange(minute(4), minute(6)), Reason.OUTAGE)
        .explain(TimeRange(minute(9), minute(9)), Reason.DELISTED)
    )

    assert list(coverage.quiet(micros([minute(2)]), Timeframe.M1)) == [
        ExplainedRange(minute(3), minute(4), Reason.NO_TRADE),
        ExplainedRange(minute(4), minute(6), Reason.OUTAGE),
        ExplainedRange(minute(6), minute(8), Reason.NO_TRADE),
    ]
    assert list(coverage.gaps(micros([minute(2)]), Timeframe.M1)) == [
        ExplainedRange(minute(0), minute(1), Reason.BEYOND_RETENTION),
        ExplainedRange(minute(1), minute(2), Reason.UNKNOWN),
        ExplainedRange(minute(8), minute(10), Reason.UNKNOWN),
    ]


@given(coverages, coverages)
def test_what_two_coverages_know_is_known_together(one, other):
    joined = one.join(other)

    for part in (*one.proven, *other.proven):
        assert any(span.intersect(part) == part for span in joined.proven) or not part
    if one.asked and other.asked:
        assert joined.asked == TimeRange(min(one.asked.start, other.asked.start), max(one.asked.end, other.asked.end))
    assert joined.within(one.asked).asked == one.asked


def test_the_claim_of_the_older_page_survives_and_that_of_an_empty_page_below_a_full_one_too():
    newer = Coverage(asked=TimeRange(minute(5), minute(9)), claimed_beginning=None)
    older = Coverage(asked=TimeRange(minute(2), minute(5)), claimed_beginning=minute(2))
    empty = Coverage(asked=TimeRange(minute(5), minute(5)), claimed_beginning=minute(5))

    assert newer.join(older).claimed_beginning == minute(2)
    assert older.join(newer).claimed_beginning == minute(2)
    assert newer.join(empty).claimed_beginning == minute(5)
    assert empty.join(newer).claimed_beginning == minute(5)
    assert Coverage.nothing(minute(1)).join(older).asked == older.asked


def page(opened, to, read_at, count=200):
    return page_coverage(opened, Timeframe.M1, PageRead(to=to, count=count, read_at=read_at, grace=GRACE))


def test_a_page_proves_from_its_oldest_row_to_the_bound_that_was_asked():
    coverage = page([minute(2), minute(7)], to=minute(9), read_at=minute(60), count=2)

    assert coverage.asked == TimeRange(minute(2), minute(9))
    assert coverage.proven == (TimeRange(minute(2), minute(9)),)
    assert coverage.claimed_beginning is None


def test_a_bound_inside_a_slot_proves_that_slot_too():
    assert page([minute(2)], to=minute(8, 30), read_at=minute(60)).proven == (TimeRange(minute(2), minute(9)),)


def test_a_slot_that_was_not_over_by_the_grace_when_it_was_read_is_never_proven():
    assert page([minute(2)], to=minute(9), read_at=minute(9, 4)).proven == (TimeRange(minute(2), minute(8)),)
    assert page([minute(2)], to=minute(9), read_at=minute(9, 5)).proven == (TimeRange(minute(2), minute(9)),)


@pytest.mark.parametrize("to", [None, minute(100)])
def test_a_bound_that_was_left_out_or_lies_ahead_means_the_read_instant(to):
    coverage = page([minute(2), minute(9)], to=to, read_at=minute(9, 30))

    assert coverage.asked == TimeRange(minute(2), minute(10))
    assert coverage.proven == (TimeRange(minute(2), minute(9)),)


def test_an_open_slot_without_a_candle_is_no_part_of_the_question():
    assert page([minute(2)], to=None, read_at=minute(9, 30)).asked == TimeRange(minute(2), minute(9))


def test_a_short_page_only_claims_the_beginning_and_an_empty_one_proves_nothing():
    assert page([minute(2)], to=minute(9), read_at=minute(60), count=2).claimed_beginning == minute(2)

    empty = page([], to=minute(9), read_at=minute(60))

    assert (empty.proven, empty.claimed_beginning) == ((), minute(9))
    assert not empty.asked


@given(st.sets(st.integers(0, 30), min_size=1), st.integers(0, 3600), st.one_of(st.none(), st.integers(0, 3600)))
def test_a_page_never_proves_the_future_or_what_is_older_than_its_rows(slots, read_s, to_s):
    read_at = minute(0, read_s)
    to = None if to_s is None else minute(0, to_s)
    opened = [minute(slot) for slot in sorted(slots) if to is None or minute(slot) < to]
    coverage = page(opened, to=to, read_at=read_at)

    for span in coverage.proven:
        assert span.start == opened[0]
        assert span.end <= read_at - GRACE
        assert to is None or span.end <= Timeframe.M1.ceil(to)
