"""One budget per process and address, whoever uses it, from whichever thread."""

import asyncio
import gc
import math
import threading
from itertools import count

import pytest

from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.errors import RateLimitedError
from market_backbone.domain.finality import Grace
from market_backbone.infrastructure.budget import BudgetLimits, RateBudget, budget_of
from market_backbone.infrastructure.budget.shared_budget import AddressBudget
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime
from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig
from market_backbone.infrastructure.upbit import UpbitOptions, UpbitRest

PLACES = count(1)


def open_rest(url, *, follows_speed=True, least_jitter_s=0.2):
    clock = MarketClock(follows_speed=follows_speed)
    context = AdapterContext(
        name="rest",
        options={},
        clock=clock,
        server_time=MeasuredServerTime(clock),
        grace=Grace(),
    )
    return UpbitRest(UpbitOptions(rest_url=url, least_jitter_s=least_jitter_s), context)


# A busy machine delays for longer than J by default: a refusal would then be earned, and prove nothing about sharing.


async def ask_often(channel, calls, refused):
    async def ask():
        try:
            await channel.get_ticker("KRW-BTC")
        except RateLimitedError:
            refused.append(1)

    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(ask())


@pytest.fixture
def user():
    """Make users of an address that no other test uses; nobody listens there."""
    place = f"http://127.0.0.1:{next(PLACES)}"

    def make(place=place, clock=None, **limits):
        return RateBudget(BudgetLimits(**limits), clock or MarketClock(), budget_of(place))

    make.place = place
    return make


class Watch:
    """A clock that goes when told to, so that a machine that stalls makes nobody forget anything."""

    def __init__(self):
        self.at = 1000.0

    def __call__(self):
        return self.at


@pytest.fixture
def watch(user):
    """The time of that address, as long as anybody uses it."""
    watch = Watch()
    budget_of(user.place).now = watch
    yield watch
    watch.at = math.inf


async def spend(budget, count):
    for _ in range(count):
        async with budget.acquire("candles") as permit:
            permit.written()
            permit.answered()


@pytest.mark.usefixtures("watch")
async def test_all_who_talk_to_one_address_share_what_was_sent_and_every_refusal(user):
    one, other = user(), user(f"{user.place.replace('http', 'ws')}/websocket/v1")
    await spend(one, 10)
    one.pause("ticker")

    assert other.delay("candles") > 0.9
    assert other.blocked_for("ticker") > 0.9
    one.stop_all(70)
    assert other.blocked_for("websocket") > 60
    assert user("http://127.0.0.1:65000").delay("candles") == 0


async def test_who_opens_anew_soon_does_not_forget_what_was_sent(user, watch):
    one = user()
    await spend(one, 10)
    one.close()
    one.close()
    del one
    gc.collect()
    watch.at += 0.3
    user("http://127.0.0.1:65000")  # whoever opens another address has those thrown away that nobody uses

    assert user().delay("candles") == pytest.approx(0.72, abs=1e-3)


def test_a_budget_without_users_is_kept_for_a_moment_and_through_a_block():
    now = [100.0]
    address = AddressBudget(now=lambda: now[0])
    assert not address.is_unused, "nobody has used it yet"
    user = RateBudget(BudgetLimits(), MarketClock(), address)
    now[0] += 50.0
    assert not address.is_unused
    user.close()
    now[0] += 2.9
    assert not address.is_unused
    now[0] += 0.2
    assert address.is_unused
    later = RateBudget(BudgetLimits(), MarketClock(), address)
    later.stop_all(60)
    del later
    gc.collect()
    assert not address.is_unused
    now[0] += 59.0
    assert not address.is_unused, "it is blocked"
    now[0] += 2.0
    assert address.is_unused


async def test_the_strictest_of_all_users_counts(user):
    one, other = user(per_second=5), user(per_second=3, connects_per_second=1)

    assert one.headroom() == {}
    assert one.delay("candles") == other.delay("websocket") == 0
    assert one.headroom()["candles"].limit == 3
    assert one.headroom()["websocket"].limit == 1
    other.close()
    one.delay("candles")
    assert one.headroom()["candles"].limit == 5


@pytest.mark.usefixtures("watch")
async def test_the_clock_of_the_address_is_the_fastest_that_a_user_has_learnt(user):
    slow, fast = user(), user(clock=MarketClock(follows_speed=True))
    slow.stop_all(20)
    assert 19 < slow.blocked_for("candles") <= 20
    fast._clock.follow_speed(20)

    assert 380 < slow.blocked_for("candles") <= 400, "what was said in other seconds is kept in real ones"
    fast.close()
    assert 19 < slow.blocked_for("candles") <= 20


async def test_users_of_different_speed_never_earn_a_refusal_together():
    """Two do not follow the sandbox's speed, one learns it with its first answer: 20 seconds pass in one."""
    refused = []
    async with Sandbox(SandboxConfig(speed=20.0)) as sandbox:
        slow = [open_rest(sandbox.rest_url, follows_speed=False, least_jitter_s=0.6) for _ in range(2)]
        fast = open_rest(sandbox.rest_url, least_jitter_s=0.6)
        async with asyncio.TaskGroup() as group:
            for channel in [*slow, fast]:
                group.create_task(ask_often(channel, 30 if channel is fast else 6, refused))
        for channel in [*slow, fast]:
            await channel.close()

        assert sandbox.counters.requests["ticker"] == 42
    assert refused == []


async def test_two_users_of_one_address_at_speed_one_never_earn_a_refusal_together():
    refused = []
    async with Sandbox(SandboxConfig()) as sandbox:
        channels = [open_rest(sandbox.rest_url) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            for channel in channels:
                group.create_task(ask_often(channel, 7, refused))
        for channel in channels:
            await channel.close()
    assert refused == []


async def test_event_loops_in_different_threads_share_one_budget():
    refused, spent = [], []
    async with Sandbox(SandboxConfig(speed=4.0)) as sandbox:
        first = open_rest(sandbox.rest_url, least_jitter_s=2.0)  # keeps what is known while threads come and go
        await ask_often(first, 1, refused)  # a server that wakes up delays the first calls for longer than J

        def work():
            async def main():
                channel = open_rest(sandbox.rest_url, least_jitter_s=0.6)
                await ask_often(channel, 11, refused)
                spent.append(channel.client.budget._address)
                await channel.close()

            asyncio.run(main())

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
        await first.close()

        assert sandbox.counters.requests["ticker"] == 34
    assert refused == []
    assert len({id(address) for address in spent}) == 1


def test_a_loop_that_ended_with_somebody_waiting_stops_nobody(user):
    budget = user(per_second=1)

    async def leave_early():
        await spend(budget, 1)
        waiting = asyncio.ensure_future(spend(budget, 1))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave_early())
    asyncio.run(spend(budget, 1))
    group = budget._address.group("candles")
    assert (len(group.budget.sends), group.queue.waiting, group.held) == (2, [], {})
