"""A follower that joins on a bad day waits for its history, is told so, and goes on by itself."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from waiting import until

from market_backbone import (
    CandleUpdated,
    ClosedError,
    Degraded,
    HistoryLoaded,
    Recovered,
    TradeReceived,
    UnsupportedRequestError,
    create_realtime_request,
)
from market_backbone.application.runtime.tasks import TaskSupervisor
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.follow import HistoryLoader
from market_backbone.domain.errors import AllChannelsFailedError
from market_backbone.infrastructure.sandbox import Fault

SPEED = 30.0
MINUTE = timedelta(minutes=1)
REST_DEAD = Fault("rest-status", status=500)
SOCKETS_DEAD = Fault("refuse-upgrades", status=503)


class Reader:
    """Follows one request in the background and keeps what it gets."""

    def __init__(self, api, request):
        self.events = []
        self.error = None
        self.task = asyncio.create_task(self.read(api, request))

    async def read(self, api, request):
        try:
            async with api.follow(request) as events:
                async for event in events:
                    self.events.append(event)
        except ClosedError as error:
            self.error = error

    def kinds(self, *kinds):
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def finals(self):
        return [event.candle.opened_at for event in self.kinds(CandleUpdated) if event.candle.is_final]


@pytest.mark.parametrize("dead", [[REST_DEAD], [REST_DEAD, SOCKETS_DEAD]])
async def test_history_that_cannot_be_had_when_the_follower_joins_comes_first_once_it_can(open_market, dead):
    async with open_market(speed=SPEED) as (sandbox, api):
        await api.get_ticker("KRW-BTC")
        for fault in dead:
            sandbox.inject(fault)
        reader = Reader(api, create_realtime_request("KRW-BTC", "1m", history=10))
        await until(lambda: reader.kinds(Degraded), seconds=20)
        await asyncio.sleep(60 / SPEED)
        assert not reader.task.done()
        assert reader.kinds(HistoryLoaded, CandleUpdated) == [], "live events wait behind the history"
        assert "cannot be read yet" in reader.kinds(Degraded)[0].reason
        sandbox.clear_faults()
        await until(lambda: len(reader.finals) >= 2, seconds=20)
        data = reader.kinds(HistoryLoaded, CandleUpdated)
        history = data[0].series
        assert (isinstance(data[0], HistoryLoaded), len(history)) == (True, 10)
        assert reader.kinds(Recovered)
        begin = next((candle.opened_at for candle in history if not candle.is_final), history[-1].closed_at)
        assert reader.finals[0] == begin
        assert all(later - earlier == MINUTE for earlier, later in pairwise(reader.finals))
        reader.task.cancel()


async def test_trades_that_were_missed_are_waited_for_in_the_same_way(open_market):
    async with open_market(speed=SPEED) as (sandbox, api):
        before = (await api.get_trades("KRW-BTC", 50))[0]
        sandbox.inject(REST_DEAD)
        reader = Reader(api, create_realtime_request("KRW-BTC", kind="trade", resume_after=before))
        await until(lambda: reader.kinds(Degraded), seconds=20)
        assert reader.kinds(TradeReceived) == []
        sandbox.clear_faults()
        await until(lambda: len(reader.kinds(TradeReceived)) >= 100, seconds=20)
        ids = [event.trade.sequential_id for event in reader.kinds(TradeReceived)]
        first, last = (round(one.traded_at.timestamp() * 1000) for one in (before, reader.events[-1].trade))
        truth = {trade.sequential_id for trade in sandbox.market.trades("KRW-BTC", first, last)}
        assert {number for number in truth if before.sequential_id < number < ids[-1]} <= set(ids)
        assert len(ids) == len(set(ids))
        reader.task.cancel()


async def test_the_api_can_be_closed_while_a_follower_waits_for_its_history(open_market):
    async with open_market(speed=SPEED) as (sandbox, api):
        await api.get_ticker("KRW-BTC")
        sandbox.inject(REST_DEAD)
        reader = Reader(api, create_realtime_request("KRW-BTC", "1m", history=10))
        await until(lambda: reader.kinds(Degraded), seconds=20)
        await api.close()
        await until(reader.task.done)
        assert isinstance(reader.error, ClosedError)


class Desk:
    """An opening whose attempts fail as ordered."""

    def __init__(self, kit, *failures):
        self.failures, self.clock, self.reports = list(failures), kit.Clock(), []
        self.tasks = TaskSupervisor(lambda _, error: self.reports.append(error))
        self.subscriber = Subscriber.of(10, waits_for_history=True)
        self.asked_at, self.opened = [], False

    async def attempt(self):
        await asyncio.sleep(0)
        self.asked_at.append(self.clock.now)
        if self.failures:
            raise self.failures.pop(0)
        self.opened = True

    async def follow(self, condition):
        opening = HistoryLoader(
            subscriber=self.subscriber,
            attempt=self.attempt,
            channel="rest",
            clock=self.clock,
            tasks=self.tasks,
            name="it",
        )
        async with opening.retrying():
            while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0)


async def test_the_pauses_between_attempts_grow_to_half_a_minute(kit):
    desk = Desk(kit, AllChannelsFailedError("none", [kit.broken()]), *[kit.broken()] * 6)
    await desk.follow(lambda: desk.opened)
    assert [after - before for before, after in pairwise(desk.asked_at)] == [1, 2, 4, 8, 16, 30, 30]
    assert [type(event) for event in desk.subscriber.buffer.drain()] == [Degraded], "told once"


async def test_a_mistake_of_the_caller_ends_the_follower_at_once(kit):
    desk = Desk(kit, UnsupportedRequestError("never"))
    with pytest.raises(UnsupportedRequestError):
        await desk.follow(lambda: True)
    desk = Desk(kit, kit.broken(), UnsupportedRequestError("never"))
    await desk.follow(lambda: desk.subscriber.buffer.has_failed)
    await desk.subscriber.buffer.get()
    with pytest.raises(UnsupportedRequestError):
        await desk.subscriber.buffer.get()
    assert desk.reports == []


async def test_a_fault_of_our_own_ends_the_follower_and_is_reported(kit):
    desk = Desk(kit, kit.broken(), KeyError("nobody thought of this"))
    await desk.follow(lambda: desk.subscriber.buffer.has_failed)
    assert [type(error) for error in desk.reports] == [KeyError]


async def test_whenever_it_is_cancelled_no_task_is_left(kit):
    for turn in range(40):
        desk = Desk(kit, *[kit.broken()] * 10)
        task = asyncio.create_task(desk.follow(lambda: False))
        await kit.turns(turn)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert desk.tasks.count == 0


async def test_closing_ends_a_follower_that_waits_for_its_first_sign(open_market):
    async with open_market(speed=1.0) as (sandbox, api):
        sandbox.inject(Fault("stall"))
        sandbox.inject(Fault("maintenance"))
        entering = asyncio.create_task(anext_of(api, create_realtime_request("KRW-BTC", history=5)))
        await asyncio.sleep(0.5)
        async with asyncio.timeout(5):
            await api.close()
            with pytest.raises(ClosedError):
                await entering


async def anext_of(api, request):
    async with api.follow(request) as events:
        async for event in events:
            if not isinstance(event, Degraded):
                return
