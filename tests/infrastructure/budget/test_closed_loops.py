"""An event loop that is closed with work pending tells nobody; what it held must not be lost."""

import asyncio
import gc
import threading
from contextlib import contextmanager

import pytest

from market_backbone.infrastructure.budget import AddressBudget, BudgetLimits, MachineLedger, RateBudget
from market_backbone.infrastructure.clock import MarketClock

LIMITS = BudgetLimits(per_second=2, least_jitter_s=0.02, first_jitter_s=0.02)
SPEED = 5.0


@pytest.fixture
def address():
    return AddressBudget()


@pytest.fixture
def budget(address):
    clock = MarketClock(follows_speed=True)
    clock.follow_speed(SPEED)
    return RateBudget(LIMITS, clock, address)


@pytest.fixture
def ledger(tmp_path):
    return MachineLedger(tmp_path / "b.sqlite3", "x:1", lambda *_: None)


@pytest.fixture
def state(address):
    """Tell what there is of: waiting, holding a place, unanswered, claiming."""

    def tell():
        group = address.group("candles")
        return len(group.queue.waiting), len(group.held), group.budget.unanswered, group.claims

    return tell


async def call(budget, *, writes=True, answer_after_s=0.0):
    async with budget.acquire("candles") as permit:
        if writes:
            permit.written()
        await asyncio.sleep(answer_after_s)
        permit.answered()


@contextmanager
def forgotten_loop(works, until, before_closing=lambda: None):
    """Run works until something is so, on a loop that is then closed with whatever is pending.

    The collector, which would end them, does not run inside.
    """
    loop = asyncio.new_event_loop()
    gc.disable()
    try:
        tasks = [loop.create_task(work) for work in works]
        while not until():
            loop.run_until_complete(asyncio.sleep(0))
        before_closing()
        loop.close()
        for task in tasks:
            task._log_destroy_pending = False
        yield
    finally:
        gc.enable()


def serve(budget, calls=3):
    """Make calls on a loop of their own; fails when they are not served."""

    async def all_of_them():
        async with asyncio.timeout(8):
            for _ in range(calls):
                await call(budget)

    asyncio.run(all_of_them())


def test_those_who_wait_on_a_closed_loop_get_no_place(state, budget):
    with forgotten_loop([call(budget) for _ in range(8)], lambda: state()[0] > 2):
        serve(budget)

        assert state() == (0, 0, 0, 0)


def test_a_place_that_was_given_when_the_loop_was_closed_comes_back_unused(address, state, budget):
    def give():
        address.group("candles").budget.sends.clear()
        address.dispatch("candles")
        assert state()[1] >= 2

    with forgotten_loop([call(budget) for _ in range(8)], lambda: state()[0] > 2, give):
        serve(budget, 1)

        assert state() == (0, 0, 0, 0)
        assert len(address.group("candles").budget.sends) <= 3, "two that were sent, and ours"


@pytest.mark.parametrize("writes", [True, False])
def test_a_turn_that_was_under_way_counts_as_sent_when_it_is_found(address, state, budget, writes):
    """Also while the group is careful after a refusal, when one unanswered request holds back all others."""
    budget.pause("candles")
    with forgotten_loop([call(budget, writes=writes, answer_after_s=60)], lambda: state()[1] == 1):
        assert state() == (0, 1, 1, 0)
        began = address.now()

        serve(budget, 1)
        assert state() == (0, 0, 0, 0)
        assert sum(sent >= began for sent in address.group("candles").budget.sends) == 2


def test_what_the_collector_ends_later_is_not_ended_twice(address, state, budget):
    with forgotten_loop([call(budget, answer_after_s=60) for _ in range(6)], lambda: state()[0] > 2):
        serve(budget)
        sends = list(address.group("candles").budget.sends)
    gc.collect()

    assert state() == (0, 0, 0, 0)
    assert address.group("candles").budget.sends == sends


def test_whoever_waits_in_another_thread_when_a_loop_is_closed_finds_out(state, budget):
    """All places are held by the loop that will be closed: nobody wakes the one who waits."""
    served = []
    other = threading.Thread(target=lambda: served.append(serve(budget, 1)))

    def have_another_wait():
        if state()[1] == 2 and not other.ident:
            other.start()
        return state()[0] == 1

    works = [call(budget, writes=False, answer_after_s=60) for _ in range(2)]
    with forgotten_loop(works, have_another_wait):
        other.join()

    assert served == [None]


def test_a_claim_that_a_closed_loop_has_asked_for_stops_nobody(address, state, budget, ledger):
    asked = threading.Event()
    ledger._thread.submit(asked.wait, 5)
    address.ledger = ledger
    with forgotten_loop([call(budget)], lambda: state()[3] == 1):
        asked.set()

        serve(budget, 1)
        assert state() == (0, 0, 0, 0)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_ledger_that_comes_after_a_place_was_given_stops_nobody(address, state, budget, ledger, is_cancelled):
    """A second API of this process shares with the machine, while the first one did not."""
    await call(budget)
    await call(budget)
    waiting = asyncio.ensure_future(call(budget))
    await asyncio.sleep(0)
    address.group("candles").budget.sends.clear()
    address.dispatch("candles")
    assert state() == (0, 1, 1, 0)
    address.ledger = ledger
    if is_cancelled:
        waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled() is is_cancelled
    assert state() == (0, 0, 0, 0)
    async with asyncio.timeout(8):
        await call(budget)
