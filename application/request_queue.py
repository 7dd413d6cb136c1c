"""Requests wait here: by priority, bounded, and equal ones share one fetch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar, cast

from attrs import define, field

from ..domain.errors import ClosedError, DeadlineExceededError, QueueFullError
from ..domain.ports import Clock
from ..domain.request import Priority
from .tasks import TaskOwner

Answer = TypeVar("Answer")

TURNS_BEFORE_BULK = 19
"""More urgent requests that may overtake a waiting bulk one in a row: bulk keeps one turn in twenty."""


@define(eq=False)
class _Ticket:
    """One fetch and everybody who waits for it."""

    work: Callable[[], Awaitable[Any]]
    key: Hashable
    priority: Priority
    answer: "asyncio.Future[Any]"
    waiters: int = 0
    task: "asyncio.Task[None] | None" = None


@define(eq=False)
class DataRequestQueue:
    """Serves at most ``concurrency`` requests at once, the most urgent first, equals in order of arrival.

    Invariants:
        A fetch lives exactly as long as somebody waits for it: cancelling the last waiter cancels it, and
        an abandoned request leaves nothing behind.
        A fetch is as urgent as the most urgent of those who wait for it.
        Of twenty turns that are taken while bulk requests wait, one is theirs.
    """

    capacity: int
    concurrency: int
    tasks: TaskOwner
    clock: Clock
    _shared: dict[Hashable, _Ticket] = field(factory=dict[Hashable, _Ticket])
    _waiting: dict[Priority, deque[_Ticket]] = field(factory=lambda: {level: deque[_Ticket]() for level in Priority})
    _running: int = 0
    _overtaken: int = 0

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
        self._hurry(ticket, priority)
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
        ticket = _Ticket(work, key, priority, asyncio.get_running_loop().create_future())
        self._shared[key] = ticket
        self._waiting[priority].append(ticket)
        self._start_waiting()
        return ticket

    def _hurry(self, ticket: _Ticket, priority: Priority) -> None:
        """Let a waiting fetch go with the most urgent of those who share it."""
        if priority < ticket.priority:
            if ticket in self._waiting[ticket.priority]:
                self._waiting[ticket.priority].remove(ticket)
                self._waiting[priority].append(ticket)
            ticket.priority = priority

    def _next(self) -> _Ticket | None:
        """Take the fetch whose turn it is."""
        urgent = next((level for level in Priority if self._waiting[level]), None)
        if urgent is None:
            return None
        bulk = self._waiting[Priority.BULK]
        if bulk and (urgent is Priority.BULK or self._overtaken >= TURNS_BEFORE_BULK):
            self._overtaken = 0
            return bulk.popleft()
        self._overtaken += bool(bulk)
        return self._waiting[urgent].popleft()

    def _start_waiting(self) -> None:
        while self._running < self.concurrency and (ticket := self._next()) is not None:
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
        if ticket in self._waiting[ticket.priority]:
            self._waiting[ticket.priority].remove(ticket)
        if ticket.task is not None and not ticket.answer.done():
            ticket.task.cancel()
        ticket.answer.cancel()

    def _forget(self, ticket: _Ticket) -> None:
        if self._shared.get(ticket.key) is ticket:
            del self._shared[ticket.key]

    def close(self) -> None:
        """Tell everybody whose request has not begun that it never will."""
        while (ticket := self._next()) is not None:
            self._end(ticket)

    def __len__(self) -> int:
        """Return how many requests wait or are being served."""
        return len(self._shared)
