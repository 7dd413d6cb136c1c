"""Which tasks were started by what is tested, however indirectly: a task inherits the context of its creator."""

import asyncio
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

_WATCHED: ContextVar[bool] = ContextVar("watched", default=False)
_SETTLING_S = 1.0


class TaskWatch:
    """Remembers every task that is started inside the ``with`` by the block itself or by what it has started.

    Tasks of others in the same loop, such as a server that the test talks to, are not counted.
    """

    def __init__(self) -> None:
        self._started: list[asyncio.Task[Any]] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._loop = asyncio.get_running_loop()
        self._factory = self._loop.get_task_factory()
        self._loop.set_task_factory(self._start)
        self._token = _WATCHED.set(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        _WATCHED.reset(self._token)
        self._loop.set_task_factory(self._factory)

    def _start(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:  # noqa: ANN401 - as asyncio calls it
        make = self._factory or _plain_task
        task = make(loop, work, **options)
        if _WATCHED.get() and isinstance(task, asyncio.Task):
            self._started.append(task)
        return task

    async def left(self) -> list[str]:
        """Return the tasks that are still there, after they had a moment to end."""
        running = [task for task in self._started if not task.done()]
        if running:
            await asyncio.wait(running, timeout=_SETTLING_S)
        return [str(getattr(task.get_coro(), "__qualname__", task)) for task in running if not task.done()]


def _plain_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:  # noqa: ANN401 - as asyncio calls it
    return asyncio.Task(work, loop=loop, **options)
