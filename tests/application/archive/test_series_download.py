"""A download asks for what lacks and for nothing else, however often it is interrupted."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import ChannelUnavailableError, Reason, SymbolDelistedError
from market_backbone.application.paging.prefetch import MAX_AHEAD, OPTIMISTIC_PAGES
from market_backbone.infrastructure.sandbox import Fault

HOUR = timedelta(hours=1)


DAY = timedelta(days=1)


START = datetime(2026, 11, 20, 12, tzinfo=UTC)


MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


OUTAGE_DAY = datetime(2026, 11, 10, tzinfo=UTC)


def candle_calls(sandbox):
    return sandbox.counters.requests["candles"]


def truth_of(sandbox, symbol, start, end):
    return list(sandbox.market.candles(symbol, "1m", round(start.timestamp() * 1000), round(end.timestamp() * 1000)))


async def held_rows(api, symbol, start, end):
    return [candle async for part in api.held_parts(symbol, "1m", start=start, end=end) for candle in part]


async def test_a_range_is_whole_and_costs_little_more_than_its_rows(open_past):
    async with open_past() as (sandbox, api):
        (done,) = await api.download(["KRW-BTC"], "1m", start=OUTAGE_DAY, end=OUTAGE_DAY + 2 * DAY)
        truth = truth_of(sandbox, "KRW-BTC", OUTAGE_DAY, OUTAGE_DAY + 2 * DAY)
        rows = await held_rows(api, "KRW-BTC", OUTAGE_DAY, OUTAGE_DAY + 2 * DAY)
        assert done.is_answered
        assert done.report.rows == len(rows) == len(truth) == 2 * 1440 - 358
        assert [(c.close, c.volume) for c in rows] == [(c.close, c.volume) for c in truth]
        assert done.calls == candle_calls(sandbox)
        assert done.calls <= -(-len(rows) // 200) + 3
        assert all(candle.is_final for candle in rows)


async def test_far_away_the_next_pages_are_asked_for_before_the_first_has_come(open_past):
    async with open_past() as (sandbox, api):
        await api.get_markets()
        sandbox.inject(Fault("slow-rest", seconds=100.0))
        task = asyncio.create_task(api.download(["KRW-BTC"], "1m", start=MIDNIGHT - 3 * DAY, end=MIDNIGHT))
        await asyncio.sleep(0.3)
        assert candle_calls(sandbox) == 1 + OPTIMISTIC_PAGES
        sandbox.clear_faults()
        task.cancel()
        await asyncio.wait([task])


async def test_interrupted_anywhere_it_goes_on_and_asks_for_nothing_twice(open_past):
    rng = random.Random(5)
    async with open_past() as (sandbox, api):
        span = {"start": MIDNIGHT - 3 * DAY, "end": MIDNIGHT}
        for _ in range(6):
            task = asyncio.create_task(api.download(["KRW-ETH"], "1m", **span))
            await asyncio.sleep(rng.uniform(0.005, 0.05))
            task.cancel()
            await asyncio.wait([task])
        (done,) = await api.download(["KRW-ETH"], "1m", **span)
        assert done.report.rows == len(truth_of(sandbox, "KRW-ETH", MIDNIGHT - 3 * DAY, MIDNIGHT)) == 4320
        # the pages, up to three abandoned in flight per interruption and those asked for ahead of the first, overlaps
        assert candle_calls(sandbox) <= 22 + 6 * (3 + OPTIMISTIC_PAGES) + 3
        before = candle_calls(sandbox)
        (again,) = await api.download(["KRW-ETH"], "1m", **span)
        assert (again.calls, candle_calls(sandbox) - before) == (0, 0)


async def test_before_the_listing_and_beyond_what_is_kept(open_past):
    async with open_past() as (sandbox, api):
        (days,) = await api.download(["KRW-KAIA"], "1d", start=datetime(2016, 1, 1, tzinfo=UTC), end=MIDNIGHT)
        assert days.is_answered
        assert days.report.quiet[0].reason is Reason.BEFORE_LISTING
        before = candle_calls(sandbox)
        (again,) = await api.download(["KRW-KAIA"], "1d", start=datetime(2016, 1, 1, tzinfo=UTC), end=MIDNIGHT)
        assert (again.is_answered, candle_calls(sandbox)) == (True, before)
        edge = MIDNIGHT - 95 * DAY
        (seconds,) = await api.download(["KRW-DOGE"], "1s", start=edge, end=edge + timedelta(minutes=10))
        assert not seconds.is_answered
        assert seconds.report.slots_by_reason().keys() == {Reason.BEYOND_RETENTION}


async def test_a_symbol_that_is_delisted_half_way_keeps_what_came(open_past):
    async with open_past() as (sandbox, api):
        pages = []

        def tell(progress):
            pages.append(progress)
            if len(pages) == 3:
                sandbox.inject(Fault("delist", symbol="KRW-XRP"))

        (done,) = await api.download(["KRW-XRP"], "1m", start=MIDNIGHT - 2 * DAY, end=MIDNIGHT, on_progress=tell)
        assert isinstance(done.error, SymbolDelistedError)
        assert done.report.rows >= 600
        assert {gap.reason for gap in done.report.gaps} == {Reason.DELISTED}


async def test_an_exchange_that_is_down_for_a_while_costs_patience_and_no_data(open_past):
    async with open_past() as (sandbox, api):
        await api.get_markets()
        sandbox.inject(Fault("rest-status", status=503, duration_s=20.0))
        (done,) = await api.download(["KRW-BTC"], "1m", start=MIDNIGHT - DAY, end=MIDNIGHT)
        assert (done.report.rows, done.error) == (1440, None)


async def test_a_disk_that_fills_up_ends_the_download_and_keeps_what_was_written(open_past):
    async with open_past() as (sandbox, api):
        store, written = api.channels["cache"].store, []
        write = store.write

        async def until_full(series):
            if len(written) == 3:
                msg = "no space left on the disk; make room, and go on"
                raise ChannelUnavailableError(msg, channel="cache")
            written.append(series)
            return await write(series)

        store.write = until_full
        (done,) = await api.download(["KRW-BTC"], "1m", start=MIDNIGHT - 2 * DAY, end=MIDNIGHT)
        assert "no space left" in str(done.error)
        assert (done.report.rows, done.is_answered) == (600, False)
        assert 4 <= candle_calls(sandbox) <= 4 + MAX_AHEAD  # and what was on its way
        store.write = write
        (again,) = await api.download(["KRW-BTC"], "1m", start=MIDNIGHT - 2 * DAY, end=MIDNIGHT)
        assert (again.report.rows, again.is_answered) == (2880, True)


async def test_a_download_ends_when_the_api_is_closed(open_past):
    async with open_past() as (sandbox, api):
        await api.get_markets()
        sandbox.inject(Fault("rest-status", status=500))
        task = asyncio.create_task(api.download(["KRW-BTC"], "1m", start=MIDNIGHT - 2 * DAY, end=MIDNIGHT))
        await asyncio.sleep(0.3)
        await api.close()
        done, _ = await asyncio.wait([task], timeout=15)
        assert done
        task.exception()


async def test_a_store_that_cannot_be_opened_is_told_before_anything_is_asked_for(open_past, tmp_path):
    blocked = tmp_path / "a-file"
    blocked.write_text("no folder")
    async with open_past(settings={"cache.folder": str(blocked)}) as (sandbox, api):
        with pytest.raises(ChannelUnavailableError, match=r"cache\.folder"):
            await api.download(["KRW-BTC"], "1m", start=MIDNIGHT - DAY, end=MIDNIGHT)
        assert candle_calls(sandbox) == 0


async def test_what_is_held_whole_needs_no_exchange(open_past):
    async with open_past() as (sandbox, api):
        span = {"start": MIDNIGHT - 2 * HOUR, "end": MIDNIGHT}
        await api.download(["KRW-BTC"], "1m", **span)
        sandbox.inject(Fault("rest-status", status=503))
        (done,) = await api.download(["KRW-BTC"], "1m", **span)
        assert (done.report.rows, done.calls, done.error) == (120, 0, None)
