"""A user's callback may fail, wait and be cancelled; one that holds up the whole loop is named."""

import asyncio

import pytest

from market_backbone.application.callbacks import Callback


class Notes:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.told = []

    def info(self, event, **details):
        self.told.append((event, details))

    warning = info


class HandClock:
    """Time that passes only where a test says so."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def to_real_s(self, seconds):
        return seconds


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def notes():
    return Notes()


def made(call, notes, clock):
    return Callback(call, "request-1", notes, clock)


async def test_a_plain_callback_that_blocks_is_reported_with_how_long(notes, clock):
    def slow(_):
        clock.now += 0.4

    await made(slow, notes, clock).give("item")
    ((event, details),) = notes.told
    assert (event, details["request_id"], details["seconds"]) == ("callback_blocked", "request-1", 0.4)


async def test_an_async_callback_is_judged_by_its_longest_step_and_not_by_its_length(notes, clock):
    async def patient(_):
        for _ in range(50):
            clock.now += 0.05
            await asyncio.sleep(0)

    async def selfish(_):
        await asyncio.sleep(0)
        clock.now += 0.3
        await asyncio.sleep(0)

    await made(patient, notes, clock).give("item")
    assert notes.told == []
    await made(selfish, notes, clock).give("item")
    assert [details["seconds"] for _, details in notes.told] == [0.3]


async def test_a_callback_that_blocks_all_the_time_is_told_once_a_minute(notes, clock):
    def slow(_):
        clock.now += 1.0

    callback = made(slow, notes, clock)
    for _ in range(130):
        await callback.give("item")
    assert len(notes.told) == 3


async def test_a_callback_that_waits_really_waits_and_may_return_anything_awaitable(notes, clock):
    done = []

    async def waits(item):
        await asyncio.sleep(0.01)
        done.append(item)

    await made(waits, notes, clock).give(1)
    await made(lambda item: asyncio.ensure_future(waits(item)), notes, clock).give(2)
    assert done == [1, 2]
    assert notes.told == []


async def test_cancelling_reaches_the_callback_where_it_waits(notes, clock):
    ended = []

    async def waits(_):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    task = asyncio.create_task(made(waits, notes, clock).give(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]


async def test_what_a_callback_raises_after_waiting_is_reported_and_nothing_else_happens(notes, clock):
    async def fails(_):
        await asyncio.sleep(0)
        raise ValueError("mine")

    await made(fails, notes, clock).give("item")
    ((event, details),) = notes.told
    assert (event, details["error"]) == ("callback_failed", "ValueError: mine")


async def test_a_callback_that_awaits_a_task_of_its_own_that_was_cancelled_is_told_and_the_stream_goes_on(notes, clock):
    async def careless(_):
        mine = asyncio.ensure_future(asyncio.sleep(60))
        mine.cancel()
        await mine

    await made(careless, notes, clock).give("item")
    ((event, details),) = notes.told
    assert (event, details["error"][:14]) == ("callback_failed", "CancelledError")


async def test_when_the_request_itself_is_cancelled_the_callback_ends_with_it(notes, clock):
    async def patient(_):
        await asyncio.sleep(60)

    task = asyncio.ensure_future(made(patient, notes, clock).give("item"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert notes.told == []
