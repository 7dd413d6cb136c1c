"""The queue: urgent first, bounded, equals share one fetch, and nothing is left behind."""

import asyncio

import pytest

from market_backbone import ClosedError, DeadlineExceededError, Priority, QueueFullError
from market_backbone.application.runtime.tasks import TaskSupervisor, cancel_and_wait
from market_backbone.application.scheduling.request_queue import DataRequestQueue
from market_backbone.domain.call_context import current_call_context


@pytest.fixture
async def owner():
    owner = TaskSupervisor(lambda *_: None)
    yield owner
    await owner.close()
    assert owner.count == 0


@pytest.fixture
def queue(kit, owner):
    return DataRequestQueue(capacity=3, concurrency=1, tasks=owner, clock=kit.Clock())


class Work:
    """A fetch that waits until it is released."""

    def __init__(self, answer="answer"):
        self.release = asyncio.Event()
        self.runs = 0
        self.cancelled = False
        self.answer = answer

    async def __call__(self):
        self.runs += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def submit(queue, key, work, priority=Priority.INTERACTIVE, deadline_s=None):
    return asyncio.create_task(queue.submit(key, work, priority=priority, deadline_s=deadline_s))


async def test_equal_requests_in_flight_share_one_fetch(kit, queue):
    work = Work()
    tasks = [submit(queue, "same", work) for _ in range(5)]
    await kit.turns()
    work.release.set()
    assert await asyncio.gather(*tasks) == ["answer"] * 5
    assert work.runs == 1
    assert len(queue) == 0


async def test_the_urgent_go_first_and_equals_in_order(kit, queue):
    order = []

    def named(name):
        async def run():
            order.append(name)

        return run

    blocker = Work()
    tasks = [submit(queue, "blocker", blocker)]
    await kit.turns()
    tasks.append(submit(queue, "bulk", named("bulk"), Priority.BULK))
    await kit.turns()
    tasks.append(submit(queue, "repair", named("repair"), Priority.REPAIR))
    await kit.turns()
    blocker.release.set()
    await asyncio.gather(*tasks)
    assert order == ["repair", "bulk"]


async def test_a_full_queue_refuses_at_once(kit, queue):
    works = [Work() for _ in range(3)]
    tasks = [submit(queue, number, work) for number, work in enumerate(works)]
    await kit.turns()
    with pytest.raises(QueueFullError, match="3 requests"):
        await queue.submit("more", Work(), priority=Priority.REPAIR, deadline_s=None)
    for work in works:
        work.release.set()
    await asyncio.gather(*tasks)


async def test_a_deadline_ends_the_wait_and_the_fetch(kit, queue):
    work = Work()
    with pytest.raises(DeadlineExceededError, match=r"0\.01 s"):
        await queue.submit("slow", work, priority=Priority.INTERACTIVE, deadline_s=0.01)
    await kit.turns()
    assert work.cancelled
    assert len(queue) == 0


async def test_cancelling_one_of_two_waiters_leaves_the_fetch_alive_and_cancelling_both_ends_it(kit, queue):
    work = Work()
    one, two = submit(queue, "same", work), submit(queue, "same", work)
    await kit.turns()
    await cancel_and_wait(one)
    assert not work.cancelled
    await cancel_and_wait(two)
    await kit.turns()
    assert work.cancelled
    assert len(queue) == 0


async def test_a_request_that_is_abandoned_before_its_turn_never_runs(kit, queue):
    blocker, work = Work(), Work()
    first = submit(queue, "blocker", blocker)
    await kit.turns()
    second = submit(queue, "abandoned", work)
    await kit.turns()
    await cancel_and_wait(second)
    blocker.release.set()
    await first
    await kit.turns()
    assert work.runs == 0


