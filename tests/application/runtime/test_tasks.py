"""One owner of the background tasks: what it starts ends with it, and what fails is told once."""

import asyncio

import pytest

from market_backbone import ChannelUnavailableError, ClosedError
from market_backbone.application.runtime.tasks import (
    TaskSupervisor,
    cancel_all,
    cancel_and_wait,
    root_cause,
    spawn,
    spawn_shutdown,
)


@pytest.fixture
def reports():
    return []


@pytest.fixture
def tasks(reports):
    return TaskSupervisor(lambda name, error: reports.append((name, str(error))))


async def fail(reason):
    raise RuntimeError(reason)


async def test_a_task_that_fails_is_told_once_and_takes_no_other_with_it(tasks, reports, kit):
    tasks.start(fail("no"), "the one that fails")
    other = tasks.start(asyncio.sleep(60), "another")
    await kit.turns()
    assert reports == [("the one that fails", "no")]
    assert not other.done()
    assert tasks.count == 1
    await tasks.close()


async def test_after_close_nothing_is_left_and_nothing_can_be_started(tasks):
    running = [tasks.start(asyncio.sleep(60), str(number)) for number in range(3)]
    await tasks.close()
    assert all(task.cancelled() for task in running)
    assert tasks.is_closed
    late = asyncio.sleep(60)
    with pytest.raises(ClosedError):
        tasks.start(late, "late")
    assert tasks.count == 0


async def test_a_task_that_ends_itself_does_not_wait_for_itself():
    async def end_itself():
        await cancel_and_wait(asyncio.current_task())
        await asyncio.sleep(60)

    task = spawn(end_itself(), "ends itself")
    async with asyncio.timeout(5):
        await asyncio.wait([task])
    assert task.cancelled()


async def test_what_runs_beside_its_caller_is_gone_whatever_it_did():
    done, failed, waiting = spawn(asyncio.sleep(0), "done"), spawn(fail("nobody asks"), "failed"), asyncio.Event()
    endless = spawn(waiting.wait(), "endless")
    await asyncio.sleep(0)
    await cancel_all([done, failed, endless])
    assert [task.done() for task in (done, failed, endless)] == [True] * 3


async def test_who_gives_up_waiting_for_an_end_does_not_stop_it(kit):
    ended = []

    async def end():
        await asyncio.sleep(0)
        ended.append(True)

    ending = spawn_shutdown(end())
    waiting = asyncio.create_task(asyncio.wait([ending]))
    await asyncio.sleep(0)
    waiting.cancel()
    await kit.turns()
    assert ended == [True]


def test_the_first_cause_is_found_inside_groups_of_groups():
    cause = ChannelUnavailableError("down", channel="rest")
    nested = ExceptionGroup("outer", [ExceptionGroup("inner", [cause, RuntimeError("second")])])
    assert root_cause(nested) is cause
    assert root_cause(cause) is cause
