"""Whether held candles are what the venue answers now."""

from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)


DAY = timedelta(days=1)


START = datetime(2026, 11, 20, 12, tzinfo=UTC)


MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


async def test_an_audit_finds_a_minute_that_is_wrong_and_repairs_it(open_past):
    from attrs import evolve  # noqa: PLC0415

    from market_backbone import CandleSeries  # noqa: PLC0415

    async with open_past() as (_, api):
        day = (MIDNIGHT - DAY).date()
        clean = await api.audit("KRW-BTC", day)
        assert (clean.is_clean, clean.compared, clean.minutes) == (True, 25, 1440)
        series = await api.get_candles("KRW-BTC", "1m", start=MIDNIGHT - 10 * HOUR, end=MIDNIGHT - 9 * HOUR)
        rows = list(series)
        rows[7] = evolve(rows[7], volume=rows[7].volume * 3)
        await api.channels["cache"].store.write(
            CandleSeries.of(series.venue, series.symbol, series.timeframe, rows, series.coverage)
        )
        wrong = await api.audit("KRW-BTC", day)
        assert [(found.timeframe, found.opened_at) for found in wrong.differences] == [
            ("1h", MIDNIGHT - 10 * HOUR),
            ("1d", MIDNIGHT - DAY),
        ]
        mended = await api.audit("KRW-BTC", day, repair=True)
        assert (mended.is_clean, mended.repaired) == (True, 1)
