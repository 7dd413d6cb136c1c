"""The loop of the simulation: time jumps, nothing depends on memory or threads, and order is the seed's."""

import asyncio
import time

import pytest
from simulated_loop import EPOCH_S, DeadlockError, run


def test_hours_pass_at_once_and_in_their_order():
    async def main(loop):
        heard = []
        async with asyncio.TaskGroup() as group:
            for hours in (3, 1, 2):
                group.create_task(_say_after(heard, hours))
        return heard, loop.time() - EPOCH_S

    began = time.perf_counter()
    assert run(main, seed=1) == ([1, 2, 3], 3 * 3600)
    assert time.perf_counter() - began < 30


async def _say_after(heard, hours):
    await asyncio.sleep(hours * 3600)
    heard.append(hours)


def test_a_wait_that_nothing_ends_is_told_instead_of_waited_for():
    async def main(_):
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(main, seed=1)


def test_work_for_a_thread_runs_here_and_its_result_arrives_a_moment_later():
    async def main(loop):
        began = loop.time()
        found = await asyncio.to_thread(sum, [1, 2])
        return found, 0 <= loop.time() - began < 1

    assert run(main, seed=1) == (3, True)


def test_what_fails_in_a_thread_fails_where_it_is_awaited():
    async def main(_):
        await asyncio.to_thread(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        run(main, seed=1)


async def _order_of_starts(_):
    heard = []

    async def say(number):
        for _ in range(3):
            await asyncio.sleep(0)
            heard.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(say(number))
    return heard


def test_one_seed_gives_one_order_and_seeds_differ():
    orders = [run(_order_of_starts, seed, disorder=0.5) for seed in (1, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3
    assert run(_order_of_starts, seed=1) == run(_order_of_starts, seed=2), "without disorder asyncio's own order holds"


def test_sets_of_tasks_are_ordered_by_their_age():
    async def main(_):
        tasks = {asyncio.ensure_future(asyncio.sleep(0)) for _ in range(50)}
        numbers = [task.number for task in tasks]
        await asyncio.wait(tasks)
        return numbers

    assert run(main, seed=1) == run(main, seed=1)


def test_a_freeze_lets_time_pass_while_nothing_runs():
    async def main(loop):
        timer = asyncio.ensure_future(asyncio.sleep(1))
        await asyncio.sleep(0)
        loop.freeze(60)
        await timer
        return loop.time() - EPOCH_S

    assert run(main, seed=1) == 60
