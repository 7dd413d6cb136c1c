"""Both channels as the container builds them, and end to end against the exchange in the box."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.errors import ConfigurationError, UnknownSymbolError
from market_backbone.domain.finality import Finality, Grace
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import LifeBegan, LifeEnded, Received
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.timeframe import Timeframe
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime
from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig
from market_backbone.infrastructure.upbit import rest_channel, websocket_channel

BTC = Symbol("KRW-BTC")


def context_of(name, **upbit):
    clock = MarketClock(follows_speed=True)
    return AdapterContext(
        name=name,
        options={
            "upbit": upbit,
            "budget": {"requests_per_s": 9, "first_jitter_s": 3.0, "least_jitter_s": 3.0},
            "cache": {"folder": "elsewhere"},
        },
        clock=clock,
        server_time=MeasuredServerTime(clock),
        grace=Grace(),
    )


async def test_the_factories_read_their_sections_and_leave_those_of_others_alone():
    rest, websocket = rest_channel(context_of("rest", region="sg")), websocket_channel(context_of("websocket"))

    assert (rest.venue, websocket.venue) == ("upbit-sg", "upbit-kr")
    assert (rest.client.identity.is_official, rest.client._name) == (True, "rest")
    assert rest.client.server_time is rest._context.server_time
    with pytest.raises(ConfigurationError, match="region must be one of kr sg id th"):
        rest_channel(context_of("rest", region="jp"))
    await rest.close()
    await websocket.close()


@pytest.fixture
async def box():
    """A sandbox sixty times faster than the world, with both channels connected to it."""
    starts_at = datetime(2026, 3, 11, 14, 40, 30, tzinfo=UTC)
    async with Sandbox(SandboxConfig(seed=3, speed=60.0, starts_at=starts_at)) as sandbox:
        context = context_of("rest", rest_url=sandbox.rest_url)
        rest = rest_channel(context)
        await rest.get_markets()
        shared = AdapterContext(
            name="websocket",
            options={"upbit": {"websocket_url": sandbox.websocket_url}},
            clock=context.clock,
            server_time=context.server_time,
            grace=context.grace,
        )
        websocket = websocket_channel(shared)
        yield sandbox, rest, websocket
        await websocket.close()
        await rest.close()


async def test_the_sandbox_is_its_own_venue_and_the_server_time_is_within_its_bounds(box):
    sandbox, rest, websocket = box
    await websocket.get_ticker(BTC)

    assert rest.venue == websocket.venue == f"sandbox:{sandbox.dataset}"
    time = rest._context.server_time
    for _ in range(5):
        await rest.get_ticker(BTC)
        earliest, now_ms, latest = time.earliest(), sandbox.now_ms(), time.latest()
        assert earliest.timestamp() * 1000 <= now_ms
        assert now_ms - 60_000 * 0.5 <= latest.timestamp() * 1000
    assert time.measured.restarts == 0


async def test_the_forming_candle_of_the_socket_is_the_one_of_rest(box):
    _, rest, websocket = box
    topic = Topic(DataKind.CANDLE, BTC, Timeframe.M1)
    views = {}

    async with asyncio.timeout(20), websocket.open_stream([topic]) as stream:
        async for item in stream:
            if isinstance(item, Received):
                views[item.value.opened_at] = item.value
            if len(views) == 3:
                break
    first, second, _ = sorted(views)
    await rest._context.clock.sleep(10)
    series = await rest.get_candles(BTC, "1m", start=second, end=second + timedelta(minutes=1))

    assert series[0].is_same_market_data(views[second]), first
    assert series[0].finality is Finality.FINAL
    assert series.gaps() == ()


async def test_pages_back_to_back_join_without_a_hole_and_without_a_refusal(box):
    sandbox, rest, _ = box
    end, coverage, openings = datetime(2026, 3, 11, 12, tzinfo=UTC), None, []

    for _ in range(25):
        series = await rest.get_candles(BTC, "1m", count=200, end=end)
        openings = [candle.opened_at for candle in series] + openings
        coverage = series.coverage if coverage is None else coverage.join(series.coverage)
        end = openings[0]

    assert len(openings) == len(set(openings)) == 5000
    assert openings == sorted(openings)
    assert list(coverage.gaps(openings, Timeframe.M1)) == []
    assert (sandbox.counters.refusals, sandbox.counters.blocks) == (0, 0)


async def test_sockets_that_the_exchange_drops_come_back_with_a_new_life(box):
    sandbox, _, websocket = box
    topics = [Topic(DataKind.TRADE, BTC), Topic(DataKind.ORDERBOOK, BTC)]
    lives = []

    async with asyncio.timeout(20), websocket.open_stream(topics) as stream:
        async for item in stream:
            if isinstance(item, LifeBegan):
                lives.append(item.life)
            if isinstance(item, Received) and item.life == len(lives) < 3 and item.is_snapshot:
                sandbox.inject(Fault(kind="drop-sockets" if item.life == 1 else "close-sockets"))
            assert not isinstance(item, LifeEnded) or item.life == lives[-1]
            if len(lives) == 3:
                break

    assert lives == [1, 2, 3]


async def test_a_symbol_that_the_box_does_not_list_is_unknown(box):
    _, rest, _ = box

    with pytest.raises(UnknownSymbolError, match="unknown symbol 'KRW-NOPE'"):
        await rest.get_ticker("KRW-NOPE")
