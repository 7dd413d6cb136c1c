"""Nothing is asked twice, and what is held is never trusted blindly: real sandbox, real SQLite."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from waiting import take

from market_backbone import (
    CandleRevised,
    CandleUpdated,
    HistoryRewritten,
    Reason,
    SeamVerdict,
    create_candle_request,
    create_realtime_request,
)
from market_backbone.infrastructure.sandbox import Fault

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIELDS = ("opened_at", "open", "high", "low", "close", "volume", "finality", "is_empty")


@pytest.fixture
def open_past(open_market):
    """A market that began at START, and a request for candles of its past."""
    return lambda **more: open_market(starts_at=START, **more)


def candle_calls(sandbox):
    return sandbox.counters.requests["candles"]


def rows_of(series):
    return [tuple(getattr(candle, name) for name in FIELDS) for candle in series]


async def test_the_same_question_twice_asks_the_exchange_once(open_past):
    async with open_past() as (sandbox, api):
        request = create_candle_request("KRW-BTC", "1m", start=START - 10 * HOUR, end=START - 2 * HOUR)
        first = await api.request_data_sync(request)
        before = sum(sandbox.counters.requests.values())
        second = await api.request_data_sync(request)
        assert sum(sandbox.counters.requests.values()) == before
        assert rows_of(second) == rows_of(first)
        assert len(second) == 480
        assert (second.trace.rule, second.trace.served_by, second.trace.calls) == ("candles-held", ("cache",), 0)
        assert second.gaps() == first.gaps() == ()
        assert second.coverage.proven == first.coverage.proven


async def test_another_process_finds_what_the_first_has_kept(open_past):
    question = create_candle_request("KRW-ETH", "1m", 500, end=START - HOUR)
    async with open_past() as (sandbox, api):
        first = await api.request_data_sync(question)
        from market_backbone import create_unified_api  # noqa: PLC0415 - the second process of this test

        addresses = {"upbit.rest_url": sandbox.rest_url, "upbit.websocket_url": sandbox.websocket_url}
        async with create_unified_api("test", {**addresses, "log.level": "ERROR"}) as other:
            await other.get_markets()  # a sandbox says by its first reply whose data this is
            before = sum(sandbox.counters.requests.values())
            second = await other.request_data_sync(question)
            assert sum(sandbox.counters.requests.values()) == before
        assert rows_of(second) == rows_of(first)


async def test_only_what_lacks_is_asked_for_and_the_joint_is_proven(open_past):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", start=START - 10 * HOUR, end=START - 5 * HOUR)
        before = candle_calls(sandbox)
        series = await api.get_candles("KRW-BTC", "1m", start=START - 8 * HOUR, end=START - 2 * HOUR)
        assert candle_calls(sandbox) - before == 1
        assert len(series) == 360
        assert series.gaps() == ()
        assert series.trace.rule == "candles-partly-held"
        assert [(step.channel, step.rows) for step in series.trace.steps[:2]] == [("cache", 180), ("rest", 180)]
        (seam,) = series.seams
        assert (seam.at, seam.older, seam.newer, seam.verdict) == (
            START - 5 * HOUR, "cache", "rest", SeamVerdict.PROVEN,
        )  # fmt: skip
        assert any("overlap rows compared: 1" in note for note in series.trace.notes)


async def test_a_neighbour_of_what_is_held_is_compared_where_they_touch(open_past):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", start=START - 10 * HOUR, end=START - 8 * HOUR)
        before = candle_calls(sandbox)
        series = await api.get_candles("KRW-BTC", "1m", start=START - 8 * HOUR, end=START - 7 * HOUR)
        assert candle_calls(sandbox) - before == 1
        assert len(series) == 60
        assert [(seam.at, seam.verdict) for seam in series.seams] == [(START - 8 * HOUR, SeamVerdict.PROVEN)]


async def test_a_hole_between_two_held_ranges_has_a_proven_joint_on_either_side(open_past):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", start=START - 10 * HOUR, end=START - 8 * HOUR)
        await api.get_candles("KRW-BTC", "1m", start=START - 6 * HOUR, end=START - 4 * HOUR)
        before = candle_calls(sandbox)
        series = await api.get_candles("KRW-BTC", "1m", start=START - 10 * HOUR, end=START - 4 * HOUR)
        assert candle_calls(sandbox) - before == 1
        assert len(series) == 360
        assert sorted((seam.at, seam.verdict) for seam in series.seams) == [
            (START - 8 * HOUR, SeamVerdict.PROVEN),
            (START - 6 * HOUR, SeamVerdict.PROVEN),
        ]


async def test_the_newest_rows_cost_one_page_when_the_rest_is_held(open_past):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", 2000)
        before = candle_calls(sandbox)
        series = await api.get_candles("KRW-BTC", "1m", 2000)
        assert candle_calls(sandbox) - before == 1
        assert len(series) == 2000
        assert series.gaps() == ()
        truth = {c.opened_ms: c for c in sandbox.market.candles("KRW-BTC", "1m", _ms(series[0].opened_at), _ms(START))}
        for candle in series:
            if candle.is_final and candle.opened_at < START:
                known = truth[_ms(candle.opened_at)]
                assert (candle.open, candle.close, candle.volume) == (known.open, known.close, known.volume)


def _ms(at):
    return round(at.timestamp() * 1000)


async def test_a_beginning_that_was_proven_is_not_proven_again(open_past):
    async with open_past() as (sandbox, api):
        first = await api.get_candles("KRW-KAIA", "1d", 5000)
        assert {part.reason for part in first.quiet()} >= {Reason.BEFORE_LISTING}
        before = candle_calls(sandbox)
        question = create_candle_request(
            "KRW-KAIA", "1d", start=datetime(2017, 1, 1, tzinfo=UTC), end=START - 24 * HOUR
        )
        series = await api.request_data_sync(question)
        assert candle_calls(sandbox) == before
        assert series.gaps() == ()
        assert series.quiet()[0].reason is Reason.BEFORE_LISTING
        assert series.quiet()[0].start == question.start
        before = candle_calls(sandbox)
        never = await api.get_candles("KRW-KAIA", "1d", start=question.start, end=datetime(2018, 1, 1, tzinfo=UTC))
        assert candle_calls(sandbox) == before
        assert (len(never), [part.reason for part in never.quiet()], never.gaps()) == (0, [Reason.BEFORE_LISTING], ())


async def test_a_thin_market_is_asked_once_for_its_silence_too(open_past):
    async with open_past() as (sandbox, api):
        request = create_candle_request("KRW-AWE", "1m", start=START - 30 * HOUR, end=START - HOUR)
        first = await api.request_data_sync(request)
        before = candle_calls(sandbox)
        second = await api.request_data_sync(request)
        assert candle_calls(sandbox) == before
        assert 0 < len(first) < 29 * 60
        assert (rows_of(second), second.quiet()) == (rows_of(first), first.quiet())


async def test_when_rest_is_down_what_is_held_is_served_and_what_lacks_is_a_gap(open_past):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", start=START - 5 * HOUR, end=START - 3 * HOUR)
        sandbox.inject(Fault("rest-status", status=500))
        series = await api.get_candles("KRW-BTC", "1m", start=START - 5 * HOUR, end=START - 2 * HOUR)
        assert len(series) == 120
        assert [(gap.start, gap.end, gap.reason) for gap in series.gaps()] == [
            (START - 3 * HOUR, START - 2 * HOUR, Reason.UNKNOWN)
        ]
        assert any(note.startswith("stale") for note in series.trace.notes)
        whole = await api.get_candles("KRW-BTC", "1m", start=START - 5 * HOUR, end=START - 4 * HOUR)
        assert (len(whole), whole.gaps()) == (60, ())


async def test_a_candle_that_the_exchange_changed_is_a_revision_when_a_page_meets_it(open_past):
    async with open_past() as (_, api):
        first = await api.get_candles("KRW-BTC", "1m", start=START - 5 * HOUR, end=START - 3 * HOUR)
        store = api.channels["cache"].store
        changed = _with_other_close(first, row=-1)
        await store.quarantine(_key(first), "the test writes what the exchange had said before")
        await store.write(changed)
        events = []
        async with api.follow(create_realtime_request("KRW-BTC", "1m")) as live:
            series = await api.get_candles("KRW-BTC", "1m", start=START - 5 * HOUR, end=START - 2 * HOUR)
            async with asyncio.timeout(10):
                async for event in live:
                    events.append(event)
                    if isinstance(event, CandleRevised):
                        break
        assert rows_of(series)[:119] == rows_of(first)[:119]
        assert series[119].close == first[119].close
        assert series[119].revision == 1
        assert (events[-1].old.close, events[-1].new.close) == (changed[-1].close, first[-1].close)
        assert {seam.verdict for seam in series.seams} == {SeamVerdict.REPAIRED}
        assert series.trace.steps[1].calls == 2  # the page, and one that agrees again


def _key(series):
    from market_backbone.domain.ledger import SeriesKey  # noqa: PLC0415

    return SeriesKey(series.venue, series.symbol, series.timeframe)


def _with_other_close(series, row):
    from attrs import evolve  # noqa: PLC0415

    from market_backbone import CandleSeries  # noqa: PLC0415

    rows = list(series)
    rows[row] = evolve(rows[row], close=rows[row].low, high=rows[row].high + 1)
    return CandleSeries.of(series.venue, series.symbol, series.timeframe, rows, series.coverage)


async def test_a_redenomination_is_noticed_set_aside_and_read_anew(open_past):
    async with open_past() as (sandbox, api):
        first = await api.get_candles("KRW-ETH", "1m", start=START - 20 * HOUR, end=START - 5 * HOUR)
        sandbox.inject(Fault("redenominate", symbol="KRW-ETH", factor=10))
        told = []
        async with api.follow(create_realtime_request("KRW-ETH", "1m")) as live:
            series = await api.get_candles("KRW-ETH", "1m", start=START - 20 * HOUR, end=START - 4 * HOUR)
            async with asyncio.timeout(10):
                async for event in live:
                    if isinstance(event, HistoryRewritten):
                        told.append(event)
                        break
        assert len(series) == len(first) + 60
        assert all(new.close == old.close * 10 for old, new in zip(first, series, strict=False))
        assert series.gaps() == ()
        lines = await api.channels["cache"].store.inventory()
        aside = [line for line in lines if line.quarantine_reason]
        assert [line.rows for line in aside] == [len(first)]
        assert told[0].symbol == "KRW-ETH"
        again = await api.get_candles("KRW-ETH", "1m", start=START - 20 * HOUR, end=START - 4 * HOUR)
        assert rows_of(again) == rows_of(series)


async def test_a_page_that_is_wrongly_empty_is_no_beginning_while_older_candles_are_held(open_past):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", start=START - 20 * HOUR, end=START - 15 * HOUR)
        sandbox.inject(Fault("empty-page", group="candles"))
        question = create_candle_request("KRW-BTC", "1m", start=START - 20 * HOUR, end=START - 10 * HOUR)
        doubtful = await api.request_data_sync(question)
        assert {gap.reason for gap in doubtful.gaps()} == {Reason.UNKNOWN}
        assert doubtful.quiet() == ()
        sandbox.clear_faults()
        series = await api.request_data_sync(question)
        assert (len(series), series.gaps()) == (600, ())


async def test_rest_only_neither_reads_the_store_nor_forgets_to_fill_it(open_past):
    async with open_past(policy="rest-only") as (sandbox, api):
        request = create_candle_request("KRW-BTC", "1m", start=START - 5 * HOUR, end=START - 3 * HOUR)
        first = await api.request_data_sync(request)
        before = candle_calls(sandbox)
        await api.request_data_sync(request)
        assert candle_calls(sandbox) == before + 1
        assert first.trace.channels == ("rest",)
        (line,) = await api.channels["cache"].store.inventory()
        assert line.rows == 120


async def test_a_store_that_fails_costs_the_answer_nothing(open_past, tmp_path):
    blocked = tmp_path / "a-file"
    blocked.write_text("no folder")
    async with open_past(settings={"cache.folder": str(blocked)}) as (_, api):
        series = await api.get_candles("KRW-BTC", "1m", start=START - 5 * HOUR, end=START - 3 * HOUR)
        assert (len(series), series.gaps()) == (120, ())


async def test_a_delisted_symbol_is_served_from_what_is_held(open_past):
    async with open_past() as (sandbox, api):
        await api.get_candles("KRW-XRP", "1m", start=START - 5 * HOUR, end=START - 3 * HOUR)
        sandbox.inject(Fault("delist", symbol="KRW-XRP"))
        await asyncio.sleep(0.6)
        series = await api.get_candles("KRW-XRP", "1m", start=START - 5 * HOUR, end=START - 2 * HOUR)
        assert len(series) == 120
        assert [(gap.start, gap.reason) for gap in series.gaps()] == [(START - 3 * HOUR, Reason.DELISTED)]


def _finals(events):
    return [event for event in events if isinstance(event, CandleUpdated) and event.candle.is_final]


async def test_what_was_followed_is_held(open_past):
    async with open_past(speed=100.0) as (sandbox, api):
        async with api.follow(create_realtime_request("KRW-BTC", "1m")) as live:
            finals = _finals(await take(live, lambda events: len(_finals(events)) >= 4))
        last = finals[-1].candle
        before = candle_calls(sandbox)
        series = await api.get_candles("KRW-BTC", "1m", start=finals[0].candle.opened_at, end=last.closed_at)
        assert candle_calls(sandbox) == before
        assert rows_of(series) == rows_of([event.candle for event in finals])


async def test_while_a_series_is_followed_its_newest_candles_cost_nothing(open_past):
    async with open_past(speed=60.0) as (sandbox, api):
        async with api.follow(create_realtime_request("KRW-BTC", "1m", history=100)) as live:
            await take(live, lambda events: len(_finals(events)) >= 2)
            before = candle_calls(sandbox)
            series = await api.get_candles("KRW-BTC", "1m", 50)
            assert candle_calls(sandbox) == before
        assert len(series) == 50
        assert series.gaps() == ()
        assert not series[-1].is_final
        assert series.trace.rule == "candles-held-and-live"
        assert [(seam.older, seam.newer, seam.verdict) for seam in series.seams] == [
            ("cache", "websocket", SeamVerdict.PENDING)
        ]
        assert [(step.channel, str(step.status)) for step in series.trace.steps[:3]] == [
            ("cache", "served"),
            ("websocket", "served"),
            ("rest", "skipped"),
        ]
        assert any("newest candles from the live stream" in note for note in series.trace.notes)
