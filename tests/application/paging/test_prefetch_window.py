"""Which pages may be asked for ahead: no hole between them, none below the floor, none after a thin page."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import CandleSeries, Coverage, Timeframe, TimeRange
from market_backbone.application.paging.prefetch_window import MIN_DENSITY, PrefetchWindow, is_dense

MINUTE = timedelta(minutes=1)
SIZE = 20


def page_of(kit, minutes):
    """A page whose rows open at these minutes after START."""
    rows = [kit.candle(minute) for minute in minutes]
    asked = TimeRange(rows[0].opened_at, rows[-1].closed_at)
    return CandleSeries.of("test", kit.BTC, Timeframe.M1, rows, Coverage(asked=asked))


def at(kit, minute):
    return kit.START + minute * MINUTE


def all_pages(window):
    pages = []
    while (page := window.next_page()) is not None:
        pages.append(page)
    return pages


@pytest.mark.parametrize(("missing", "dense"), [(0, True), (1, True), (2, False)])
def test_a_page_is_dense_when_nearly_every_slot_has_a_candle(kit, missing, dense):
    minutes = [minute for minute in range(SIZE + missing) if not 0 < minute <= missing]
    assert (len(minutes) >= MIN_DENSITY * (SIZE + missing)) is dense
    assert is_dense(page_of(kit, minutes), SIZE, at(kit, SIZE + missing)) is dense


def test_a_short_page_is_not_dense(kit):
    assert not is_dense(page_of(kit, range(SIZE - 1)), SIZE, at(kit, SIZE - 1))


@given(rows=st.integers(0, 400), floor=st.integers(-300, 80))
def test_pages_ahead_touch_reach_as_far_as_rows_are_wanted_and_no_further_than_the_floor(kit, rows, floor):
    window = PrefetchWindow(Timeframe.M1, SIZE, rows=rows, floor=at(kit, floor))
    assert window.note(page_of(kit, range(80, 100)), SIZE, at(kit, 100))
    pages, newest = all_pages(window), at(kit, 80)
    assert [page.end for page in pages] == [newest - number * SIZE * MINUTE for number in range(len(pages))]
    assert all(page.end > at(kit, max(floor, 80 - rows)) for page in pages)
    above_floor = max(0, min(80 - floor, -(-rows // SIZE) * SIZE))
    assert sum(page.rows for page in pages) == above_floor


def test_where_the_floor_is_held_one_row_of_it_is_compared(kit):
    window = PrefetchWindow(Timeframe.M1, SIZE, rows=400, floor=at(kit, 70), is_floor_held=True)
    window.note(page_of(kit, range(80, 100)), SIZE, at(kit, 100))
    assert [page.rows for page in all_pages(window)] == [11]


def test_after_a_thin_page_nothing_is_asked_for_ahead_until_a_dense_one_has_come(kit):
    window = PrefetchWindow(Timeframe.M1, SIZE, rows=400)
    assert not window.note(page_of(kit, range(40, 100, 3)), SIZE, at(kit, 100))
    assert all_pages(window) == []
    assert window.note(page_of(kit, range(20, 40)), SIZE, at(kit, 40))
    assert window.next_page().end == at(kit, 20)


def test_what_a_page_has_reached_behind_is_of_no_use_any_more(kit):
    window = PrefetchWindow(Timeframe.M1, SIZE, rows=400)
    window.note(page_of(kit, range(80, 100)), SIZE, at(kit, 100))
    first, second = window.next_page().end, window.next_page().end
    assert window.match(at(kit, 70)) == first
    assert window.passed(at(kit, 60)) == [first]
    assert window.ends == (second,)
