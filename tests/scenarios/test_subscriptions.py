"""Subscriptions over real sockets: counted, merged before the old ones end, and nothing is lost by a change."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from waiting import until

from market_backbone import CandleUpdated, TradeReceived, create_realtime_request
from market_backbone.application.streaming.feeds.rebalancer import MAX_SOCKETS

SPEED = 4.0
OTHERS = ("KRW-ETH", "KRW-XRP", "KRW-SOL", "KRW-DOGE", "KRW-ADA")


@pytest.fixture
async def tasks():
    async with asyncio.TaskGroup() as group:
        started = []

        def start(work):
            started.append(group.create_task(work))
            return started[-1]

        yield start
        for task in started:
            task.cancel()


@asynccontextmanager
async def collecting(api, tasks, request, kept):
    """Follow in the background; what comes gathers in ``kept``."""

    async def read(events):
        async for event in events:
            kept.append(event)

    async with api.follow(request) as events:
        task = tasks(read(events))
        try:
            yield
        finally:
            task.cancel()


def trades_request(symbol):
    return create_realtime_request(symbol, kind="trade")


def trade_ids(events):
    return [event.trade.sequential_id for event in events if isinstance(event, TradeReceived)]


def missing(sandbox, symbol, events, end):
    trades = [event.trade for event in events if isinstance(event, TradeReceived)]
    begin = round(trades[0].traded_at.timestamp() * 1000)
    truth = {trade.sequential_id for trade in sandbox.market.trades(symbol, begin, end)}
    return {number for number in truth if number >= trades[0].sequential_id} - set(trade_ids(events))


def open_sockets(sandbox):
    return len(sandbox._server._sockets)


async def test_a_thousand_followers_of_one_symbol_are_one_subscription(open_market, tasks):
    async with open_market(speed=5.0) as (sandbox, api), AsyncExitStack() as streams:
        kept = [[] for _ in range(1000)]
        for events in kept:
            await streams.enter_async_context(collecting(api, tasks, trades_request("KRW-BTC"), events))
        await until(lambda: all(len(events) >= 20 for events in kept), seconds=30)
        await streams.aclose()
        assert (sandbox.counters.websocket_connects, sandbox.counters.messages) == (1, 1)
        for events in kept:
            ids = trade_ids(events)
            assert len(ids) == len(set(ids))
        (full, *rest) = [trade_ids(events) for events in kept]
        last = min(ids[-1] for ids in rest)
        assert all(set(full[: full.index(last)]) >= set(ids[: ids.index(last)]) for ids in rest)
        assert all(full[full.index(ids[0]) : full.index(last)] == ids[: ids.index(last)] for ids in rest)


async def test_every_follower_of_a_candle_gets_every_final_one_once(open_market, tasks):
    async with open_market(speed=15.0) as (sandbox, api), AsyncExitStack() as streams:
        kept = [[] for _ in range(50)]
        for events in kept:
            await streams.enter_async_context(collecting(api, tasks, create_realtime_request("KRW-BTC", "1m"), events))

        def finals(events):
            return [e.candle.opened_at for e in events if isinstance(e, CandleUpdated) and e.candle.is_final]

        await until(lambda: all(len(finals(events)) >= 3 for events in kept), seconds=30)
        assert sandbox.counters.websocket_connects == 1
        assert {tuple(finals(events)[:3]) for events in kept} == {tuple(finals(kept[0])[:3])}
        assert all(finals(events) == sorted(set(finals(events))) for events in kept)


async def test_codes_come_and_go_and_those_who_stay_lose_nothing(open_market, tasks):
    async with open_market(speed=SPEED) as (sandbox, api), AsyncExitStack() as streams:
        stays, comes = [], {symbol: [] for symbol in OTHERS}
        await streams.enter_async_context(collecting(api, tasks, trades_request("KRW-BTC"), stays))
        await until(lambda: len(stays) >= 5)
        most = 0
        leaving = {}
        for symbol in OTHERS:
            leaving[symbol] = await streams.enter_async_context(AsyncExitStack())
            await leaving[symbol].enter_async_context(collecting(api, tasks, trades_request(symbol), comes[symbol]))
            await asyncio.sleep(2.0 / SPEED)
            most = max(most, open_sockets(sandbox))
        await leaving["KRW-ETH"].aclose()
        await leaving["KRW-SOL"].aclose()
        assert most > 1
        await until(lambda: open_sockets(sandbox) <= MAX_SOCKETS, seconds=20)
        seen = len(stays)
        await until(lambda: len(stays) > seen + 20)
        now = sandbox.now_ms()
        await until(lambda: not missing(sandbox, "KRW-BTC", stays, now))
        assert len(trade_ids(stays)) == len(set(trade_ids(stays)))
        assert {event.trade.source for event in stays if isinstance(event, TradeReceived)} == {"websocket"}
        assert not [event for event in stays if not isinstance(event, TradeReceived)]
        for symbol in ("KRW-XRP", "KRW-DOGE", "KRW-ADA"):
            await until(lambda symbol=symbol: not missing(sandbox, symbol, comes[symbol], now))
            assert len(trade_ids(comes[symbol])) == len(set(trade_ids(comes[symbol])))
        again = []
        connects = sandbox.counters.websocket_connects
        await streams.enter_async_context(collecting(api, tasks, trades_request("KRW-BTC"), again))
        await until(lambda: again)
        assert sandbox.counters.websocket_connects == connects


@pytest.mark.parametrize(("capacity", "in_a_row"), [(1, 1), (20, 10), (10_000, 64)])
async def test_readers_have_a_turn_before_half_of_what_may_wait_for_them_has_come_at_once(
    open_market, capacity, in_a_row
):
    async with open_market(settings={"follow.event_capacity": capacity}) as (_, api):
        assert api._parts.hub.options.frames_in_a_row == in_a_row
