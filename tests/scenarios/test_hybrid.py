"""The forming candle from whichever channel's turn it is, everything before it from the store: real sockets."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import PreferFreshest, SeamVerdict, create_candle_request
from market_backbone.infrastructure.sandbox import Fault

AT = datetime(2026, 11, 20, 12, 0, 20, tzinfo=UTC)  # in the middle of a minute, after the grace of the last one
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NEWEST = create_candle_request("KRW-BTC", "1m", 30)


@pytest.fixture
async def desk(open_market):
    """An API that holds every minute that is over, half-way through the next."""
    async with open_market(starts_at=AT, speed=1.0) as (sandbox, api):
        await api.get_candles("KRW-BTC", "1m", start=AT - HOUR, end=AT.replace(second=0))
        yield sandbox, api


def candle_calls(sandbox):
    return sandbox.counters.requests["candles"]


async def test_the_channels_take_turns_and_the_answers_agree(desk):
    _sandbox, api = desk
    answers = [await api.request_data_sync(NEWEST) for _ in range(4)]
    assert {answer.trace.rule for answer in answers} == {"candles-hybrid"}
    assert answers[2].trace.notes[0] == "split rest:websocket 50:50 (good, good), turn 3"
    assert [answer.trace.served_by for answer in answers] == [("cache", "rest"), ("cache", "websocket")] * 2
    assert [answer[-1].source for answer in answers] == ["rest", "websocket"] * 2
    for answer in answers:
        assert len(answer) == 30
        assert answer[-1].opened_at == AT.replace(second=0)
        assert all(candle.is_final for candle in answer[:-1])
        assert [candle.opened_at for candle in answer] == [answer[0].opened_at + n * MINUTE for n in range(30)]
        assert list(answer[:-1]) == list(answers[0][:-1])


async def test_where_the_sockets_candle_meets_what_is_held_the_joint_is_told(desk):
    _, api = desk
    _, by_socket = [await api.request_data_sync(NEWEST) for _ in range(2)]
    (seam,) = by_socket.seams
    assert (seam.at, seam.older, seam.newer, seam.verdict) == (
        AT.replace(second=0),
        "cache",
        "websocket",
        SeamVerdict.PENDING,
    )
    assert by_socket.trace.seams == by_socket.seams


async def test_the_socket_takes_nothing_from_the_budget(desk):
    sandbox, api = desk
    await api.request_data_sync(NEWEST)
    before = candle_calls(sandbox)
    assert (await api.request_data_sync(NEWEST)).trace.served_by == ("cache", "websocket")
    assert candle_calls(sandbox) == before


async def test_a_quiet_market_has_no_gap_whoever_is_asked(open_market):
    async with open_market(starts_at=AT, speed=1.0) as (sandbox, api):
        quiet = next(
            market.symbol
            for market in await api.get_markets()
            if market.symbol.startswith("KRW-")
            and not sandbox.market.candles(
                market.symbol, "1m", sandbox.now_ms() // 60_000 * 60_000, sandbox.now_ms() + 20_000
            )
        )
        await api.get_candles(quiet, "1m", start=AT - 24 * HOUR, end=AT.replace(second=0))
        answers = [await api.get_candles(quiet, "1m", 5) for _ in range(4)]
        assert {answer.trace.rule for answer in answers} == {"candles-hybrid"}
        assert {len(answer) for answer in answers} == {5}
        assert [answer.gaps() for answer in answers] == [()] * 4
        assert [answer.coverage.asked for answer in answers] == [answers[0].coverage.asked] * 4


async def test_explaining_is_no_turn(desk):
    _, api = desk
    plans = [api.explain(NEWEST) for _ in range(3)]
    assert plans[0] == plans[1] == plans[2]
    assert (await api.request_data_sync(NEWEST)).trace.rule == plans[0].rule


async def test_when_rest_is_out_the_socket_gives_every_tip(desk):
    _, api = desk
    api.update_channel_performance("rest", 5000.0, success=False)
    answers = [await api.request_data_sync(NEWEST) for _ in range(3)]
    assert [answer.trace.served_by for answer in answers] == [("cache", "websocket")] * 3


async def test_when_the_socket_is_out_rest_gives_every_tip(desk):
    _, api = desk
    api.update_channel_performance("websocket", 5000.0, success=False)
    answers = [await api.request_data_sync(NEWEST) for _ in range(3)]
    assert [answer.trace.served_by for answer in answers] == [("cache", "rest")] * 3


async def test_a_channel_that_fails_on_its_turn_is_replaced_by_the_other(desk):
    sandbox, api = desk
    await api.request_data_sync(NEWEST)
    sandbox.inject(Fault("refuse-upgrades"))
    answer = await api.request_data_sync(NEWEST)
    assert answer.trace.served_by == ("cache", "rest")
    assert "websocket" in answer.trace.channels
    assert len(answer) == 30


async def test_what_is_held_too_thinly_goes_to_rest_and_blames_nobody(desk):
    _, api = desk
    await api.request_data_sync(NEWEST)
    answer = await api.request_data_sync(create_candle_request("KRW-BTC", "1m", 100))
    assert len(answer) == 100
    assert "rest" in answer.trace.served_by
    assert api.channel_health()["websocket"].success_rate == 1.0


async def test_who_prefers_the_freshest_always_asks_the_venue(open_market):
    async with open_market(starts_at=AT, speed=1.0, policy=PreferFreshest()) as (_, api):
        await api.get_candles("KRW-BTC", "1m", start=AT - HOUR, end=AT.replace(second=0))
        answers = [await api.request_data_sync(NEWEST) for _ in range(3)]
        assert [answer.trace.served_by for answer in answers] == [("cache", "rest")] * 3
        await asyncio.sleep(0)
