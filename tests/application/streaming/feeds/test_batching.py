"""Batches: whatever comes, in its order, grouped as far as it belongs together; and turns between them."""

import asyncio
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import DataKind, TickerUpdated, TradeReceived
from market_backbone.application.streaming.delivery.event_buffer import FollowedEvents
from market_backbone.application.streaming.feeds.batching import LoopYield, batch_by_topic
from market_backbone.application.streaming.feeds.context import FRAMES_IN_A_ROW
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import LifeBegan, Received

TOPICS = [Topic(DataKind.TRADE, code) for code in ("KRW-BTC", "KRW-ETH")]
values = st.builds(
    lambda topic, read_at: Received(topic, object(), 1, False, read_at),
    st.sampled_from(TOPICS),
    st.sampled_from([1.0, 2.0]),
)
items = st.lists(st.one_of(values, st.builds(LifeBegan, st.integers(1, 3))), max_size=30)


def belong_together(item):
    return (item.topic, item.received_at) if isinstance(item, Received) else id(item)


@given(items, st.integers(1, 5))
def test_runs_hold_every_item_once_in_order_and_are_as_long_as_they_may_be(came, longest):
    found = list(batch_by_topic(came, longest))
    flat = [item for run in found for item in (run if isinstance(run, list) else [run])]
    assert list(map(id, flat)) == list(map(id, came))
    expected = [len(list(group)) for _, group in groupby(came, belong_together)]
    cut = [min(longest, many - start) for many in expected for start in range(0, many, longest)]
    assert [len(run) if isinstance(run, list) else 1 for run in found] == cut


def test_equal_topics_that_are_two_objects_are_told_apart_which_costs_time_and_nothing_else():
    twins = [Topic(DataKind.TRADE, "KRW-BTC") for _ in range(2)]
    came = [Received(topic, object(), 1, False, 1.0) for topic in twins]
    assert [len(run) for run in batch_by_topic(came, 9)] == [1, 1]


def test_an_item_is_asked_for_only_when_the_run_before_it_may_go_on():
    asked = []

    def come():
        for number in range(5):
            asked.append(number)
            yield Received(TOPICS[0], object(), 1, False, 1.0)

    runs = batch_by_topic(come(), 2)
    next(runs)
    assert asked == [0, 1, 2], "the third shows that the run is over; the others wait as bytes"


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