@pytest.mark.parametrize("turn", range(8))
async def test_cancellation_at_any_turn_leaves_nothing_behind(kit, queue, owner, turn):
    work = Work()
    task = submit(queue, "key", work)
    await kit.turns(turn)
    await cancel_and_wait(task)
    await kit.turns()
    assert len(queue) == 0
    assert owner.count == 0
    done = Work()
    done.release.set()
    assert await queue.submit("next", done, priority=Priority.BULK, deadline_s=None) == "answer"


async def test_an_error_reaches_every_waiter(kit, queue):
    work = Work(ValueError("no"))
    tasks = [submit(queue, "same", work) for _ in range(2)]
    await kit.turns()
    work.release.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["no", "no"]


async def test_closing_tells_those_who_wait(kit, queue, owner):
    task = submit(queue, "key", Work())
    await kit.turns()
    await owner.close()
    with pytest.raises(ClosedError):
        await task
    with pytest.raises(ClosedError):
        owner.start(asyncio.sleep(0), "late")


async def test_a_background_task_that_fails_is_reported_and_alone(kit):
    reports = []
    owner = TaskSupervisor(lambda name, error: reports.append((name, str(error))))

    async def fail():
        raise ValueError("broken")

    owner.start(fail(), "bad")
    other = owner.start(asyncio.sleep(10), "good")
    await kit.turns()
    assert reports == [("bad", "broken")]
    assert not other.done()
    await owner.close()
    await cancel_and_wait(None)


async def test_closing_tells_those_whose_request_has_not_begun_too(kit, queue, owner):
    tasks = [submit(queue, number, Work()) for number in range(3)]
    await kit.turns()
    queue.close()
    await owner.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [ClosedError] * 3
    assert len(queue) == 0


async def test_a_waiter_cancelled_in_the_turn_in_which_its_place_comes_free_costs_no_place(kit, queue):
    blocker, doomed, later = Work(), Work(), Work("later")
    first = submit(queue, "first", blocker)
    await kit.turns()
    second = submit(queue, "second", doomed)
    await kit.turns()
    blocker.release.set()
    for _ in range(12):
        await asyncio.sleep(0)
        if not second.cancelled():
            second.cancel()
    await first
    later.release.set()
    async with asyncio.timeout(2):
        assert await queue.submit("third", later, priority=Priority.BULK, deadline_s=None) == "later"


async def test_a_time_out_of_the_work_itself_is_not_mistaken_for_the_deadline(queue):
    work = Work(TimeoutError("the work's own"))
    work.release.set()
    with pytest.raises(TimeoutError, match="the work's own"):
        await queue.submit("key", work, priority=Priority.BULK, deadline_s=None)


async def test_ending_a_task_does_not_swallow_the_callers_own_cancellation(kit):
    async def stubborn():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)

    task = asyncio.create_task(stubborn())
    ending = asyncio.create_task(cancel_and_wait(task))
    await kit.turns()
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    await asyncio.wait([task])


async def test_bulk_keeps_one_turn_in_twenty_however_many_urgent_ones_wait(kit, owner):
    queue = DataRequestQueue(capacity=200, concurrency=1, tasks=owner, clock=kit.Clock())
    served = []

    def work(name):
        async def run():
            served.append(name)

        return run

    gate = Work()
    tasks = [submit(queue, "gate", gate)]
    await kit.turns()
    tasks += [submit(queue, f"bulk {number}", work("bulk"), Priority.BULK) for number in range(3)]
    tasks += [submit(queue, f"chart {number}", work("chart")) for number in range(100)]
    await kit.turns()
    gate.release.set()
    await asyncio.gather(*tasks)
    assert [place for place, name in enumerate(served) if name == "bulk"] == [19, 39, 59]


