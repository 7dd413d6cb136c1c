"""Requests wait here: by priority, bounded, and equal ones share one fetch."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Any, TypeVar, cast

from attrs import define, field

from ..domain.errors import ClosedError, DeadlineExceededError, QueueFullError
from ..domain.ports import Clock
from ..domain.request import Priority
from .tasks import TaskOwner

Answer = TypeVar("Answer")


@define(eq=False)
class _Ticket:
    """One fetch and everybody who waits for it."""

    work: Callable[[], Awaitable[Any]]
    key: Hashable
    answer: "asyncio.Future[Any]"
    waiters: int = 0
    task: "asyncio.Task[None] | None" = None


@define(eq=False)
class DataRequestQueue:
    """Serves at most ``concurrency`` requests at once, the most urgent first, equals in order of arrival.

    Invariant: a fetch lives exactly as long as somebody waits for it: cancelling the last waiter
    cancels it, and an abandoned request leaves nothing behind.
    """

    capacity: int
    concurrency: int
    tasks: TaskOwner
    clock: Clock
    _shared: dict[Hashable, _Ticket] = field(factory=dict[Hashable, _Ticket])
    _waiting: list[tuple[Priority, int, _Ticket]] = field(factory=list[tuple[Priority, int, _Ticket]])
    _running: int = 0
    _numbers: "count[int]" = field(factory=count)

    async def submit(
        self, key: Hashable, work: Callable[[], Awaitable[Answer]], *, priority: Priority, deadline_s: float | None
    ) -> Answer:
        """Return what ``work`` returns; requests of equal ``key`` in flight share one fetch.

        Raises:
            QueueFullError: too many requests wait already.
            DeadlineExceededError: ``deadline_s`` market seconds passed first.

        """
        ticket = self._shared.get(key) or self._admit(key, work, priority)
        ticket.waiters += 1
        deadline = asyncio.timeout(None if deadline_s is None else self.clock.to_real_s(deadline_s))
        try:
            async with deadline:
                return cast("Answer", await asyncio.shield(ticket.answer))
        except TimeoutError as error:
            if not deadline.expired():
                raise
            msg = f"no complete answer within {deadline_s:g} s; ask for less, or give a longer deadline"
            raise DeadlineExceededError(msg) from error
        finally:
            ticket.waiters -= 1
            if ticket.waiters == 0:
                self._abandon(ticket)

    def _admit(self, key: Hashable, work: Callable[[], Awaitable[Any]], priority: Priority) -> _Ticket:
        if len(self._shared) >= self.capacity:
            msg = f"{self.capacity} requests are waiting already; wait for some of them before asking for more"
            raise QueueFullError(msg)
        ticket = _Ticket(work, key, asyncio.get_running_loop().create_future())
        self._shared[key] = ticket
        heapq.heappush(self._waiting, (priority, next(self._numbers), ticket))
        self._start_waiting()
        return ticket

    def _start_waiting(self) -> None:
        while self._waiting and self._running < self.concurrency:
            _, _, ticket = heapq.heappop(self._waiting)
            if self.tasks.is_closed:
                self._end(ticket)
                continue
            self._running += 1
            ticket.task = self.tasks.start(self._serve(ticket), f"request {ticket.key}")
            ticket.task.add_done_callback(lambda _, served=ticket: self._finish(served))

    async def _serve(self, ticket: _Ticket) -> None:
        try:
            answer = await ticket.work()
        except Exception as error:  # noqa: BLE001 - handed to everybody who waits, whatever it is
            if not ticket.answer.done():
                ticket.answer.set_exception(error)
                ticket.answer.exception()
        else:
            if not ticket.answer.done():
                ticket.answer.set_result(answer)

    def _finish(self, ticket: _Ticket) -> None:
        """Free the place, however the task ended: answered, failed, or cancelled before its first step."""
        self._running -= 1
        self._end(ticket)
        self._start_waiting()

    def _end(self, ticket: _Ticket) -> None:
        self._forget(ticket)
        if ticket.waiters and not ticket.answer.done():
            ticket.answer.set_exception(ClosedError("the API was closed while this request was waiting"))

    def _abandon(self, ticket: _Ticket) -> None:
        self._forget(ticket)
        self._waiting = [entry for entry in self._waiting if entry[2] is not ticket]
        heapq.heapify(self._waiting)
        if ticket.task is not None and not ticket.answer.done():
            ticket.task.cancel()
        ticket.answer.cancel()

    def _forget(self, ticket: _Ticket) -> None:
        if self._shared.get(ticket.key) is ticket:
            del self._shared[ticket.key]

    def close(self) -> None:
        """Tell everybody whose request has not begun that it never will."""
        while self._waiting:
            self._end(heapq.heappop(self._waiting)[2])

    def __len__(self) -> int:
        """Return how many requests wait or are being served."""
        return len(self._shared)
