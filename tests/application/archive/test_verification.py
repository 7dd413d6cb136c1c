"""A past that was rewritten is found within a day, without anybody asking for it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from market_backbone import HistoryRewritten, SeriesKey, Symbol, Timeframe, TimeRange, create_realtime_request
from market_backbone.application.archive.verification import pages_to_verify
from market_backbone.domain.ledger import Ledger
from market_backbone.infrastructure.sandbox import Fault

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = SeriesKey("test", Symbol("KRW-BTC"), Timeframe.M1)


def candle_calls(sandbox):
    return sandbox.counters.requests["candles"]


def store_of(api):
    return api.channels["cache"].store


@pytest.fixture
def open_past(open_market):
    return lambda **more: open_market(starts_at=START, **more)


async def used_a_day_later(api, hours):
    """Ask for what is held, as if its last comparison were more than a day ago."""
    span = {"start": START - hours * HOUR, "end": START - HOUR}
    series = await api.get_candles("KRW-ETH", "1m", **span)
    key = SeriesKey(series.venue, series.symbol, series.timeframe)
    assert store_of(api).ledger(key).verified_at is not None
    await store_of(api).mark_verified(key, START - 25 * HOUR)
    return key, span


async def test_two_pages_of_what_is_used_are_compared_once_a_day(open_past):
    async with open_past() as (sandbox, api):
        key, span = await used_a_day_later(api, 30)
        before = candle_calls(sandbox)
        await api.get_candles("KRW-ETH", "1m", **span)
        await until(lambda: store_of(api).ledger(key).verified_at >= START)
        assert candle_calls(sandbox) - before == 2
        await api.get_candles("KRW-ETH", "1m", **span)
        await asyncio.sleep(0.1)
        assert candle_calls(sandbox) - before == 2


async def test_a_rewritten_past_is_found_and_told_to_followers(open_past):
    async with open_past() as (sandbox, api):
        _, span = await used_a_day_later(api, 30)
        sandbox.inject(Fault("redenominate", symbol="KRW-ETH", factor=5))
        async with api.follow(create_realtime_request("KRW-ETH", "1m")) as live, asyncio.timeout(10):
            old = await api.get_candles("KRW-ETH", "1m", **span)
            async for event in live:
                if isinstance(event, HistoryRewritten):
                    break
        new = await api.get_candles("KRW-ETH", "1m", **span)
        assert len(new) == len(old)
        assert all(later.close == earlier.close * 5 for earlier, later in zip(old, new, strict=True))
        assert [line.quarantine_reason[:9] for line in await store_of(api).inventory() if line.quarantine_reason] == [
            "rewritten"
        ]


@given(
    bounds=st.lists(st.integers(0, 5_000), min_size=2, max_size=8, unique=True),
    size=st.integers(1, 200),
    day=st.integers(0, 400),
)
def test_a_page_that_is_compared_ends_inside_what_is_held(bounds, size, day):
    edges = [START + timedelta(minutes=minute) for minute in sorted(bounds)]
    spans = [TimeRange(*edges[number : number + 2]) for number in range(0, len(edges) - 1, 2)]
    pages = pages_to_verify(KEY, Ledger(proven=spans), size, START + timedelta(days=day))
    assert 1 <= len(pages) <= 2
    assert pages[0].end == min(spans[0].end, spans[0].start + timedelta(minutes=size))
    assert all(any(span.start < page.end <= span.end for span in spans) for page in pages)


def test_nothing_held_is_nothing_to_compare():
    assert pages_to_verify(KEY, Ledger(), 200, START) == ()
