"""What is held changes while it is read: by others, by damage, by failures; each was once a wrong answer."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import ChannelUnavailableError, Reason
from market_backbone.infrastructure.sandbox import Fault

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def open_past(open_market):
    return lambda **more: open_market(starts_at=START, **{"speed": 50.0, "limits": False, **more})


def candle_calls(sandbox):
    return sandbox.counters.requests["candles"]


def span(first, last):
    return {"start": START - first * HOUR, "end": START - last * HOUR}


def wrong_rows(sandbox, series):
    """Rows that are not what the market tells of them now."""
    bounds = [round(at.timestamp() * 1000) for at in (series[0].opened_at, series[-1].closed_at)]
    truth = {row.opened_ms: row for row in sandbox.market.candles(series.symbol, "1m", *bounds)}
    return [c for c in series if truth[round(c.opened_at.timestamp() * 1000)].close != c.close]


async def test_a_start_inside_a_slot_is_no_listing(open_past):
    async with open_past() as (_, api):
        await api.get_candles("KRW-BTC", "1m", 10, start=START - 2 * HOUR + timedelta(seconds=10))
        older = await api.get_candles("KRW-BTC", "1m", **span(4, 3))
        assert (len(older), older.quiet()) == (60, ())


async def test_rows_from_a_start_over_held_and_unheld_windows_leave_nothing_out(open_past):
    async with open_past() as (sandbox, api):
        at = START - 10 * HOUR
        await api.get_candles("KRW-AWE", "1m", start=at - 100 * MINUTE, end=at + 60 * MINUTE)
        series = await api.get_candles("KRW-AWE", "1m", 60, start=at)
        bounds = [round(instant.timestamp() * 1000) for instant in (at, series[-1].closed_at)]
        assert [round(c.opened_at.timestamp() * 1000) for c in series] == [
            row.opened_ms for row in sandbox.market.candles("KRW-AWE", "1m", *bounds)
        ]


async def test_rows_from_a_start_cost_little_before_a_listing_and_nothing_again(open_past):
    async with open_past() as (sandbox, api):
        long_ago = datetime(2018, 1, 1, tzinfo=UTC)
        first = await api.get_candles("KRW-KAIA", "1m", 10, start=long_ago)
        assert len(first) == 10
        assert candle_calls(sandbox) <= 12
        before = candle_calls(sandbox)
        again = await api.get_candles("KRW-KAIA", "1m", 10, start=long_ago)
        assert list(again) == list(first)
        assert candle_calls(sandbox) == before


async def test_a_download_that_meets_a_rewritten_past_reads_it_all_anew(open_past):
    async with open_past() as (sandbox, api):
        await api.download(["KRW-ETH"], "1m", **span(20, 10))
        sandbox.inject(Fault("redenominate", symbol="KRW-ETH", factor=10))
        (done,) = await api.download(["KRW-ETH"], "1m", **span(30, 4))
        assert (done.error, done.is_answered, done.report.rows) == (None, True, 26 * 60)
        held = await api.get_candles("KRW-ETH", "1m", **span(30, 4))
        assert wrong_rows(sandbox, held) == []
        assert api.channel_health()["rest"].last_error == ""


async def test_what_another_request_sets_aside_half_way_is_not_mixed_in(open_past, monkeypatch):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-ETH", "1m", **span(20, 15))
        await api.get_candles("KRW-ETH", "1m", **span(10, 5))
        sandbox.inject(Fault("redenominate", symbol="KRW-ETH", factor=10))
        rest, asked = api.channels["rest"], []
        ask = rest.get_candles

        async def overtaken(*args, **rest_of_it):
            asked.append(args)
            if len(asked) == 1:
                await api.get_candles("KRW-ETH", "1m", **span(22, 4))
            return await ask(*args, **rest_of_it)

        monkeypatch.setattr(rest, "get_candles", overtaken)
        series = await api.get_candles("KRW-ETH", "1m", **span(20, 5))
        assert (len(series), wrong_rows(sandbox, series)) == (900, [])


async def test_a_retry_compares_with_what_was_held_as_the_first_attempt_would_have(open_past, monkeypatch):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-ETH", "1m", **span(10, 5))
        sandbox.inject(Fault("redenominate", symbol="KRW-ETH", factor=10))
        rest, asked = api.channels["rest"], []
        ask = rest.get_candles

        async def fails_once(*args, **rest_of_it):
            asked.append(args)
            if len(asked) == 1:
                msg = "one hiccup"
                raise ChannelUnavailableError(msg, channel="rest")
            return await ask(*args, **rest_of_it)

        monkeypatch.setattr(rest, "get_candles", fails_once)
        series = await api.get_candles("KRW-ETH", "1m", **span(12, 5))
        assert (len(series), wrong_rows(sandbox, series)) == (420, [])


async def test_a_stale_answer_claims_no_silence_beyond_its_rows(open_past):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", **span(10, 5))
        sandbox.inject(Fault("rest-status", status=500))
        api.update_channel_performance("rest", 5000.0, False)  # so that the store answers alone
        series = await api.get_candles("KRW-BTC", "1m", 10, start=START - 10 * HOUR)
        assert series.trace.served_by == ("cache",)
        assert (len(series), series.quiet(), series.gaps()) == (10, (), ())


def damage_a_block(folder):
    (path,) = folder.glob("*.sqlite3")
    with sqlite3.connect(path) as file:
        blocks = file.execute("SELECT series, start FROM blocks ORDER BY start").fetchall()
        file.execute("UPDATE blocks SET data = x'00112233' WHERE series = ? AND start = ?", blocks[1])
    file.close()


async def test_a_block_that_was_damaged_is_asked_for_again_within_the_same_answer(open_past, tmp_path):
    folder = tmp_path / "kept"
    async with open_past(settings={"cache.folder": str(folder)}) as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", **span(72, 2))
        damage_a_block(folder)
        before = candle_calls(sandbox)
        series = await api.get_candles("KRW-BTC", "1m", **span(72, 2))
        assert (len(series), series.gaps(), candle_calls(sandbox) > before) == (70 * 60, (), True)


async def test_a_time_before_the_listing_is_asked_about_once(open_past):
    async with open_past() as (sandbox, api):
        question = {"start": datetime(2016, 1, 1, tzinfo=UTC), "end": datetime(2018, 1, 1, tzinfo=UTC)}
        first = await api.get_candles("KRW-KAIA", "1d", **question)
        before = candle_calls(sandbox)
        again = await api.get_candles("KRW-KAIA", "1d", **question)
        assert candle_calls(sandbox) == before
        assert (
            [part.reason for part in again.quiet()]
            == [part.reason for part in first.quiet()]
            == [Reason.BEFORE_LISTING]
        )
