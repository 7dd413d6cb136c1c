"""What an answer proves: that its call had arrived before."""

import asyncio
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rate_models import SERVERS, Desk, Way, alone, run

from market_backbone.domain.request import Priority
from market_backbone.infrastructure.budget import GroupBudget, Jitter
from market_backbone.infrastructure.budget.window import Arrivals

WINDOW = 1.5
"""A second and J."""


def proof(*, least_trip=0.1, overdue=-math.inf):
    return Arrivals(second=1.0, least_s=0.02, least_trip=least_trip, overdue=overdue)


def sent(*instants, limit=2):
    budget = GroupBudget(limit)
    for at in instants:
        budget.record(at)
        budget.depart(at)
    return budget


def test_a_call_that_was_answered_counts_for_as_long_as_it_may_have_been_late():
    budget = sent(0.0, 0.1)
    assert budget.next_send_at(0.5, WINDOW, proof()) == pytest.approx(1.5)

    budget.note_answer(0.0, 0.17)
    assert budget.next_send_at(0.5, WINDOW, proof()) == pytest.approx(1.07)
    budget.note_answer(0.1, 0.1)
    assert budget.next_send_at(0.5, WINDOW, proof()) == pytest.approx(1.07)
    assert [budget.left(now, WINDOW, proof()) for now in (1.0, 1.1, 1.13)] == [0, 1, 2]


def test_an_answer_that_took_longer_than_j_keeps_its_place_for_longer_too():
    budget = sent(0.0, 0.1, limit=1)
    budget.note_answer(0.1, 0.9)

    assert budget.next_send_at(1.0, WINDOW, proof()) == pytest.approx(1.9)


def test_of_two_calls_of_one_instant_each_counts_by_its_own_answer():
    budget = sent(0.0, 0.0, 0.0)
    budget.note_answer(0.0, 0.2)

    assert budget.next_send_at(0.5, WINDOW, proof()) == pytest.approx(1.5)
    budget.note_answer(0.0, 0.1)
    assert budget.next_send_at(0.5, WINDOW, proof()) == pytest.approx(1.1)


def test_a_call_whose_answer_is_overdue_counts_until_it_comes_or_is_given_up():
    for ends in (lambda budget: budget.note_answer(0.0, 0.4), lambda budget: budget.move(0.0, 0.3)):
        budget = sent(0.0, 0.1, limit=1)
        budget.note_answer(0.1, 0.1)

        assert math.isinf(budget.next_send_at(0.5, WINDOW, proof(overdue=0.05)))
        ends(budget)
        assert math.isfinite(budget.next_send_at(0.5, WINDOW, proof(overdue=0.05)))
        assert budget.on_their_way == []


def test_answers_are_forgotten_with_their_sends():
    budget = GroupBudget(2)
    for second in range(100):
        budget.record(float(second))
        budget.depart(float(second))
        budget.note_answer(float(second), 0.1)

    assert (len(budget.sends), len(budget.round_trips), budget.on_their_way) == (8, 8, [])


def test_the_least_round_trip_is_taken_for_less_than_was_seen_while_few_were_seen():
    jitter, dice, least = Jitter(), random.Random(1), []
    for count in range(1, 1001):
        jitter.add(0.1 + 0.03 * dice.random() + 0.03 * dice.random(), 0.0)
        least.append((count, jitter.least_possible_s()))

    assert all(found < 0.1 for count, found in least if 8 <= count <= 100)
    assert 0.09 < least[-1][1] < 0.11


class OneSlowAnswer(Way):
    """The server needs long for its first answer, after it has counted the call."""

    answers = 0

    def extra(self):
        self.answers += 1
        return 0.09 if self.answers == 2 else 0.004 * self.dice.random()


@pytest.mark.parametrize("kind", sorted(SERVERS))
def test_one_slow_answer_does_not_throttle_a_download(kind):
    async def main():
        desk = Desk(alone(), SERVERS[kind](0.3), OneSlowAnswer(0.006))
        await desk.keep_busy(100, priority=Priority.BULK)
        return desk

    desk = run(main())
    assert desk.rate() >= 0.975 * 10
    assert desk.refused_at == []


class LaterStragglers(Way):
    """Every twentieth call of those after the first dozen is very late; the answers are not."""

    calls = 0
    latest = 3.0

    def extra(self):
        self.calls += 1
        is_late = self.calls > 24 and self.calls % 2 and self.dice.random() < 0.05
        return self.dice.uniform(0.05, self.latest) if is_late else 0.003 * self.dice.random()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(SERVERS)), st.floats(0, 1), st.floats(0.01, 0.1), st.integers(0, 10**6))
def test_a_call_that_is_late_has_nothing_refused_however_late_it_is(kind, phase, round_trip_s, seed):
    async def main():
        desk = Desk(alone(), SERVERS[kind](phase), LaterStragglers(round_trip_s, dice=random.Random(seed)))
        await desk.keep_busy(200, priority=Priority.BULK)
        return desk

    desk = run(main())
    assert desk.refused_at == []


async def hold(budget, seconds):
    async with budget.acquire("candles") as permit:
        permit.written()
        await asyncio.sleep(seconds)
        permit.answered()


def test_who_waits_for_an_overdue_answer_goes_when_it_comes():
    async def main():
        budget, now = alone(), asyncio.get_running_loop().time
        for _ in range(10):
            await hold(budget, 0.001)
        began = now()
        async with asyncio.TaskGroup() as group:
            for late in (2.5, *[0.001] * 10):
                group.create_task(hold(budget, late))
        return now() - began

    assert run(main()) < 3.6
