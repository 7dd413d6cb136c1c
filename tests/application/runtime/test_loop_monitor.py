"""The loop watch: it notices that nothing ran, says so once a minute, and runs only while somebody follows."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from watching import Watcher

from market_backbone import LoopBlocked
from market_backbone.application.runtime.loop_monitor import LoopMonitor
from market_backbone.application.runtime.tasks import TaskSupervisor
from market_backbone.application.runtime.telemetry import Telemetry


class LateClock:
    """Market time runs twice as fast as real time; each sleep takes as much longer as the test says."""

    def __init__(self, *late_s):
        self.now, self.late_s = 0.0, list(late_s)
        self.slept = []

    def monotonic(self):
        return self.now

    def to_real_s(self, seconds):
        return seconds / 2

    async def sleep(self, seconds):
        self.slept.append(seconds)
        if not self.late_s:
            await asyncio.Event().wait()
        self.now += seconds + 2 * self.late_s.pop(0)
        await asyncio.sleep(0)


async def watched(clock):
    watcher, tasks = Watcher(), TaskSupervisor(lambda *_: None)
    async with LoopMonitor(clock, tasks, Telemetry(watcher, [watcher])).watching():
        for _ in range(20):
            await asyncio.sleep(0)
    assert tasks.count == 0
    return watcher


async def test_a_blocked_loop_is_told_with_how_long():
    watcher = await watched(LateClock(0.0, 0.3))
    assert [round(one.real_s, 6) for one in watcher.of(LoopBlocked)] == [0.3]
    assert [one["seconds"] for one in watcher.told("loop_blocked")] == [0.3]


async def test_a_little_lateness_is_no_news():
    watcher = await watched(LateClock(0.2, 0.24, 0.2))
    assert (watcher.seen, watcher.events) == ([], [])


async def test_it_is_written_once_a_minute_and_observed_each_time():
    watcher = await watched(LateClock(0.3, 0.4, 59.0, 0.5))
    assert len(watcher.of(LoopBlocked)) == 4
    assert [one["seconds"] for one in watcher.told("loop_blocked")] == [0.3, 0.5]


async def test_it_looks_every_tenth_of_a_real_second():
    clock = LateClock(0.0, 0.0)
    await watched(clock)
    assert clock.slept == [0.2] * 3


async def test_it_runs_while_anybody_uses_it_and_not_a_moment_longer():
    tasks = TaskSupervisor(lambda *_: None)
    watch = LoopMonitor(LateClock(), tasks, Telemetry())
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(watch.watching())
        await second.enter_async_context(watch.watching())
        assert (watch.is_running, tasks.count) == (True, 1)
        await first.aclose()
        assert (watch.is_running, tasks.count) == (True, 1)
    assert (watch.is_running, tasks.count) == (False, 0)
    async with watch.watching():
        assert watch.is_running


@pytest.mark.parametrize("turn", range(4))
async def test_cancelled_at_any_moment_it_leaves_no_task(turn):
    tasks = TaskSupervisor(lambda *_: None)
    watch = LoopMonitor(LateClock(), tasks, Telemetry())

    async def use():
        async with watch.watching():
            await asyncio.Event().wait()

    task = asyncio.ensure_future(use())
    for _ in range(turn):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert (watch.is_running, tasks.count) == (False, 0)
