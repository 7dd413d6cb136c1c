"""Walks over any market bring every candle that exists, in few calls, and prove what they claim."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import (
    CandleSeries,
    Coverage,
    Finality,
    MalformedReplyError,
    Reason,
    Timeframe,
    TimeRange,
    create_candle_request,
)
from market_backbone.application.paging.candle_pager import CandlePager, ForwardWindows

NOW_MINUTE = 400


async def test_seconds_end_where_the_exchange_stops_keeping_them(kit):
    pager = CandlePager.of(create_candle_request("KRW-BTC", "1s", 50), 10)
    channel = kit.Channel(clock=kit.Clock(), page=10)
    page = pager.next_page()
    empty = await channel.get_candles("KRW-BTC", "1s", page.count)
    pager.take(empty)
    assert pager.next_page() is None
    assert {part.reason for part in pager.result().gaps()} == {Reason.BEYOND_RETENTION}


async def test_a_page_that_does_not_go_back_is_refused(kit):
    clock = kit.Clock()
    clock.now += NOW_MINUTE * 60
    channel = kit.Channel(minutes=range(100), clock=clock, page=10)
    pager = CandlePager.of(create_candle_request("KRW-BTC", "1m", 50), 10)
    first = await channel.get_candles("KRW-BTC", "1m", 10)
    pager.take(first)
    with pytest.raises(MalformedReplyError):
        pager.take(first)


@given(count=st.integers(1, 50), found=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_windows_of_a_forward_walk_touch_and_widen(kit, count, found):
    windows = ForwardWindows(Timeframe.M1, count, kit.START)
    spans = [windows.next_window(min(rows, count - 1)) for rows in found]
    assert all(a.end == b.start for a, b in pairwise(spans))
    assert all(b.end - b.start >= a.end - a.start for a, b in pairwise(spans))


async def test_a_source_that_answers_nothing_and_claims_nothing_ends_the_walk_as_unknown(kit):
    pager = CandlePager.of(
        create_candle_request("KRW-BTC", "1m", start=kit.START, end=kit.START + timedelta(hours=1)), 10
    )
    pager.next_page()
    asked = TimeRange(kit.START, kit.START + timedelta(hours=1))
    pager.take(CandleSeries.of("test", kit.BTC, Timeframe.M1, (), Coverage(asked=asked)))
    assert pager.next_page() is None
    assert [gap.reason for gap in pager.result().gaps()] == [Reason.UNKNOWN]


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_rows_that_are_more_than_the_count_make_no_slot_below_the_oldest_one_empty(kit, spare):
    """Closed candles are asked for with a row or two to spare; what is cut off again was no silence."""
    pager = CandlePager.of(create_candle_request("KRW-BTC", "1m", 5, closed_only=True), 10)
    rows = [kit.candle(minute, finality=Finality.FINAL) for minute in range(5 + spare)]
    asked = TimeRange(kit.START - timedelta(minutes=1), rows[-1].closed_at)
    coverage = Coverage(asked=asked, proven=(TimeRange(kit.START, asked.end),)).explain(
        TimeRange(asked.start, kit.START), Reason.BEFORE_LISTING
    )
    pager.take(CandleSeries.of("test", kit.BTC, Timeframe.M1, rows, coverage))
    series = pager.result()
    assert kit.minutes(series) == list(range(spare, 5 + spare))
    assert [part.reason for part in series.quiet()] == ([] if spare else [Reason.BEFORE_LISTING])
    assert series.gaps() == ()
