"""How soon the data goes on when a socket breaks, over real sockets; seconds are the market's."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from waiting import until

from market_backbone import (
    ChannelSwitched,
    CircuitState,
    ClosedError,
    Degraded,
    Recovered,
    SubscriptionUnanswered,
    create_realtime_request,
)
from market_backbone.infrastructure.sandbox import Fault

SPEED = 4.0
PATIENCE_S = 20.0


class Listener:
    """Follows one topic and keeps every event with the market's time of its arrival."""

    def __init__(self, sandbox, api, symbol, kind, **rest):
        self.sandbox, self.api = sandbox, api
        self.symbol, self.kind = symbol, kind
        self.request = create_realtime_request(symbol, kind=kind, **rest)
        self.events = []

    async def read(self):
        try:
            async with self.api.follow(self.request) as events:
                async for event in events:
                    self.events.append((self.sandbox.now_ms(), event))
        except ClosedError:
            return

    def kinds(self, *kinds):
        return [event for _, event in self.events if isinstance(event, kinds)]

    def values(self, since_ms=0):
        found = [(at, getattr(event, self.kind, None)) for at, event in self.events if at >= since_ms]
        return [(at, value) for at, value in found if value is not None]

    def first_from(self, source, since_ms):
        return next((at for at, value in self.values(since_ms) if value.source == source), None)

    @property
    def is_live(self):
        values = self.values()
        return bool(values) and values[-1][1].source == "websocket"

    @property
    def ids(self):
        return [value.sequential_id for _, value in self.values()]

    def lost(self, end):
        """Which trades of the market, up to an instant, have not come."""
        values = [value for _, value in self.values()]
        begin = round(values[0].traded_at.timestamp() * 1000)
        truth = {trade.sequential_id for trade in self.sandbox.market.trades(self.symbol, begin, end)}
        return {number for number in truth if number >= values[0].sequential_id} - set(self.ids)

    async def has_all(self):
        """Wait until every trade up to now has come, and see that none came twice."""
        now = self.sandbox.now_ms()
        await until(lambda: not self.lost(now), seconds=PATIENCE_S)
        assert len(self.ids) == len(set(self.ids))


async def warm_up(api):
    """Let the sandbox reckon all tickers, which holds up the loop for a while, once."""
    await api._channel_router.channels["rest"].get_all_tickers(["KRW"])


@pytest.fixture
async def listen():
    """Follow many things at once: ``await listen(sandbox, api, [(symbol, kind), …])``."""
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        reading = []

        async def begin(sandbox, api, wanted):
            listeners = [Listener(sandbox, api, *each) for each in wanted]
            reading.extend(tasks.create_task(listener.read()) for listener in listeners)
            return listeners

        yield begin
        for task in reading:
            task.cancel()


WANTED = [
    *((symbol, "ticker") for symbol in ("KRW-BTC", "KRW-ETH", "KRW-XRP")),
    *((symbol, "orderbook") for symbol in ("KRW-BTC", "KRW-ETH", "KRW-XRP")),
    *((symbol, kind) for symbol in ("KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL") for kind in ("candle", "trade")),
]


async def test_a_lost_socket_is_replaced_within_a_second_for_everything_that_is_followed(open_market, listen):
    async with open_market(speed=1.0) as (sandbox, api):
        listeners = await listen(sandbox, api, WANTED)
        await warm_up(api)
        await until(lambda: all(listener.is_live for listener in listeners))
        before, lost_at = dict(sandbox.counters.requests), sandbox.now_ms()
        sandbox.inject(Fault("refuse-upgrades", status=503))
        sandbox.inject(Fault("drop-sockets"))
        subscriptions = api._parts.hub.live_view.feeds[0].subscriptions.values()
        await until(
            lambda: all(one.fresh_at > one.connection.detector.last_read_at for one in subscriptions), seconds=5
        )
        cut_at = max(one.connection.detector.last_read_at for one in subscriptions)
        asked = {group: sandbox.counters.requests[group] - before.get(group, 0) for group in ("ticker", "orderbook")}
        assert max(one.fresh_at for one in subscriptions) - cut_at <= 1.0
        assert max(asked.values()) <= 2 + (sandbox.now_ms() - lost_at) / 1000, (
            "one call for all of a kind, once a second"
        )
        sandbox.clear_faults()
        await until(lambda: all(one.is_live for one in listeners if one.kind == "trade"), seconds=25)
        for listener in listeners:
            if listener.kind == "trade":
                await listener.has_all()


@pytest.mark.parametrize("pongs", [True, False])
async def test_a_silent_stall_is_noticed_within_five_seconds(open_market, listen, pongs):
    async with open_market(speed=SPEED) as (sandbox, api):
        (listener,) = await listen(sandbox, api, [("KRW-BTC", "trade")])
        await until(lambda: listener.is_live)
        stalled_at = sandbox.now_ms()
        sandbox.inject(Fault("stall", duration_s=12, pongs=pongs))
        await until(lambda: [e for e in listener.kinds(ChannelSwitched) if e.new == "rest"])
        switched_at = next(at for at, e in listener.events if isinstance(e, ChannelSwitched) and e.new == "rest")
        assert switched_at - stalled_at <= 5000 + 200, "a book changes every 0.1 s"
        await until(lambda: listener.is_live and listener.kinds(ChannelSwitched)[-1].new == "websocket")
        await listener.has_all()


