"""Notices when the event loop as a whole stood still, whoever held it up."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from attrs import define

from ...domain.ports import Clock
from ...domain.telemetry_events import LoopBlocked
from .tasks import TaskSupervisor, cancel_and_wait
from .telemetry import Telemetry

LOOK_EVERY_S = 0.1
BLOCKED_S = 0.25
"""Real seconds of lateness after which the loop is said to have been blocked."""

TOLD_AGAIN_S = 60.0


@define(eq=False)
class LoopMonitor:
    """A task that wants to wake up every tenth of a real second, and looks how late it is.

    Invariant: it runs exactly while somebody uses what it watches over; an idle API costs nothing.
    """

    clock: Clock
    tasks: TaskSupervisor
    telemetry: Telemetry
    _users: int = 0
    _task: "asyncio.Task[None] | None" = None
    _told_at: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether it watches now."""
        return self._task is not None

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Watch for the length of a block."""
        self._users += 1
        if self._task is None:
            self._task = self.tasks.start(self._watch(), "loop watch")
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                task, self._task = self._task, None
                await cancel_and_wait(task)

    async def _watch(self) -> None:
        while True:
            began = self.clock.monotonic()
            await self.clock.sleep(LOOK_EVERY_S / self.clock.to_real_s(1.0))
            late_s = self.clock.to_real_s(self.clock.monotonic() - began) - LOOK_EVERY_S
            if late_s >= BLOCKED_S:
                self._tell(late_s)

    def _tell(self, late_s: float) -> None:
        self.telemetry.observe(LoopBlocked(real_s=late_s))
        now = self.clock.monotonic()
        if self._told_at is None or self.clock.to_real_s(now - self._told_at) >= TOLD_AGAIN_S:
            self._told_at = now
            self.telemetry.warning(
                "loop_blocked",
                seconds=round(late_s, 3),
                advice="every stream waited meanwhile; give way with await, or hand the work to a thread",
            )
