"""The budget against a small model of the server, on an event loop whose time jumps."""

import asyncio
import selectors
from collections import Counter
from itertools import pairwise
from math import floor

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from market_backbone.infrastructure.rate_budget import BudgetLimits, GroupBudget, Jitter, RateBudget

LIMITS = BudgetLimits()


class JumpingSelector(selectors.SelectSelector):
    """Jumps over every wait instead of waiting."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0

    def select(self, timeout=None):
        self.now += timeout or 0.0
        return super().select(0)


def jumping_loop():
    selector = JumpingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now
    return loop


class JumpingClock:
    """Market time of a jumping loop."""

    def monotonic(self):
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)

    def to_real_s(self, seconds):
        return seconds

    def follow_speed(self, speed):
        raise AssertionError(speed)


def run(main):
    with asyncio.Runner(loop_factory=jumping_loop) as runner:
        return runner.run(main)


@define
class ModelServer:
    """Counts arrivals in fixed windows of one second whose phase nobody knows."""

    phase: float
    limit: int = 10
    arrivals: Counter = field(factory=Counter)

    def arrive(self, at):
        """Return what ``sec`` says after this arrival; below zero it would be a 429."""
        window = floor(at + self.phase)
        self.arrivals[window] += 1
        return self.limit - self.arrivals[window]


def delays(least, jitter):
    return st.floats(least, least + jitter, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.floats(0, 3), st.floats(0, 0.25), st.randoms(use_true_random=False), st.integers(1, 45))
def test_no_second_at_the_server_ever_sees_eleven_whatever_its_phase(phase, least, jitter, random, waves):
    """Sends wait for a warm connection inside their turn; delays differ by at most J."""
    server = ModelServer(phase)

    async def one(budget, clock):
        async with budget.turn("candles") as written:
            await clock.sleep(random.choice([0.0, 0.0, 0.7]))  # a handshake now and then
            written()
            sent = clock.monotonic()
            there = least + jitter * random.random()
            await clock.sleep(there)
            left = server.arrive(clock.monotonic())
            assert left >= 0
            await clock.sleep(there)
        budget.learn("candles", "candles", max(left, 0), clock.monotonic() - sent, per_second=10)

    async def main():
        clock = JumpingClock()
        budget = RateBudget(BudgetLimits(first_jitter_s=0.25, least_jitter_s=max(0.02, jitter)), clock)
        async with asyncio.TaskGroup() as group:
            for _ in range(waves):
                group.create_task(one(budget, clock))
                await clock.sleep(random.choice([0.0, 0.0, 0.0, 1.3]))

    run(main())
    assert sum(server.arrivals.values()) == waves


@pytest.mark.parametrize("round_trip_s", [0.02, 0.3, 2.0])
def test_a_constant_round_trip_leaves_97_percent_of_the_allowed_rate(round_trip_s):
    server = ModelServer(0.3)

    async def one(budget, clock):
        async with budget.turn("candles") as written:
            written()
            await clock.sleep(round_trip_s / 2)
            left = server.arrive(clock.monotonic())
            await clock.sleep(round_trip_s / 2)
        budget.learn("candles", "candles", left, round_trip_s)

    async def main():
        clock = JumpingClock()
        budget = RateBudget(LIMITS, clock)
        for _ in range(LIMITS.per_second * 3):  # until J is trusted
            await one(budget, clock)
        started = clock.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(600):
                group.create_task(one(budget, clock))
        return 600 / (clock.monotonic() - started - round_trip_s)

    assert run(main()) >= 0.97 * 10
    assert max(server.arrivals.values()) <= 10


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.integers(1, 9))
def test_others_behind_the_same_address_are_seen_in_the_header_and_left_their_share(phase, stolen):
    server = ModelServer(phase)

    async def main():
        clock = JumpingClock()
        budget = RateBudget(LIMITS, clock)
        for second in range(6):
            for _ in range(stolen):
                server.arrive(clock.monotonic())  # somebody else's burst
            for _ in range(10):
                async with budget.turn("candles") as written:
                    written()
                    left = server.arrive(clock.monotonic())
                budget.learn("candles", "candles", max(left, 0), 0.0)
                if second == 0:
                    assert left >= 0
            assert budget.delay("candles") <= 1.0 + LIMITS.first_jitter_s + 1e-3
            await clock.sleep(2.5)
            assert budget.delay("candles") == 0, "it recovers by itself after sec=0"

    run(main())


async def spend(budget, count, group="candles"):
    for _ in range(count):
        await budget.wait_for_turn(group)


def test_ten_may_go_at_once_and_the_eleventh_waits_for_the_window():
    heard = []

    async def main():
        clock = JumpingClock()
        budget = RateBudget(LIMITS, clock, lambda group, seconds: heard.append((group, seconds)))
        await spend(budget, 10)
        assert clock.monotonic() == 1000.0
        return await budget.wait_for_turn("candles")

    assert run(main()) == pytest.approx(1.25, abs=1e-3)
    assert [group for group, seconds in heard if seconds > 0] == ["candles"]


def test_turns_are_given_in_the_order_of_asking():
    order = []

    async def ask(budget, number):
        await budget.wait_for_turn("candles")
        order.append(number)

    async def main():
        budget = RateBudget(LIMITS, JumpingClock())
        async with asyncio.TaskGroup() as group:
            for number in range(35):
                group.create_task(ask(budget, number))

    run(main())
    assert order == list(range(35))


def test_an_abandoned_request_keeps_its_place_used():
    async def main():
        clock = JumpingClock()
        budget = RateBudget(BudgetLimits(per_second=1), clock)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5), budget.turn("candles"):
                await clock.sleep(9)
        return budget.delay("candles")

    assert run(main()) == pytest.approx(1.25, abs=1e-3)


def test_while_a_place_is_taken_and_unwritten_nobody_passes_it():
    async def main():
        clock = JumpingClock()
        budget = RateBudget(BudgetLimits(per_second=1), clock)
        async with asyncio.TaskGroup() as group:

            async def slow():
                async with budget.turn("candles") as written:
                    await clock.sleep(3)
                    written()

            group.create_task(slow())
            await asyncio.sleep(0)
            await budget.wait_for_turn("candles")
            return clock.monotonic()

    assert run(main()) == pytest.approx(1004.25, abs=0.03)


def test_bytes_that_are_written_twice_are_counted_twice():
    """A warm connection may turn out dead: the request goes out again on another one."""

    async def main():
        budget = RateBudget(BudgetLimits(per_second=2), JumpingClock())
        async with budget.turn("candles") as written:
            written()
            written()
        return budget.delay("candles")

    assert run(main()) > 1


def test_a_429_stops_its_group_for_a_second_and_j_and_no_other_group():
    async def main():
        budget = RateBudget(LIMITS, JumpingClock())
        budget.pause("candles")
        return budget.delay("candles"), budget.delay("ticker")

    assert run(main()) == (1.25, 0.0)


def test_a_418_stops_every_group_also_those_that_were_never_used():
    async def main():
        budget = RateBudget(LIMITS, JumpingClock())
        await spend(budget, 1, "market")
        budget.stop_all(60.0, ("candles", "ticker"))
        return {group: budget.blocked_for(group) for group in ("market", "candles", "ticker")}

    assert run(main()) == {"market": 60.0, "candles": 60.0, "ticker": 60.0}


def test_the_name_that_the_server_uses_is_the_name_of_the_group():
    async def main():
        budget = RateBudget(LIMITS, JumpingClock())
        await spend(budget, 10, "trade")
        budget.learn("trade", "crix-trades", 0, 0.1)
        return budget.delay("trade"), budget.delay("crix-trades")

    ours, theirs = run(main())
    assert ours == theirs > 1


def test_two_names_of_one_group_share_its_budget_from_then_on():
    """A request with an Origin header, for one, counts in a group of its own whatever it asks for."""

    async def main():
        budget = RateBudget(LIMITS, JumpingClock())
        await spend(budget, 5, "ticker")
        await spend(budget, 5, "orderbook")
        budget.learn("ticker", "shared", 5, 0.1)
        budget.learn("orderbook", "shared", 0, 0.1)
        budget.learn("orderbook", "shared", 0, 0.1)
        return budget.delay("ticker"), budget.delay("orderbook")

    ticker, orderbook = run(main())
    assert ticker == orderbook > 1


def test_a_limit_that_the_exchange_tightened_is_kept_and_a_looser_one_ignored():
    async def main():
        budget = RateBudget(LIMITS, JumpingClock())
        budget.learn("candles", "candles", 5, 0.1, per_second=5)
        await spend(budget, 5)
        tight = budget.delay("candles")
        budget.learn("candles", "candles", 30, 0.1, per_second=30)
        return tight, budget._group("candles").limit

    tight, limit = run(main())
    assert tight > 1
    assert limit == 10


def test_jitter_is_assumed_until_twenty_samples_and_then_measured():
    jitter = Jitter(LIMITS)
    for number in range(19):
        jitter.add(0.1 + 0.001 * number, 0.0)
    assert jitter.seconds(0.0) == 0.25
    jitter.add(0.2, 0.0)
    assert jitter.seconds(0.0) == pytest.approx(0.1)


def test_one_slow_answer_is_forgotten_evenly_over_ten_minutes():
    jitter = Jitter(LIMITS)
    jitter.add(3.1, 0.0)
    for second in range(1, 601):
        jitter.add(0.1, float(second))

    measured = [jitter.seconds(at) for at in (0.0, 300.0, 599.0, 700.0)]

    assert measured == [pytest.approx(3.0), pytest.approx(1.5), 0.02, 0.02]
    assert all(older >= newer for older, newer in pairwise(measured))


def test_a_budget_remembers_no_more_than_it_needs():
    budget = GroupBudget(10)
    for second in range(1000):
        budget.record(float(second))

    assert len(budget.sends) == 20
    assert budget.next_send_at(1000.0, 1.25) == 1000.0
