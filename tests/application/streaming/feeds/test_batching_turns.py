"""Turns: given to who was woken, unless they have had it."""

import asyncio

import pytest

from market_backbone import DataKind, TickerUpdated, TradeReceived
from market_backbone.application.streaming.delivery.event_buffer import FollowedEvents
from market_backbone.application.streaming.feeds.batching import LoopYield
from market_backbone.application.streaming.feeds.context import FRAMES_IN_A_ROW
from market_backbone.domain.streaming import Received


class Woken:
    """A task that waits to be woken, and notes that it went on."""

    def __init__(self):
        self.times = 0
        self._bell = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            await self._bell.wait()
            self._bell.clear()
            self.times += 1

    async def wake(self):
        self._bell.set()


async def test_who_was_woken_since_the_last_turn_has_been_running_when_the_next_is_given():
    woken, turn = Woken(), LoopYield()
    await asyncio.sleep(0)
    for time in range(1, 4):
        await woken.wake()
        await turn.run_woken()
        await woken.wake()
        await turn.run_woken()
        assert woken.times >= time
    woken.task.cancel()


async def test_a_turn_that_all_have_had_already_costs_no_round_of_the_loop():
    turn, rounds = LoopYield(), []
    await turn.run_woken()
    await asyncio.sleep(0)  # as when nothing has come yet
    asyncio.get_running_loop().call_soon(rounds.append, 1)
    await turn.run_woken()
    assert rounds == []
    await turn.run_woken()
    assert rounds == [1], "nobody has had a turn since"


async def test_who_is_woken_without_a_turn_before_it_has_had_one_when_the_next_is_given():
    woken, turn = Woken(), LoopYield()
    await turn.run_woken()
    await asyncio.sleep(0)  # as when nothing has come yet
    turn.note_wakeup()
    await woken.wake()
    await turn.run_woken()
    assert woken.times == 1
    woken.task.cancel()


@pytest.mark.parametrize("kind", [DataKind.TICKER, DataKind.TRADE])
async def test_who_keeps_up_loses_nothing_of_a_stream_that_waits_in_the_middle_of_a_reading(kit, make_scene, kind):
    scene = make_scene(kind)
    _, small = scene.follow(scene.topic, capacity=FRAMES_IN_A_ROW + 1)
    make = (lambda n: kit.ticker(second=n, source="websocket")) if kind is DataKind.TICKER else kit.trade
    read, number = [], 0

    async def keep_up():
        async for event in FollowedEvents(small.buffer):
            if isinstance(event, TickerUpdated | TradeReceived):
                read.append(event)  # noqa: PERF401 - counted while it grows

    def give(count, read_at):
        nonlocal number
        for _ in range(count):
            number += 1
            scene.stream.items.put_nowait(Received(scene.topic, make(number), 1, False, read_at))

    async def settle():
        for _ in range(50):
            await asyncio.sleep(0)

    await scene.open()
    scene.stream.begin()
    reader = asyncio.create_task(keep_up())
    await settle()
    give(1, 5000.0)
    await settle()
    give(FRAMES_IN_A_ROW - 1, 5000.0)
    give(FRAMES_IN_A_ROW, 5001.0)
    await settle()
    assert not small.buffer.has_failed
    assert len(read) == number
    reader.cancel()