async def test_a_single_dead_code_is_found_within_35_seconds_and_nobody_else_is_disturbed(open_market, listen):
    async with open_market(speed=SPEED) as (sandbox, api):
        await warm_up(api)
        wanted = [(symbol, "trade") for symbol in ("KRW-BTC", "KRW-ETH", "KRW-XRP")]
        listeners = await listen(sandbox, api, wanted)
        await until(lambda: all(listener.is_live for listener in listeners))
        dead_at, connects = sandbox.now_ms(), sandbox.counters.websocket_connects
        sandbox.inject(Fault("dead-code", symbol="KRW-ETH", channel="trade"))
        dead = listeners[1]
        await until(lambda: dead.kinds(ChannelSwitched))
        switched_at = next(at for at, event in dead.events if isinstance(event, ChannelSwitched))
        assert switched_at - dead_at <= 36_000
        await until(lambda: dead.first_from("rest", dead_at))
        await until(lambda: sandbox.counters.websocket_connects > connects)
        sandbox.clear_faults()
        await until(lambda: dead.is_live, seconds=30)
        assert [listener.kinds(ChannelSwitched) for listener in (listeners[0], listeners[2])] == [[], []]
        for listener in listeners:
            await listener.has_all()


async def test_a_code_that_answers_nothing_is_reported_and_served_by_rest(open_market, listen):
    async with open_market(speed=10.0) as (sandbox, api):
        sandbox.inject(Fault("dead-code", symbol="KRW-ETH"))
        listeners = await listen(sandbox, api, [("KRW-BTC", "trade"), ("KRW-ETH", "trade")])
        await until(lambda: listeners[1].kinds(SubscriptionUnanswered))
        assert str(listeners[1].kinds(SubscriptionUnanswered)[0].topic) == "trade:KRW-ETH"
        await until(lambda: listeners[1].values() and listeners[1].values()[-1][1].source == "rest")
        assert listeners[0].kinds(SubscriptionUnanswered) == []


async def test_after_an_outage_of_everything_one_subscription_brings_all_back(open_market, listen):
    async with open_market(speed=20.0) as (sandbox, api):
        listeners = await listen(sandbox, api, [("KRW-BTC", "trade")])
        await until(lambda: listeners[0].is_live)
        listeners += await listen(sandbox, api, [("KRW-ETH", "trade")])
        await until(lambda: listeners[1].is_live)
        sandbox.inject(Fault("maintenance", hours=0.04, status=503))
        await until(lambda: all(listener.kinds(Degraded) for listener in listeners))
        accepted = sandbox.counters.websocket_connects
        await until(lambda: all(listener.kinds(Recovered) and listener.is_live for listener in listeners), seconds=40)
        refused = sandbox.counters.refused_upgrades
        assert refused <= 20
        assert sandbox.counters.websocket_connects == accepted + 1
        assert [len(listener.kinds(Degraded)) for listener in listeners] == [1, 1]
        assert all(listener.kinds(Recovered) for listener in listeners)
        for listener in listeners:
            await listener.has_all()


async def test_a_market_that_stands_still_makes_no_needless_switch(open_market, listen):
    """At a speed at which what holds up a busy machine for a moment is no second of the market."""
    async with open_market(speed=20.0) as (sandbox, api):
        await warm_up(api)
        (listener,) = await listen(sandbox, api, [("KRW-BTC", "ticker")])
        await until(lambda: listener.is_live)
        before, connects = len(listener.kinds(ChannelSwitched)), sandbox.counters.websocket_connects
        sandbox.inject(Fault("outage", hours=0.05))
        await asyncio.sleep(180 / 20)
        assert len(listener.kinds(ChannelSwitched)) == before
        assert sandbox.counters.websocket_connects == connects


@pytest.mark.parametrize("sockets", [1, 2, 3])
async def test_whoever_lost_a_socket_is_back_on_one_within_five_seconds_however_many_were_lost(
    open_market, listen, sockets
):
    """All sockets lost at one instant are one incident: it opens no circuit."""
    async with open_market(speed=SPEED) as (sandbox, api):
        await warm_up(api)
        listeners = []
        for symbol in ("KRW-BTC", "KRW-ETH", "KRW-XRP")[:sockets]:
            listeners += await listen(sandbox, api, [(symbol, "ticker")])
            await until(lambda newest=listeners[-1]: newest.is_live)
        assert sandbox.counters.websocket_connects == sockets
        lost_at = sandbox.now_ms()
        sandbox.inject(Fault("drop-sockets"))

        def back_at(listener):
            switches = [(at, e.new) for at, e in listener.events if isinstance(e, ChannelSwitched) and at >= lost_at]
            return next((at for at, new in switches if new == "websocket"), None)

        await until(lambda: all(map(back_at, listeners)))
        assert max(map(back_at, listeners)) - lost_at <= 5000
        assert api.channel_health()["websocket"].circuit is CircuitState.CLOSED
