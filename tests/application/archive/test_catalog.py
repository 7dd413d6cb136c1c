"""What is held is told with reasons, and checked against itself; real sandbox, real SQLite."""

from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import Reason, create_candle_request
from market_backbone.domain.coverage_report import CANDLES, HOLE, QUIET

HOUR = timedelta(hours=1)
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
OUTAGE = datetime(2026, 11, 10, 18, tzinfo=UTC)  # 358 minutes long, ten days before the market's first day
REFERENCES = ("KRW-BTC", "KRW-ETH", "KRW-XRP")


@pytest.fixture
def open_past(open_market):
    return lambda **more: open_market(starts_at=START, **more)


async def test_a_silence_of_all_references_is_an_outage_and_of_one_market_is_not(open_past):
    async with open_past() as (_, api):
        span = {"start": OUTAGE - HOUR, "end": OUTAGE + 8 * HOUR}
        alone = await api.get_candles("KRW-AWE", "1m", **span)
        assert {part.reason for part in alone.quiet()} == {Reason.NO_TRADE}
        for symbol in REFERENCES:
            series = await api.get_candles(symbol, "1m", **span)
        outages = [part for part in series.quiet() if part.reason is Reason.OUTAGE]
        assert [(part.start, part.end - part.start) for part in outages] == [(OUTAGE, timedelta(minutes=358))]
        thin = await api.get_candles("KRW-AWE", "1m", **span)
        reasons = {part.reason for part in thin.quiet()}
        assert reasons == {Reason.OUTAGE, Reason.NO_TRADE}
        assert sum((part.end - part.start for part in thin.quiet() if part.reason is Reason.OUTAGE), timedelta()) == (
            timedelta(minutes=358)
        )
        filled = thin.fill_forward()
        assert len(filled) >= 358


async def test_coverage_tells_what_is_held_and_asks_nobody(open_past):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", start=START - 10 * HOUR, end=START - 8 * HOUR)
        await api.get_candles("KRW-BTC", "1m", start=START - 6 * HOUR, end=START - 4 * HOUR)
        before = sum(sandbox.counters.requests.values())
        report = await api.coverage("KRW-BTC", "1m", start=START - 10 * HOUR, end=START - 2 * HOUR)
        assert sum(sandbox.counters.requests.values()) == before
        assert (report.rows, report.slots, report.is_complete) == (240, 480, False)
        assert [(gap.start, gap.end, gap.reason) for gap in report.gaps] == [
            (START - 8 * HOUR, START - 6 * HOUR, Reason.UNKNOWN),
            (START - 4 * HOUR, START - 2 * HOUR, Reason.UNKNOWN),
        ]
        assert report.slots_by_reason() == {Reason.UNKNOWN: 240}
        assert report.strip(8) == CANDLES * 2 + HOLE * 2 + CANDLES * 2 + HOLE * 2
        whole = await api.coverage("KRW-BTC", "1m")
        assert (whole.span.start, whole.span.end) == (START - 10 * HOUR, START - 4 * HOUR)


async def test_coverage_of_what_was_never_asked_for_is_empty(open_past):
    async with open_past() as (_, api):
        report = await api.coverage("KRW-ETH", "1h")
        assert (report.rows, report.slots, report.strip()) == (0, 0, "")
        asked = await api.coverage("KRW-ETH", "1h", start=START - 5 * HOUR, end=START)
        assert [gap.reason for gap in asked.gaps] == [Reason.UNKNOWN]


async def test_the_strip_shows_silence_as_silence(open_past):
    async with open_past() as (_, api):
        await api.request_data_sync(create_candle_request("KRW-STRAX", "1h", start=START - 96 * HOUR, end=START - HOUR))
        report = await api.coverage("KRW-STRAX", "1h")
        assert report.is_complete
        assert {CANDLES, QUIET} == set(report.strip(95))
