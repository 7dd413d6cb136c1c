"""Walks over any market bring every candle that exists, in few calls, and prove what they claim."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import (
    CandleSeries,
    Coverage,
    MalformedReplyError,
    Reason,
    Timeframe,
    TimeRange,
    create_candle_request,
)
from market_backbone.application.paging.candle_pager import CandlePager, ForwardWindows

NOW_MINUTE = 400


async def test_seconds_end_where_the_exchange_stops_keeping_them(kit):
    walk_ = CandlePager.of(create_candle_request("KRW-BTC", "1s", 50), 10)
    channel = kit.Channel(clock=kit.Clock(), page=10)
    page = walk_.next_page()
    empty = await channel.get_candles("KRW-BTC", "1s", page.count)
    walk_.take(empty)
    assert walk_.next_page() is None
    assert {part.reason for part in walk_.result().gaps()} == {Reason.BEYOND_RETENTION}


async def test_a_page_that_does_not_go_back_is_refused(kit):
    clock = kit.Clock()
    clock.now += NOW_MINUTE * 60
    channel = kit.Channel(minutes=range(100), clock=clock, page=10)
    walk_ = CandlePager.of(create_candle_request("KRW-BTC", "1m", 50), 10)
    first = await channel.get_candles("KRW-BTC", "1m", 10)
    walk_.take(first)
    with pytest.raises(MalformedReplyError):
        walk_.take(first)


@given(count=st.integers(1, 50), found=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_windows_of_a_forward_walk_touch_and_widen(kit, count, found):
    windows = ForwardWindows(Timeframe.M1, count, kit.START)
    spans = [windows.next_window(min(rows, count - 1)) for rows in found]
    assert all(a.end == b.start for a, b in pairwise(spans))
    assert all(b.end - b.start >= a.end - a.start for a, b in pairwise(spans))


async def test_a_source_that_answers_nothing_and_claims_nothing_ends_the_walk_as_unknown(kit):
    walk_ = CandlePager.of(
        create_candle_request("KRW-BTC", "1m", start=kit.START, end=kit.START + timedelta(hours=1)), 10
    )
    walk_.next_page()
    asked = TimeRange(kit.START, kit.START + timedelta(hours=1))
    walk_.take(CandleSeries.of("test", kit.BTC, Timeframe.M1, (), Coverage(asked=asked)))
    assert walk_.next_page() is None
    assert [gap.reason for gap in walk_.result().gaps()] == [Reason.UNKNOWN]
