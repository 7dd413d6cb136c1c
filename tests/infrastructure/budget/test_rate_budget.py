"""The budget on an event loop whose time jumps: turns, refusals, names of groups, what others take."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rate_models import LIMITS, FixedWindows, JumpingClock, alone, run

from market_backbone.domain.call_context import CallContext, use_call_context
from market_backbone.domain.request import Priority
from market_backbone.infrastructure.budget import (
    AddressBudget,
    BudgetLimits,
    GroupBudget,
    Headroom,
    RateBudget,
)


async def spend(budget, count, group="candles"):
    """Send at once and have the answer at once, without a word about what is left."""
    for _ in range(count):
        async with budget.acquire(group) as permit:
            permit.written()
            permit.answered()


async def hear(budget, left, *, expected="candles", group="candles", per_second=None):
    async with budget.acquire(expected) as permit:
        permit.written()
        permit.answered()
    permit.learn(group, left, per_second=per_second)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1), st.floats(0, 3), st.floats(0, 0.25), st.randoms(use_true_random=False), st.integers(1, 45))
def test_no_second_at_the_server_ever_sees_eleven_whatever_its_phase(phase, least, jitter, random, waves):
    """Sends wait for a warm connection inside their turn; delays differ by at most J."""
    server = FixedWindows(phase)

    async def one(budget, clock):
        async with budget.acquire("candles") as permit:
            await clock.sleep(random.choice([0.0, 0.0, 0.7]))  # a handshake now and then
            permit.written()
            there = least + jitter * random.random()
            await clock.sleep(there)
            left = server.arrive(clock.monotonic())
            assert left >= 0
            await clock.sleep(there)
            permit.answered()
        permit.learn("candles", left, per_second=10)

    async def main():
        clock = JumpingClock()
        budget = alone(BudgetLimits(first_jitter_s=0.25, least_jitter_s=max(0.02, jitter)))
        async with asyncio.TaskGroup() as group:
            for _ in range(waves):
                group.create_task(one(budget, clock))
                await clock.sleep(random.choice([0.0, 0.0, 0.0, 1.3]))

    run(main())


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 1), st.integers(1, 9))
def test_others_behind_the_same_address_are_seen_in_the_header_and_left_their_share(phase, stolen):
    server = FixedWindows(phase)

    async def main():
        clock, budget = JumpingClock(), alone()
        for second in range(6):
            for _ in range(stolen):
                server.arrive(clock.monotonic())  # somebody else's burst
            for _ in range(10):
                async with budget.acquire("candles") as permit:
                    permit.written()
                    left = server.arrive(clock.monotonic())
                    permit.answered()
                permit.learn("candles", max(left, 0))
                if second == 0:
                    assert left >= 0
            assert budget.delay("candles") <= 1.0 + LIMITS.first_jitter_s + 1e-3
            await clock.sleep(2.5)
            assert budget.delay("candles") == 0, "it recovers by itself after sec=0"

    run(main())


def test_ten_may_go_at_once_and_the_eleventh_waits_for_the_window():
    """Before there are samples J is 250 ms."""
    context = CallContext()

    async def unanswered(budget):
        async with budget.acquire("candles") as permit:
            permit.written()
            await asyncio.sleep(5)

    async def main():
        budget = alone()
        async with asyncio.TaskGroup() as group:
            with use_call_context(context):
                for _ in range(11):
                    group.create_task(unanswered(budget))
            await asyncio.sleep(1)
            assert context.calls == 10
            await asyncio.sleep(1)

    run(main())
    assert context.calls == 11, "every call that was sent was counted in the context"
    assert context.waited_s == pytest.approx(1.25, abs=1e-3)


def test_bytes_that_are_written_twice_are_counted_twice():
    """A warm connection may turn out dead: the request goes out again on another one."""
    context = CallContext()

    async def main():
        budget = alone(BudgetLimits(per_second=2))
        with use_call_context(context):
            async with budget.acquire("candles") as permit:
                permit.written()
                permit.written()
                permit.answered()
        return budget.delay("candles")

    assert run(main()) > 1
    assert context.calls == 2


@pytest.mark.parametrize("is_written", [True, False])
def test_an_abandoned_request_keeps_its_place_used_for_a_second_and_j_from_then_on(is_written):
    async def main():
        budget = alone(BudgetLimits(per_second=1))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5), budget.acquire("candles") as permit:
                if is_written:
                    permit.written()
                await asyncio.sleep(9)
        return budget.delay("candles")

    assert run(main()) == pytest.approx(1.25, abs=1e-3)


def test_while_a_place_is_taken_and_unwritten_nobody_passes_it():
    async def main():
        clock, budget = JumpingClock(), alone(BudgetLimits(per_second=1))
        async with asyncio.TaskGroup() as group:

            async def slow():
                async with budget.acquire("candles") as permit:
                    await clock.sleep(3)
                    permit.written()
                    permit.answered()

            group.create_task(slow())
            await asyncio.sleep(0)
            await spend(budget, 1)
            return clock.monotonic()

    assert run(main()) == pytest.approx(1004.25, abs=0.001)


def test_a_429_stops_its_group_for_a_second_and_j_and_no_other_group():
    async def main():
        budget = alone()
        budget.pause("candles")
        return budget.delay("candles"), budget.delay("ticker")

    assert run(main()) == (1.25, 0.0)


def test_after_a_429_requests_go_one_by_one_and_each_answer_allows_one_more_at_once():
    under_way, most = 0, []

    async def one(budget):
        nonlocal under_way
        async with budget.acquire("candles") as permit:
            permit.written()
            under_way += 1
            most.append(under_way)
            await asyncio.sleep(0.05)
            permit.answered()
            under_way -= 1

    async def main():
        budget = alone()
        budget.pause("candles")
        async with asyncio.TaskGroup() as group:
            for _ in range(80):
                group.create_task(one(budget))

    run(main())
    assert most[:5] == [1, 1, 2, 1, 2], "no burst of ten into a second that others have filled"
    assert max(most) >= 4, "trust comes back"


def test_eight_refusals_in_ten_seconds_have_the_whole_address_rest():
    """Upbit answers refusals that go on with a block; nobody knows how many it takes."""

    async def main():
        clock, budget = JumpingClock(), alone()
        for _ in range(8):
            budget.pause("candles")
            await clock.sleep(0.5)
        return budget.blocked_for("ticker"), budget.blocked_for("candles")

    assert run(main()) == (6.0, 6.0)


def test_a_418_stops_every_group_also_those_that_were_never_used():
    async def main():
        budget = alone()
        await spend(budget, 1, "market")
        budget.stop_all(90.0)
        return {group: budget.blocked_for(group) for group in ("market", "candles", "websocket")}

    assert run(main()) == {"market": 90.0, "candles": 90.0, "websocket": 90.0}


def test_a_418_that_states_nothing_lasts_twice_as_long_each_time_until_the_address_serves_again():
    async def main():
        budget = alone()
        waits = [budget.stop_all() for _ in range(6)]
        budget.note_success()
        return [*waits, budget.stop_all()]

    assert run(main()) == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 60.0]


def test_the_name_that_the_server_uses_is_the_name_of_the_group():
    async def main():
        budget = alone()
        await spend(budget, 9, "trade")
        await hear(budget, 0, expected="trade", group="crix-trades")
        return budget.delay("trade"), budget.delay("crix-trades")

    ours, theirs = run(main())
    assert ours == theirs > 1


def test_two_names_of_one_group_share_its_budget_and_its_line_from_then_on():
    """A request with an Origin header, for one, counts in a group of its own whatever it asks for."""
    order = []

    async def ask(budget, name, number):
        async with budget.acquire(name) as permit:
            permit.written()
            permit.answered()
            order.append(number)

    async def main():
        budget = alone(BudgetLimits(per_second=2))
        await spend(budget, 1, "ticker")
        await spend(budget, 1, "orderbook")
        await hear(budget, 0, expected="ticker", group="shared", per_second=2)
        await hear(budget, 0, expected="orderbook", group="orderbook", per_second=2)
        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(ask(budget, ("ticker", "orderbook")[number % 2], number))
            await asyncio.sleep(0)
            budget._address.learn("orderbook", "shared", 0, 2, asyncio.get_running_loop().time())
        return budget.delay("ticker"), budget.delay("orderbook")

    ticker, orderbook = run(main())
    assert ticker == orderbook > 1
    assert order == list(range(6))


def test_a_limit_that_the_exchange_tightened_is_kept_and_a_looser_one_ignored():
    async def main():
        budget = alone()
        await hear(budget, 4, per_second=5)
        await spend(budget, 4)
        tight = budget.delay("candles")
        await asyncio.sleep(5)
        await hear(budget, 29, per_second=30)
        return tight, budget.headroom()["candles"]

    tight, headroom = run(main())
    assert tight > 1
    assert headroom == Headroom(limit=10, left=9, blocked_for_s=0.0, jitter_s=0.25)


def test_headroom_is_read_without_changing_anything():
    async def main():
        budget = alone()
        await spend(budget, 3)
        budget.pause("ticker")
        seen = budget.headroom()
        assert budget.headroom() == seen
        return seen

    assert run(main()) == {
        "candles": Headroom(limit=10, left=7, blocked_for_s=0.0, jitter_s=0.25),
        "ticker": Headroom(limit=10, left=0, blocked_for_s=1.25, jitter_s=0.25),
    }


def test_a_budget_that_the_user_has_made_smaller_believes_no_proof_of_the_larger_one():
    """Nine are left to the server after the first call, but only one of them is ours."""

    async def main():
        budget = alone(BudgetLimits(per_second=2))
        await hear(budget, 9, per_second=10)
        await spend(budget, 1)
        began = asyncio.get_running_loop().time()
        await spend(budget, 1)
        return asyncio.get_running_loop().time() - began

    assert run(main()) > 1


def test_the_servers_own_count_proves_that_more_may_go():
    """Ten were sent within a second and J, but seven of them fell into a second that is over."""
    budget = GroupBudget(10)
    for number in range(10):
        budget.record(number * 0.1)
    assert budget.next_send_at(0.95, 1.2) > 1.1
    budget.correct(7, 0.9, 0.01)

    assert budget.is_proved(0.95, 1.2, 0.01)
    for _ in range(7):
        budget.record(0.95)
    assert not budget.is_proved(0.95, 1.2, 0.01)


def test_what_may_have_been_overtaken_on_the_way_is_taken_off_the_servers_count():
    budget = GroupBudget(10)
    for at in (0.0, 0.5, 0.9):
        budget.record(at)
    budget.correct(7, 0.9, 0.3)
    for _ in range(6):
        budget.record(0.95)

    assert budget.is_proved(1.0, 2.0, 0.3), "the request of 0.5 had arrived"
    assert not budget.is_proved(1.0, 2.0, 0.45), "the request of 0.5 may still be on its way"


def test_a_budget_remembers_no_more_than_it_needs():
    budget = GroupBudget(10)
    for second in range(1000):
        budget.record(float(second))

    assert len(budget.sends) == 40
    assert budget.next_send_at(1000.0, 1.25) == 1000.0


def test_bulk_goes_once_per_spacing_and_only_the_urgent_burst_from_idleness():
    async def sends(priority):
        clock, budget, sent = JumpingClock(), alone(), []

        async def one():
            with use_call_context(CallContext(priority)):
                async with budget.acquire("candles") as permit:
                    permit.written()
                    sent.append(clock.monotonic() - 1000)
                    permit.answered()

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(one())
        return sent

    assert run(sends(Priority.INTERACTIVE)) == [0.0] * 8
    assert run(sends(Priority.BULK)) == pytest.approx([0.102 * number for number in range(8)])


def test_a_budget_alone_goes_by_the_machines_clock():
    budget = RateBudget(LIMITS, JumpingClock(), None)

    assert budget.delay("candles") == 0
    assert isinstance(budget._address, AddressBudget)
