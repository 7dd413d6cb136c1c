"""Requests wait here: by urgency, bounded, fair to callers, and equal ones share one fetch."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, TypeVar, cast

from attrs import define, field

from ...domain.call_context import CallContext, use_call_context
from ...domain.errors import ClosedError, DeadlineExceededError, QueueFullError
from ...domain.ports import Clock
from ...domain.request_options import Priority
from ..runtime.tasks import TaskSupervisor
from .fair_queue import FairQueue

Answer = TypeVar("Answer")


@define(eq=False)
class _Ticket:
    """One fetch and everybody who waits for it."""

    work: Callable[[], Awaitable[Any]]
    key: Hashable
    call_context: CallContext
    caller: str
    answer: "asyncio.Future[Any]"
    waiters: int = 0
    task: "asyncio.Task[None] | None" = None


@define(eq=False)
class DataRequestQueue:
    """Serves at most ``concurrency`` requests at once, in the order of :mod:`.waiting_line`.

    Invariants:
        A fetch lives exactly as long as somebody waits for it: cancelling the last waiter cancels it, and
        an abandoned request leaves nothing behind.
        A fetch is as urgent as the most urgent of those who wait for it, also once it has begun.
        Bulk holds at most half of the places, so that something urgent finds one.
    """

    capacity: int
    concurrency: int
    tasks: TaskSupervisor
    clock: Clock
    _shared: dict[Hashable, _Ticket] = field(factory=dict[Hashable, _Ticket])
    _line: FairQueue[_Ticket] = field(factory=FairQueue[_Ticket])
    _running: dict[int, _Ticket] = field(factory=dict[int, _Ticket])

    async def submit(
        self,
        key: Hashable,
        work: Callable[[], Awaitable[Answer]],
        *,
        priority: Priority,
        deadline_s: float | None,
        caller: str = "",
    ) -> Answer:
        """Return what ``work`` returns; requests of equal ``key`` in flight share one fetch.

        ``caller`` says who asks; every task is a caller of its own when it is left empty.

        Raises:
            QueueFullError: too many requests wait already.
            DeadlineExceededError: ``deadline_s`` market seconds passed first.

        """
        ticket = self._shared.get(key) or self._admit(key, work, priority, caller)
        ticket.waiters += 1
        self._raise_priority(ticket, priority)
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

    def _admit(self, key: Hashable, work: Callable[[], Awaitable[Any]], priority: Priority, caller: str) -> _Ticket:
        if self.tasks.is_closed:
            msg = "the API is closed; create a new one"
            raise ClosedError(msg)
        if len(self._shared) >= self.capacity:
            msg = f"{self.capacity} requests are waiting already; wait for some of them before asking for more"
            raise QueueFullError(msg)
        who = caller or f"task {id(asyncio.current_task())}"
        ticket = _Ticket(work, key, CallContext(priority), who, asyncio.get_running_loop().create_future())
        self._shared[key] = ticket
        self._line.add(ticket, priority, who)
        self._start_waiting()
        return ticket

    def find(self, suits: Callable[[Hashable], bool]) -> Hashable | None:
        """Return the key of a fetch, waiting or in flight, that ``suits``; None where there is none."""
        return next((key for key in self._shared if suits(key)), None)

    def _raise_priority(self, ticket: _Ticket, priority: Priority) -> None:
        """Let a fetch go with the most urgent of those who share it."""
        if priority >= ticket.call_context.priority:
            return
        if self._line.discard(ticket, ticket.call_context.priority, ticket.caller):
            self._line.add(ticket, priority, ticket.caller)
        ticket.call_context.priority = priority
        self._start_waiting()

    @property
    def _has_place_for_bulk(self) -> bool:
        bulk = sum(1 for ticket in self._running.values() if ticket.call_context.priority is Priority.BULK)
        return bulk < max(1, self.concurrency // 2)

    def _next(self) -> _Ticket | None:
        """Take the fetch whose turn it is."""
        return self._line.next(is_bulk_allowed=self._has_place_for_bulk or self.tasks.is_closed)

    def _start_waiting(self) -> None:
        while len(self._running) < self.concurrency and (ticket := self._next()) is not None:
            if self.tasks.is_closed:
                self._end(ticket)
                continue
            self._running[id(ticket)] = ticket
            with use_call_context(ticket.call_context):
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
        del self._running[id(ticket)]
        self._end(ticket)
        self._start_waiting()

    def _end(self, ticket: _Ticket) -> None:
        self._forget(ticket)
        if ticket.waiters and not ticket.answer.done():
            ticket.answer.set_exception(ClosedError("the API was closed while this request was waiting"))

    def _abandon(self, ticket: _Ticket) -> None:
        self._forget(ticket)
        self._line.discard(ticket, ticket.call_context.priority, ticket.caller)
        if ticket.task is not None and not ticket.answer.done():
            ticket.task.cancel()
        ticket.answer.cancel()

    def _forget(self, ticket: _Ticket) -> None:
        if self._shared.get(ticket.key) is ticket:
            del self._shared[ticket.key]

    def close(self) -> None:
        """Tell everybody whose request has not begun that it never will."""
        while (ticket := self._line.next()) is not None:
            self._end(ticket)

    def depth(self) -> Mapping[Priority, int]:
        """Return how many requests wait for a place, by urgency; those being served are not counted."""
        return {level: self._line.count(level) for level in Priority}

    @property
    def in_service(self) -> int:
        """How many requests are being served."""
        return len(self._running)

    def __len__(self) -> int:
        """Return how many requests wait or are being served."""
        return len(self._shared)
