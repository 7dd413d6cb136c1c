"""Users' callbacks: plain or async, and free to fail without taking the stream with them."""

import asyncio
import inspect
from collections.abc import Awaitable, Generator
from typing import Any

from attrs import define, field

from ..domain.ports import Clock, Logger
from ..domain.request_options import DataCallback

BLOCKED_S = 0.1
"""Real seconds without giving way after which a callback is said to block: every stream waited for it."""
TOLD_AGAIN_S = 60.0


@define(eq=False)
class Callback:
    """One user's callback; what it raises is reported, and so is what it holds up."""

    call: DataCallback
    request_id: str
    logger: Logger
    clock: Clock
    _told_at: float | None = None
    _longest_s: float = field(default=0.0, init=False)

    async def give(self, item: Any) -> None:  # noqa: ANN401 - an answer or an event
        """Give ``item`` to the callback; what it raises is reported, and nothing else happens."""
        self._longest_s = 0.0
        try:
            began = self.clock.monotonic()
            outcome = self.call(item)
            self.note_step(began)
            if inspect.isawaitable(outcome):
                await _Watched(outcome, self)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            # a task of the callback's own was cancelled, unless it is this one that is to end
            if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                raise
            self.logger.warning(
                "callback_failed",
                request_id=self.request_id,
                item=type(item).__name__,
                error=f"{type(error).__name__}: {error}",
                advice="the stream goes on; mend the callback",
            )
        self._tell_blocked(item)

    def note_step(self, began: float) -> None:
        """Remember the longest time in which nothing else could run."""
        self._longest_s = max(self._longest_s, self.clock.to_real_s(self.clock.monotonic() - began))

    def _tell_blocked(self, item: object) -> None:
        now = self.clock.monotonic()
        is_told = self._told_at is not None and self.clock.to_real_s(now - self._told_at) < TOLD_AGAIN_S
        if self._longest_s < BLOCKED_S or is_told:
            return
        self._told_at = now
        self.logger.warning(
            "callback_blocked",
            request_id=self.request_id,
            item=type(item).__name__,
            seconds=round(self._longest_s, 3),
            advice="every stream waited meanwhile; give way with await, or hand the work to a thread",
        )


@define(eq=False)
class _Watched:
    """Awaits the same, and times each step between two moments of giving way."""

    outcome: Awaitable[None]
    callback: Callback

    def __await__(self) -> Generator[Any, Any, None]:
        """Step through the awaitable."""
        steps: Any = self.outcome.__await__()
        resume, value = steps.__next__, ()
        while True:
            began = self.callback.clock.monotonic()
            try:
                given_way = resume(*value)
            except StopIteration:
                return
            finally:
                self.callback.note_step(began)
            try:
                yield given_way
            except BaseException as error:  # noqa: BLE001 - a cancellation belongs to the callback first
                resume, value = steps.throw, (error,)
            else:
                resume, value = steps.__next__, ()
