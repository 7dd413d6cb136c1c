"""Several series at once: what is refused before anything is asked, and what is told in the end."""

from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import InvalidRangeError, Reason, UnknownSymbolError

HOUR = timedelta(hours=1)


DAY = timedelta(days=1)


START = datetime(2026, 11, 20, 12, tzinfo=UTC)


MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


OUTAGE_DAY = datetime(2026, 11, 10, tzinfo=UTC)


def candle_calls(sandbox):
    return sandbox.counters.requests["candles"]


async def test_several_symbols_at_once_with_outages_told_by_reason(open_past):
    async with open_past() as (_, api):
        symbols = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-AWE"]
        told = []
        found = await api.download(symbols, "1m", start=OUTAGE_DAY, end=OUTAGE_DAY + DAY, on_progress=told.append)
        assert [outcome.report.key.symbol for outcome in found] == symbols
        again = await api.download(symbols, "1m", start=OUTAGE_DAY, end=OUTAGE_DAY + DAY)
        for outcome in again:
            reasons = outcome.report.slots_by_reason()
            assert reasons[Reason.OUTAGE] == 358
            assert outcome.calls == 0
        assert again[-1].report.slots_by_reason()[Reason.NO_TRADE] > 0
        assert {progress.key.symbol for progress in told} == set(symbols)
        assert all(progress.reached.end == OUTAGE_DAY + DAY for progress in told)


async def test_an_end_that_is_not_over_is_cut_to_what_is_final(open_past):
    async with open_past(speed=1.0) as (_, api):
        (done,) = await api.download(["KRW-BTC"], "1m", start=START - HOUR)
        assert START - timedelta(minutes=1) <= done.report.span.end <= START + timedelta(minutes=1)
        assert done.is_answered
        with pytest.raises(InvalidRangeError, match="is over yet"):
            await api.download(["KRW-BTC"], "1m", start=START + HOUR, end=START + 2 * HOUR)


async def test_unknown_symbols_are_refused_before_anything_is_asked_for(open_past):
    async with open_past() as (sandbox, api):
        with pytest.raises(UnknownSymbolError, match="KRW-BTC"):
            await api.download(["KRW-ETH", "KRW-BTX"], "1m", start=MIDNIGHT - DAY, end=MIDNIGHT)
        assert candle_calls(sandbox) == 0


async def test_an_outage_is_told_as_one_at_the_first_time(open_past):
    async with open_past() as (_, api):
        found = await api.download(
            ["KRW-BTC", "KRW-ETH", "KRW-XRP"], "1m", start=OUTAGE_DAY + 17 * HOUR, end=OUTAGE_DAY + 25 * HOUR
        )
        assert [outcome.report.slots_by_reason() for outcome in found] == [{Reason.OUTAGE: 358}] * 3
        assert all(outcome.report.verified_at is None or outcome.report.verified_at >= START for outcome in found)


async def test_a_day_that_is_not_over_and_a_range_that_runs_backwards_are_refused(open_past):
    async with open_past(speed=1.0) as (_, api):
        for day in (START.date(), (START + 5 * DAY).date()):
            with pytest.raises(InvalidRangeError, match="over yet"):
                await api.audit("KRW-BTC", day)
        with pytest.raises(InvalidRangeError, match="swap them"):
            await api.download(["KRW-BTC"], "1m", start=MIDNIGHT, end=MIDNIGHT - DAY)