async def test_a_fetch_that_waits_is_as_urgent_as_the_most_urgent_who_joins_it(kit, owner):
    queue = DataRequestQueue(capacity=10, concurrency=1, tasks=owner, clock=kit.Clock())
    served = []

    def work(name):
        async def run():
            served.append(name)

        return run

    gate = Work()
    tasks = [submit(queue, "gate", gate)]
    await kit.turns()
    tasks += [submit(queue, name, work(name), Priority.BULK) for name in ("first", "second", "third")]
    await kit.turns()
    tasks.append(submit(queue, "third", work("third"), Priority.INTERACTIVE))
    await kit.turns()
    gate.release.set()
    await asyncio.gather(*tasks)
    assert served == ["third", "first", "second"]


async def test_bulk_leaves_half_of_the_places_to_whoever_is_more_urgent(kit, owner):
    queue = DataRequestQueue(capacity=20, concurrency=4, tasks=owner, clock=kit.Clock())
    bulk, chart = [Work() for _ in range(4)], Work()
    tasks = [submit(queue, f"bulk {number}", work, Priority.BULK) for number, work in enumerate(bulk)]
    await kit.turns()
    assert [work.runs for work in bulk] == [1, 1, 0, 0]
    assert queue.depth()[Priority.BULK] == 2
    tasks.append(submit(queue, "chart", chart))
    await kit.turns()
    assert chart.runs == 1
    for work in [*bulk, chart]:
        work.release.set()
    await asyncio.gather(*tasks)
    assert [work.runs for work in bulk] == [1, 1, 1, 1]


async def test_somebody_urgent_who_joins_a_running_fetch_hurries_the_calls_that_it_still_makes(kit, owner):
    queue = DataRequestQueue(capacity=20, concurrency=2, tasks=owner, clock=kit.Clock())
    seen, second = [], Work()
    gate = asyncio.Event()

    async def two_calls():
        seen.append(current_call_context().priority)
        await gate.wait()
        seen.append(current_call_context().priority)

    tasks = [submit(queue, "year", two_calls, Priority.BULK), submit(queue, "other", second, Priority.BULK)]
    await kit.turns()
    assert second.runs == 0
    tasks.append(submit(queue, "year", two_calls, Priority.INTERACTIVE))
    await kit.turns()
    assert second.runs == 1  # its place is no bulk's place any more
    gate.set()
    second.release.set()
    await asyncio.gather(*tasks)
    assert seen == [Priority.BULK, Priority.INTERACTIVE]


async def test_callers_take_turns_and_the_one_who_asks_for_less_waits_less(kit, owner):
    queue = DataRequestQueue(capacity=100, concurrency=1, tasks=owner, clock=kit.Clock())
    served = []

    def work(name):
        async def run():
            served.append(name)

        return run

    async def ask(caller, number):
        await queue.submit(
            (caller, number), work(caller), priority=Priority.INTERACTIVE, deadline_s=None, caller=caller
        )

    gate = Work()
    tasks = [submit(queue, "gate", gate)]
    await kit.turns()
    tasks += [asyncio.create_task(ask("screener", number)) for number in range(50)]
    await kit.turns()
    tasks += [asyncio.create_task(ask("chart", number)) for number in range(2)]
    await kit.turns()
    gate.release.set()
    await asyncio.gather(*tasks)
    assert [place for place, name in enumerate(served) if name == "chart"] == [1, 3]


async def test_a_fetch_in_flight_can_be_found_by_what_it_asks_for(kit, queue):
    work = Work()
    task = submit(queue, ("candles", 200), work)
    await kit.turns()
    assert queue.find(lambda key: key[1] >= 50) == ("candles", 200)
    assert queue.find(lambda key: key[1] >= 500) is None
    work.release.set()
    await task
    assert queue.find(lambda _: True) is None


async def test_a_closed_queue_refuses_at_once(kit):
    tasks = TaskSupervisor(lambda *_: None)
    queue = DataRequestQueue(10, 2, tasks, kit.Clock())
    queue.close()
    await tasks.close()
    with pytest.raises(ClosedError):
        async with asyncio.timeout(2):
            await queue.submit("key", Work(), priority=Priority.INTERACTIVE, deadline_s=None)
