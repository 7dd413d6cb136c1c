"""Steps of subscriptions.feature."""

import asyncio

import pytest
from pytest_bdd import given, scenarios, then, when

from market_backbone import ChannelSwitched, SubscriptionUnanswered, TradeReceived, create_realtime_request
from market_backbone.infrastructure.sandbox import Fault

scenarios("subscriptions.feature")


@given("a desk at an open market")
def an_open_market(desk):
    """At a speed at which what holds up a busy machine for a moment is no silence of the market."""
    desk.open_market(speed=10.0)
    desk.open()


OTHERS = ("KRW-ETH", "KRW-XRP", "KRW-SOL", "KRW-DOGE", "KRW-ADA")
LEFT = 2
MAX_OPEN = 3
APART_S = 0.1
SETTLED_MS = 3_000


@pytest.fixture
def others(desk):
    """Follow other codes in the background; each can be left on its own."""
    readings = []

    def follow(symbol):
        async def read():
            async with desk.api.follow(create_realtime_request(symbol, kind="trade")) as events:
                async for _ in events:
                    pass

        async def begin():
            readings.append(asyncio.get_running_loop().create_task(read()))
            await asyncio.sleep(APART_S)

        desk.run(begin())
        return readings[-1]

    async def leave(reading):
        reading.cancel()
        await asyncio.wait([reading])

    yield follow, lambda reading: desk.run(leave(reading))
    for reading in readings:
        desk.run(leave(reading))


@given("the stream tells nothing of KRW-BTC")
def silent_from_the_beginning(desk):
    desk.sandbox.inject(Fault("dead-code", symbol="KRW-BTC", channel="trade"))


@when("five more codes are followed one after another, and two of them are left again")
def come_and_go(desk, others):
    desk.mark = len(desk.events)
    follow, leave = others
    readings = [follow(symbol) for symbol in OTHERS]
    for reading in readings[:LEFT]:
        leave(reading)


@when("somebody else follows the trades of KRW-BTC")
def follow_the_same(desk, others):
    desk.answer = desk.sandbox.counters.messages
    others[0]("KRW-BTC")


@when("the desk waits for the trades of KRW-BTC")
def wait_for_trades(desk):
    desk.follow(create_realtime_request("KRW-BTC", kind="trade"))


@then("at most three connections remain open")
def few_connections(desk):
    async def waiting():
        async with asyncio.timeout(20):
            while len(desk.sandbox._server._sockets) > MAX_OPEN:  # noqa: ASYNC110 - the sandbox tells nobody
                await asyncio.sleep(0.02)

    desk.run(waiting())


@then("the trades of KRW-BTC are complete, each once, and never left the websocket")
def complete(desk):
    seen = len(desk.events)
    desk.wait_until(lambda events: len(events) >= 40, since=seen)
    trades = [event.trade for event in desk.have(TradeReceived)]
    ids = [trade.sequential_id for trade in trades]
    first, last = (round(trade.traded_at.timestamp() * 1000) for trade in (trades[0], trades[-1]))
    truth = {trade.sequential_id for trade in desk.sandbox.market.trades("KRW-BTC", first, last - SETTLED_MS)}
    assert {number for number in truth if number >= ids[0]} <= set(ids)
    assert len(ids) == len(set(ids))
    assert desk.have(ChannelSwitched, desk.mark) == []


@then("no further subscription is made")
def none_more(desk):
    seen = len(desk.events)
    desk.wait_until(lambda events: len(events) >= 20, since=seen)
    assert desk.sandbox.counters.messages == desk.answer


@then("the desk is told that the stream probably does not know the trades of KRW-BTC")
def told_unknown(desk):
    desk.wait_until(lambda events: any(isinstance(event, SubscriptionUnanswered) for event in events))
    (told,) = desk.have(SubscriptionUnanswered)
    assert str(told.topic) == "trade:KRW-BTC"
