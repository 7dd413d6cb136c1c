"""What a stream lacks is asked for: trades before a socket spoke, slots that no life saw whole, dropped trades."""

import asyncio
from collections.abc import Iterator
from datetime import datetime

from attrs import define

from ....domain.request import Topic
from ..topics.candles import CandleTopic
from ..topics.trades import TradeTopic
from .rest_fallback import RestDesk
from .subscription import Serving

MIN_REPAIR_S = 1.0
RANGES_PER_REPAIR = 4
REPAIRS_AT_ONCE = 8
TRADE_AUDIT_S = 30.0
"""A stream of trades is compared with REST this often: two calls a minute and symbol."""


@define(eq=False)
class Mending:
    """Asks REST for what the streams of a feed lack."""

    desk: RestDesk
    servings: dict[Topic, Serving]

    async def work(self) -> None:
        """Ask for what is due, who has waited longest first."""
        due = sorted(self._due(), key=lambda one: one.repaired_at)[:REPAIRS_AT_ONCE]
        if due:
            async with asyncio.TaskGroup() as tasks:
                for serving in due:
                    serving.repaired_at = self.desk.tools.clock.monotonic()
                    tasks.create_task(self._mend(serving))

    def _due(self) -> Iterator[Serving]:
        now, server_now = self.desk.tools.clock.monotonic(), self.desk.tools.server_time.earliest()
        for serving in self.servings.values():
            if self._lacks(serving, now, server_now) and serving.is_wanted:
                yield serving

    def _lacks(self, serving: Serving, now: float, server_now: datetime | None) -> bool:
        state = serving.state
        if isinstance(state, TradeTopic):
            return (state.is_behind or self._is_audit_due(serving, now)) and serving.is_live
        if not isinstance(state, CandleTopic) or server_now is None or now - serving.repaired_at < MIN_REPAIR_S:
            return False
        return bool(state.tail.unsettled(server_now))

    def _is_audit_due(self, serving: Serving, now: float) -> bool:
        if serving.audited_at is None:
            serving.audited_at = now
        return now - serving.audited_at >= TRADE_AUDIT_S

    async def _mend(self, serving: Serving) -> None:
        state = serving.state
        if isinstance(state, CandleTopic):
            await self._repair(serving, state)
        elif isinstance(state, TradeTopic) and state.is_behind:
            await self._join(serving, state)
        elif isinstance(state, TradeTopic):
            serving.audited_at = self.desk.tools.clock.monotonic()
            await self.desk.ask(serving, state.audit(self.desk.rest))

    async def _join(self, serving: Serving, state: TradeTopic) -> None:
        """Join the stream to what was delivered before it; after ``hold_bound_s`` without."""
        now = self.desk.tools.clock.monotonic()
        serving.behind_since = now if serving.behind_since is None else serving.behind_since
        if now - serving.behind_since >= self.desk.tools.rules.hold_bound_s:
            state.audience.publish(state.give_up())
        else:
            await self.desk.ask(serving, state.catch_up(self.desk.rest))
        if not state.is_behind:
            serving.behind_since = None

    async def _repair(self, serving: Serving, state: CandleTopic) -> None:
        server_now = self.desk.tools.server_time.earliest()
        spans = () if server_now is None else state.tail.unsettled(server_now)[:RANGES_PER_REPAIR]
        for span in spans:
            await self.desk.ask(serving, state.catch_up(self.desk.rest, span))
