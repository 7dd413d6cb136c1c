"""Who goes first, who starves nobody, and what a cancelled request leaves behind: nothing."""

import asyncio
import random

import pytest
from rate_models import LIMITS, Desk, FixedWindows, JumpingClock, Way, alone, run

from market_backbone.domain.call_context import CallContext, use_call_context
from market_backbone.domain.request import Priority
from market_backbone.infrastructure.budget import BudgetLimits

REPAIR, INTERACTIVE, BULK = Priority
SPACING = (1 + LIMITS.least_jitter_s) / LIMITS.per_second


async def go(budget, context, order, name):
    with use_call_context(context):
        async with budget.acquire("candles") as turn:
            turn.written()
            order.append(name)
            turn.answered()


def narrow():
    """Return a budget of one call a second, so that places are given one by one."""
    return alone(BudgetLimits(per_second=1))


def served(*priorities):
    order = []

    async def main():
        budget = narrow()
        await go(budget, CallContext(), [], "")
        async with asyncio.TaskGroup() as group:
            for number, priority in enumerate(priorities):
                group.create_task(go(budget, CallContext(priority), order, (priority, number)))

    run(main())
    return order


def test_repair_goes_before_interactive_before_bulk_and_equals_in_the_order_of_asking():
    asked = [BULK, INTERACTIVE, REPAIR, BULK, REPAIR, INTERACTIVE]

    assert served(*asked) == sorted((priority, number) for number, priority in enumerate(asked))


def test_whoever_becomes_urgent_while_waiting_is_served_as_urgent():
    order, context = [], CallContext(BULK)

    async def main():
        budget = narrow()
        await go(budget, CallContext(), [], "")
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(go(budget, CallContext(), order, number))
            group.create_task(go(budget, context, order, "risen"))
            await asyncio.sleep(0.1)
            context.priority = REPAIR

    run(main())
    assert order[0] == "risen"


def test_of_twenty_places_that_are_given_while_bulk_waits_one_is_its_own():
    """Also when the urgent use up what the server's own count proves, so that no other place is ever free."""

    async def main():
        desk = Desk(alone(), FixedWindows(), Way(0.05))
        async with asyncio.TaskGroup() as group:
            group.create_task(desk.keep_busy(400, priority=INTERACTIVE))
            bulk = group.create_task(desk.keep_busy(10**6, in_flight=3))
            await asyncio.sleep(35)
            bulk.cancel()
        return desk

    desk = run(main())
    urgent = len(desk.waits[INTERACTIVE])
    assert desk.refused_at == []
    assert len(desk.waits[BULK]) == pytest.approx((urgent if urgent < 400 else 340) / 19, rel=0.25)


def figures(hours, interactive, seed=1):
    """Return percentile 99 of the interactive wait in spacings, and bulk's share of what was left."""
    dice = random.Random(seed)

    async def one_after_another(desk):
        while True:
            await desk.call()

    async def poisson(desk):
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(dice.expovariate(3.0))
                group.create_task(desk.call())

    async def main():
        desk = Desk(alone(), FixedWindows(0.37), Way(0.014, 0.01, dice=dice))
        async with asyncio.TaskGroup() as group:
            bulk = group.create_task(desk.keep_busy(10**9))
            await asyncio.sleep(5)
            asking = group.create_task((one_after_another if interactive == "serial" else poisson)(desk))
            desk.waits[BULK].clear()
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(hours * 3600)
            taken = asyncio.get_running_loop().time() - began
            bulk.cancel()
            asking.cancel()
        return desk, taken

    desk, taken = run(main())
    waits = sorted(desk.waits[INTERACTIVE])
    left = taken / SPACING - len(waits)
    return waits[int(0.99 * len(waits))] / SPACING, len(desk.waits[BULK]) / left, len(desk.refused_at)


@pytest.mark.parametrize("interactive", ["serial", "poisson"])
def test_a_page_for_a_person_waits_two_spacings_at_most_whatever_is_downloading(interactive):
    waits, share, refusals = figures(0.06, interactive)

    assert waits <= 2.0
    assert share >= 0.97
    assert refusals == 0


def scene(turn):
    """Cancel one of three waiters before a turn of the loop; return when the last is served, and what is left."""
    order, tasks = [], []

    async def main():
        clock, budget = JumpingClock(), alone(BudgetLimits(per_second=1, first_jitter_s=0.02))
        tasks[:] = [asyncio.create_task(go(budget, CallContext(), order, name)) for name in ("first", "doomed", "last")]
        await asyncio.wait(tasks)
        group = budget._address.group("candles")
        assert (group.queue.waiting, group.budget.unanswered) == ([], 0)
        return clock.monotonic() - 1000, budget.delay("candles")

    return run(main(), {turn: lambda: tasks and tasks[1].cancel()}), order


def test_cancelling_a_waiter_at_any_turn_of_the_loop_leaves_nothing_behind():
    """Driver: turn 0, 1, 2, ... until the doomed one is served before it can be cancelled."""
    for turns in range(1, 60):
        (ended, delay), order = scene(turns)
        if "doomed" in order and turns > 1:
            break
        if turns == 1:
            continue  # nothing has begun
        assert order == ["first", "last"]
        assert ended == pytest.approx(1.02, abs=0.001), "the next one is served when its turn comes, and no later"
        assert delay == pytest.approx(1.02, abs=0.001), "no place stays taken for the one who is gone"
    else:
        pytest.fail("the doomed one was never served")
    assert turns > 5


@pytest.mark.parametrize("is_given", [False, True])
def test_a_place_that_was_given_to_somebody_who_is_gone_goes_to_the_next(is_given):
    """The place may be given, and the one who waited cancelled, in the same turn of the loop."""
    order = []

    async def main():
        budget = alone(BudgetLimits(per_second=1))
        async with budget.acquire("candles") as turn:
            doomed = asyncio.create_task(go(budget, CallContext(), order, "doomed"))
            last = asyncio.create_task(go(budget, CallContext(), order, "last"))
            await asyncio.sleep(0)
            turn.written()
            turn.answered()
        group = budget._address.group("candles")
        group.budget.sends.clear()
        if is_given:
            budget._address.dispatch("candles")
        doomed.cancel()
        await asyncio.wait([doomed, last])
        return asyncio.get_running_loop().time() - 1000, group.budget.unanswered, len(group.budget.sends)

    assert run(main()) == (0.0, 0, 1)
    assert order == ["last"]
