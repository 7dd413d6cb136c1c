"""Who owns the background tasks: one object, which ends them all when it is closed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from ...domain.errors import ClosedError, MarketDataError

Found = TypeVar("Found")


class TaskSupervisor:
    """A task group with the life of an object instead of the life of a block.

    Invariant: after ``close`` no task that was started here is left. A task that fails does not take
    the others with it: its error goes to ``on_error``, once.
    """

    def __init__(self, on_error: Callable[[str, Exception], None]) -> None:
        """Start nothing yet."""
        self._on_error = on_error
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run ``work`` in the background.

        Raises:
            ClosedError: after ``close``.

        """
        if self._is_closed:
            work.close()
            msg = "the API is closed; create a new one"
            raise ClosedError(msg)
        task = asyncio.create_task(self._guard(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # a task that was cancelled before its first step never ran it
        return task

    async def _guard(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - a supervisor: whatever fails is reported, nothing else ends
            self._on_error(name, error)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be started any more."""
        return self._is_closed

    @property
    def count(self) -> int:
        """How many tasks are running."""
        return len(self._tasks)

    async def close(self) -> None:
        """Cancel every task and wait until all are gone; idempotent."""
        self._is_closed = True
        while self._tasks:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.wait(list(self._tasks))


async def cancel_and_wait(task: "asyncio.Task[Any] | None") -> None:
    """Cancel a task and wait until it is gone; a task that ends itself does not wait for itself."""
    if task is None:
        return
    task.cancel()
    if task is not asyncio.current_task():
        await asyncio.wait([task])


def spawn(work: Coroutine[Any, Any, Found], name: str) -> "asyncio.Task[Found]":
    """Run ``work`` beside its caller, who ends it with ``cancel_all`` in any case."""
    return asyncio.create_task(work, name=name)


async def cancel_all(tasks: "list[asyncio.Task[Found]]") -> None:
    """Cancel tasks and wait until all are gone; what they failed with is nobody's any more."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


def spawn_shutdown(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Run what ends an object in a task of its own, so that ending it does not cancel the ending."""
    return asyncio.create_task(work, name="ending")


def root_cause(error: Exception) -> Exception:
    """Return the first cause inside nested groups."""
    while isinstance(error, ExceptionGroup) and not isinstance(error, MarketDataError):
        group = cast("ExceptionGroup[Exception]", error)
        error = group.exceptions[0]
    return error
