"""What a stream lacks is asked for: trades before a socket spoke, slots that no life saw whole, dropped trades."""

import asyncio
from datetime import datetime
from functools import partial

from attrs import define

from ....domain.ports import Clock, ServerTime
from .rest_fallback import RestFallback
from .subscription import Subscription, Subscriptions

REPAIRS_AT_ONCE = 8


@define(eq=False)
class GapRepair:
    """Asks REST for what the streams of a feed lack."""

    rest: RestFallback
    clock: Clock
    server_time: ServerTime
    subscriptions: Subscriptions

    async def work(self) -> None:
        """Ask for what is due, who has waited longest first."""
        now, server_now = self.clock.monotonic(), self.server_time.earliest()
        due = [
            one
            for one in self.subscriptions.values()
            if one.state.needs_repair(now, server_now, is_live=one.is_live) and one.is_wanted
        ]
        due.sort(key=lambda one: one.state.repaired_at)
        if due:
            async with asyncio.TaskGroup() as tasks:
                for subscription in due[:REPAIRS_AT_ONCE]:
                    tasks.create_task(self._repair(subscription, now, server_now))

    async def _repair(self, subscription: Subscription, now: float, server_now: datetime | None) -> None:
        ask = partial(self.rest.ask, subscription)
        await subscription.state.repair(self.rest.channel, ask, now, server_now)
