"""Where a market begins is found by long candles: years before a listing cost a handful of calls."""

from datetime import UTC, datetime

from market_backbone import Reason

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG_AGO = datetime(2017, 1, 1, tzinfo=UTC)


async def test_years_before_the_listing_are_not_read_minute_by_minute(open_market):
    async with open_market(starts_at=START, speed=100.0) as (sandbox, api):
        series = await api.get_candles("KRW-KAIA", "1m", 50, start=LONG_AGO)
        assert len(series) == 50
        assert sandbox.counters.requests["candles"] <= 8
        (first, *_) = series.quiet()
        assert (first.reason, first.start) == (Reason.BEFORE_LISTING, LONG_AGO)
        before = list(sandbox.market.candles("KRW-KAIA", "1m", 0, round(series[0].opened_at.timestamp() * 1000)))
        assert before == []


async def test_what_is_known_of_the_beginning_costs_nothing_the_next_time(open_market):
    async with open_market(starts_at=START, speed=100.0) as (sandbox, api):
        first = await api.get_candles("KRW-KAIA", "1m", 50, start=LONG_AGO)
        before = sandbox.counters.requests["candles"]
        again = await api.get_candles("KRW-KAIA", "1m", 50, start=LONG_AGO)
        assert again == first
        assert sandbox.counters.requests["candles"] - before <= 1
