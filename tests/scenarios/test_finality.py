"""FINAL means final: whatever the clocks say, however slow the replies, at any speed; real sandbox, real sockets."""

import time
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from waiting import take

from market_backbone import CandleUpdated, Finality, SealedBy, create_realtime_request
from market_backbone.infrastructure import clock as clocks
from market_backbone.infrastructure.sandbox import Fault

GRACE = timedelta(seconds=5)
START = datetime(2026, 11, 20, 12, 0, 50, tzinfo=UTC)


def sandbox_now(sandbox):
    return datetime.fromtimestamp(sandbox.now_ms() / 1000, UTC)


def check_true(sandbox, candle):
    """A FINAL candle is what the market made of its slot, to the last digit."""
    start = round(candle.opened_at.timestamp() * 1000)
    (truth,) = sandbox.market.candles(candle.symbol, "1m", start, start + 60_000)
    assert (candle.open, candle.high, candle.low, candle.close, candle.volume) == (
        truth.open, truth.high, truth.low, truth.close, truth.volume,
    )  # fmt: skip


async def follow_finals(sandbox, api, enough, **question):
    """Follow until enough candles are FINAL; each is judged at the moment at which it arrives."""
    finals = []

    def is_enough(events):
        if isinstance(events[-1], CandleUpdated) and events[-1].candle.is_final:
            candle = events[-1].candle
            assert sandbox_now(sandbox) >= candle.closed_at + GRACE
            check_true(sandbox, candle)
            finals.append(candle)
        return len(finals) >= enough

    async with api.follow(create_realtime_request("KRW-BTC", "1m", **question)) as live:
        await take(live, is_enough, seconds=40)
    return finals


@pytest.mark.parametrize("speed", [5.0, 20.0, 60.0, 150.0])
async def test_at_every_speed_nothing_is_final_too_early_or_wrong(open_market, speed):
    async with open_market(starts_at=START, speed=speed) as (sandbox, api):
        finals = await follow_finals(sandbox, api, 1 if speed < 10 else 3)
        assert {candle.sealed_by for candle in finals} <= {SealedBy.SUCCESSOR, SealedBy.STREAM_QUIET, SealedBy.REST}


async def test_a_pc_clock_that_is_wrong_by_hours_and_jumps_changes_nothing(open_market, monkeypatch):
    steps = count()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * (7 if next(steps) % 2 else -5))
    monkeypatch.setattr(clocks, "read_wall_clock", lambda: datetime(1999, 1, 1, tzinfo=UTC))
    async with open_market(starts_at=START, speed=40.0) as (sandbox, api):
        series = await api.get_candles("KRW-BTC", "1m", 20)
        for candle in series:
            if candle.is_final:
                assert candle.closed_at + GRACE <= sandbox_now(sandbox)
                check_true(sandbox, candle)
        assert await follow_finals(sandbox, api, 3)


async def test_microsecond_stamps_do_not_finalise_anything(open_market):
    async with open_market(starts_at=START, speed=20.0) as (sandbox, api):
        sandbox.inject(Fault("microsecond-timestamp", share=0.5))
        assert len(await follow_finals(sandbox, api, 3)) == 3


async def test_a_reply_that_was_slow_after_its_reading_is_as_old_as_its_question(open_market):
    async with open_market(starts_at=START, speed=5.0) as (sandbox, api):
        await api.get_markets()
        sandbox.inject(Fault("slow-rest", seconds=22.0))
        asked_at = sandbox_now(sandbox)
        series = await api.get_candles("KRW-BTC", "1m", 3)
        assert sandbox_now(sandbox) >= asked_at + timedelta(seconds=22)
        newest = series[-1]
        assert newest.opened_at + timedelta(minutes=1) + GRACE <= sandbox_now(sandbox)
        assert newest.finality is not Finality.FINAL
        assert all(candle.closed_at + GRACE <= asked_at + timedelta(seconds=2) for candle in series if candle.is_final)


async def test_rest_servers_that_lag_by_a_second_finalise_nothing_old(open_market):
    async with open_market(starts_at=START, speed=20.0) as (sandbox, api):
        sandbox.inject(Fault("unit-lag", seconds=1.0))
        assert len(await follow_finals(sandbox, api, 3, history=5)) == 3
