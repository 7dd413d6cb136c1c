"""What a stream lacks is asked for: trades before a socket spoke, slots that no life saw whole, dropped trades."""

import asyncio
from collections.abc import Iterator
from datetime import datetime

from attrs import define

from ....domain.request import Topic
from ..topics.candles import CandleTopic
from ..topics.trades import TradeTopic
from .rest_fallback import RestFallback
from .subscription import Subscription

MIN_REPAIR_S = 1.0
RANGES_PER_REPAIR = 4
REPAIRS_AT_ONCE = 8
TRADE_AUDIT_S = 30.0
"""A stream of trades is compared with REST this often: two calls a minute and symbol."""


@define(eq=False)
class GapRepair:
    """Asks REST for what the streams of a feed lack."""

    rest: RestFallback
    subscriptions: dict[Topic, Subscription]

    async def work(self) -> None:
        """Ask for what is due, who has waited longest first."""
        due = sorted(self._due(), key=lambda one: one.repaired_at)[:REPAIRS_AT_ONCE]
        if due:
            async with asyncio.TaskGroup() as tasks:
                for subscription in due:
                    subscription.repaired_at = self.rest.context.clock.monotonic()
                    tasks.create_task(self._mend(subscription))

    def _due(self) -> Iterator[Subscription]:
        now, server_now = self.rest.context.clock.monotonic(), self.rest.context.server_time.earliest()
        for subscription in self.subscriptions.values():
            if self._lacks(subscription, now, server_now) and subscription.is_wanted:
                yield subscription

    def _lacks(self, subscription: Subscription, now: float, server_now: datetime | None) -> bool:
        state = subscription.state
        if isinstance(state, TradeTopic):
            return (state.is_behind or self._is_audit_due(subscription, now)) and subscription.is_live
        if not isinstance(state, CandleTopic) or server_now is None or now - subscription.repaired_at < MIN_REPAIR_S:
            return False
        return bool(state.tracker.unsettled(server_now))

    def _is_audit_due(self, subscription: Subscription, now: float) -> bool:
        if subscription.audited_at is None:
            subscription.audited_at = now
        return now - subscription.audited_at >= TRADE_AUDIT_S

    async def _mend(self, subscription: Subscription) -> None:
        state = subscription.state
        if isinstance(state, CandleTopic):
            await self._repair(subscription, state)
        elif isinstance(state, TradeTopic) and state.is_behind:
            await self._join(subscription, state)
        elif isinstance(state, TradeTopic):
            subscription.audited_at = self.rest.context.clock.monotonic()
            await self.rest.ask(subscription, state.audit(self.rest.channel))

    async def _join(self, subscription: Subscription, state: TradeTopic) -> None:
        """Join the stream to what was delivered before it; after ``hold_bound_s`` without."""
        now = self.rest.context.clock.monotonic()
        subscription.behind_since = now if subscription.behind_since is None else subscription.behind_since
        if now - subscription.behind_since >= self.rest.context.rules.hold_bound_s:
            state.subscribers.publish(state.give_up())
        else:
            await self.rest.ask(subscription, state.catch_up(self.rest.channel))
        if not state.is_behind:
            subscription.behind_since = None

    async def _repair(self, subscription: Subscription, state: CandleTopic) -> None:
        server_now = self.rest.context.server_time.earliest()
        spans = () if server_now is None else state.tracker.unsettled(server_now)[:RANGES_PER_REPAIR]
        for span in spans:
            await self.rest.ask(subscription, state.catch_up(self.rest.channel, span))
