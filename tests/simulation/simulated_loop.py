"""An event loop whose time jumps, in which one seed gives one history.

Invariants:
    Time passes only when nothing can run; then it jumps to the next timer. Nothing waits in reality.
    Threads do not exist: work for an executor runs at once, and its result arrives a moment later.
    The order of a set of tasks or futures does not depend on where they lie in memory.
    With ``disorder`` above 0, tasks that could run in the same turn run in an order drawn from the seed.
"""

import asyncio
import random
import selectors
from collections import deque

EPOCH_S = 10_000.0
MAX_EXECUTOR_S = 0.02


class DeadlockError(Exception):
    """Every task waits for something that will never happen."""


class _Jumping(selectors.SelectSelector):
    """Jumps over every wait; no file descriptor is ever ready, since there are none."""

    now = EPOCH_S

    def select(self, timeout=None):
        if timeout is None:
            raise DeadlockError
        self.now += timeout
        return []


class _Counted:
    """A hash that counts creations, so that sets are ordered alike in every run."""

    def __hash__(self):
        return self.number


class SimulatedTask(_Counted, asyncio.Task):
    """A task that knows how many there were before it."""

    def __init__(self, coro, *, loop, number, **options):
        self.number = number
        super().__init__(coro, loop=loop, **options)


class SimulatedFuture(_Counted, asyncio.Future):
    """A future that knows how many there were before it."""

    def __init__(self, *, loop, number):
        self.number = number
        super().__init__(loop=loop)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """See the module's text.

    Attributes:
        turns: how often the loop went round.
        failures: what reached the loop's exception handler.

    """

    def __init__(self, seed, disorder=0.0):
        self._jumping = _Jumping()
        self._dice = random.Random(f"{seed}/loop")
        self._disorder = disorder
        self._number = 0
        super().__init__(self._jumping)
        self.turns = 0
        self.failures = []
        self.set_exception_handler(lambda _, context: self.failures.append(context))
        self.set_task_factory(self._make_task)

    def time(self):
        return self._jumping.now

    def freeze(self, seconds):
        """Let time pass while nothing runs, as when a machine sleeps or a callback blocks."""
        self._jumping.now += seconds

    def _next_number(self):
        self._number += 1
        return self._number

    def _make_task(self, loop, coro, **options):
        return SimulatedTask(coro, loop=loop, number=self._next_number(), **options)

    def create_future(self):
        return SimulatedFuture(loop=self, number=self._next_number())

    def run_in_executor(self, executor, func, *args):
        future = self.create_future()
        try:
            settle, found = future.set_result, func(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits
            settle, found = future.set_exception, error
        self.call_later(self._dice.uniform(0, MAX_EXECUTOR_S), _settle, future, settle, found)
        return future

    def _write_to_self(self):
        """Nobody has to be woken: there is one thread."""

    def _run_once(self):
        self.turns += 1
        if len(self._ready) > 1 and self._dice.random() < self._disorder:
            self._shuffle_tasks()
        super()._run_once()

    def _shuffle_tasks(self):
        """Change the order of the tasks that are ready; callbacks keep their places, as asyncio promises."""
        handles = list(self._ready)
        places = [place for place, handle in enumerate(handles) if _is_step(handle)]
        steps = [handles[place] for place in places]
        self._dice.shuffle(steps)
        for place, handle in zip(places, steps, strict=True):
            handles[place] = handle
        self._ready = deque(handles)

    @property
    def timers(self):
        """How many timers are set."""
        return len(self._scheduled)


def _settle(future, settle, found):
    if not future.done():
        settle(found)


def _is_step(handle):
    callback = handle._callback
    return isinstance(getattr(callback, "__self__", None), asyncio.Task) or type(callback).__name__.startswith("Task")


def run(main, seed, disorder=0.0):
    """Run a coroutine function, which gets the loop, to its end in a new loop."""
    loop = SimulatedLoop(seed, disorder)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))
