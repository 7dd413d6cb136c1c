"""What the budget promises, against models of servers that count in different ways."""

import asyncio
import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rate_models import SERVERS, Desk, Way, alone, run

from market_backbone.domain.request import Priority
from market_backbone.infrastructure.budget import BudgetLimits

kinds = st.sampled_from(sorted(SERVERS))
phases = st.floats(0, 1)
round_trips = st.floats(0, 0.4)
priorities = st.sampled_from([Priority.INTERACTIVE, Priority.BULK])
seeds = st.integers(0, 10**6)


def work(desk, calls, priority):
    async def main():
        await desk.keep_busy(calls, priority=priority)

    return main()


@settings(max_examples=15, deadline=None)
@given(kinds, phases, round_trips, st.floats(0, 0.2), priorities, seeds)
def test_alone_on_its_address_and_with_delays_within_j_nothing_is_refused(  # noqa: PLR0917 - drawn
    kind, phase, round_trip_s, jitter_s, priority, seed
):
    async def main():
        limits = BudgetLimits(least_jitter_s=max(0.02, jitter_s / 2))
        desk = Desk(alone(limits), SERVERS[kind](phase), Way(round_trip_s, jitter_s, dice=random.Random(seed)))
        await work(desk, 120, priority)
        return desk.refused_at

    assert run(main()) == []


@settings(max_examples=15, deadline=None)
@given(kinds, phases, round_trips, st.floats(0, 0.2), priorities, seeds)
@example("sliding", 0.0, 0.125, 0.0, Priority.BULK, 0)
def test_each_delay_beyond_j_is_refused_once_at_most_also_while_j_is_being_learnt(  # noqa: PLR0917 - drawn
    kind, phase, round_trip_s, jitter_s, priority, seed
):
    """A window that slides holds the straggler for a second: what is on its way when it refuses is refused as well."""

    async def main():
        way = Way(round_trip_s, jitter_s, straggler_share=0.02, dice=random.Random(seed))
        desk = Desk(alone(), SERVERS[kind](phase), way)
        await work(desk, 150, priority)
        return desk

    desk = run(main())
    refused = stops(desk) if kind == "sliding" else len(desk.refused_at)
    assert refused <= desk.beyond_j
    assert most_in_ten_seconds(desk.refused_at) < 20


def stops(desk):
    """Count refusals, but not those of calls that had been sent before an earlier one was known."""
    told_at, count = -math.inf, 0
    for refused_at, sent_at in zip(desk.refused_at, desk.refused_sent_at, strict=True):
        if sent_at > told_at:
            told_at, count = refused_at, count + 1
    return count


def most_in_ten_seconds(instants):
    return max((sum(1 for other in instants if 0 <= other - at < 10) for at in instants), default=0)


@settings(max_examples=8, deadline=None)
@given(kinds, phases, st.integers(1, 10), st.floats(0, 0.4), seeds)
def test_others_who_take_their_part_of_the_same_address_never_get_us_blocked(kind, phase, taken, round_trip_s, seed):
    """They burst once a second whatever we do; each refusal of ours makes us more careful."""

    dice = random.Random(seed)

    async def others(server):
        while True:
            await asyncio.sleep(dice.uniform(0.9, 1.1))
            for _ in range(taken):
                server.arrive(asyncio.get_running_loop().time())

    async def main():
        server = SERVERS[kind](phase)
        desk = Desk(alone(), server, Way(round_trip_s, dice=dice))
        async with asyncio.TaskGroup() as group:
            thieves = group.create_task(others(server))
            busy = group.create_task(desk.keep_busy(10**6, priority=Priority.INTERACTIVE))
            await asyncio.sleep(60)
            busy.cancel()
            thieves.cancel()
        return desk

    desk = run(main())
    assert most_in_ten_seconds(desk.refused_at) < 20
    assert len(desk.sent) > 20, "what they leave is used"


@pytest.mark.parametrize("priority", [Priority.INTERACTIVE, Priority.BULK])
@pytest.mark.parametrize("kind", sorted(SERVERS))
@pytest.mark.parametrize("round_trip_s", [0.0, 0.014, 0.17, 0.4])
def test_a_constant_round_trip_leaves_97_percent_of_the_allowed_rate_from_the_first_call_on(
    kind, round_trip_s, priority
):
    async def main():
        desk = Desk(alone(), SERVERS[kind](0.3), Way(round_trip_s))
        await work(desk, 100, priority)
        return desk

    desk = run(main())
    assert desk.rate() >= 0.97 * 10
    assert desk.refused_at == []


@pytest.mark.parametrize("jitter_s", [0.03, 0.1, 0.2])
def test_as_jitter_grows_the_rate_falls_no_faster_than_promised(jitter_s):
    async def main():
        desk = Desk(alone(), SERVERS["fixed"](0.3), Way(0.05, jitter_s, dice=random.Random(3)))
        await work(desk, 300, Priority.BULK)
        return desk

    desk = run(main())
    assert desk.rate() >= 10 / (1 + jitter_s * 1.05)
    assert desk.refused_at == []
