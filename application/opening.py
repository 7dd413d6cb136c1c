"""What a follower is owed before its live events: had at once, or as soon as a channel can give it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from attrs import frozen

from ..domain.errors import (
    AllChannelsFailedError,
    ChannelError,
    DeadlineExceededError,
    MarketDataError,
    QueueFullError,
)
from ..domain.events import Degraded
from ..domain.ports import Clock
from .follower import Follower
from .tasks import TaskOwner, end_task

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
NOT_NOW = (AllChannelsFailedError, ChannelError, DeadlineExceededError, QueueFullError)


@frozen(eq=False, kw_only=True)
class Opening:
    """Opens one follower, and goes on trying while the channels cannot give what it is owed.

    Invariant: what comes live meanwhile waits, conflated, behind what is owed; only the state is told before.

    Attributes:
        attempt: reads what is owed and opens the follower; changes nothing when it fails.
        channel: who is asked for it.

    """

    follower: Follower
    attempt: Callable[[], Awaitable[None]]
    channel: str
    clock: Clock
    tasks: TaskOwner
    name: str

    @asynccontextmanager
    async def going_on(self) -> AsyncGenerator[None]:
        """Try once, and if that fails, in the background until the context ends.

        Raises:
            RequestError: what is owed cannot be asked for.

        """
        began_at = self.clock.monotonic()
        try:
            await self.attempt()
        except NOT_NOW as error:
            waited_s = self.clock.monotonic() - began_at
            reason = f"what comes before the live events cannot be read yet: {error}"
            self.follower.tell_of_waiting(Degraded(self.channel, waited_s, reason))
        else:
            yield
            return
        task = self.tasks.start(self._try_again(), self.name)
        try:
            yield
        finally:
            await end_task(task)

    async def _try_again(self) -> None:
        """Try until it succeeds, or the follower has ended for another reason."""
        pause_s = FIRST_PAUSE_S
        while not self.follower.buffer.has_failed:
            await self.clock.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
            try:
                await self.attempt()
            except NOT_NOW:
                continue
            except Exception as error:  # a supervisor: the follower must hear of any end
                self.follower.buffer.fail(error)
                if not isinstance(error, MarketDataError):
                    raise
            return
