"""How much may be sent to Upbit: requests, connects and messages."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self

from attrs import define, frozen

from ...domain.adapter import AdapterContext
from ...domain.errors import RateLimitedError
from ...domain.status import Headroom
from ...domain.telemetry_events import BudgetWaited
from ..budget import CONNECTS, BudgetLimits, GroupBudget, MachineLedger, Permit, RateBudget, budget_of
from .errors import BLOCKED, TOO_MANY, read_error, stated_wait
from .options import UpbitOptions

MAX_TIMEOUT_S = 5.0
"""A group that is stopped for longer refuses its callers at once, so that another channel may serve them."""

MARGIN_S = 0.25
"""By how much the delays of two messages may differ before the exchange counts one too many."""

SECOND, MINUTE = 1.0 + MARGIN_S, 60.0 + MARGIN_S
LEDGER = "budget.sqlite3"


def shared_budget(options: UpbitOptions, context: AdapterContext, url: str) -> RateBudget:
    """Return the budget of an address, shared as the settings want it."""
    limits = BudgetLimits(
        per_second=options.requests_per_s,
        connects_per_second=options.connects_per_s,
        least_jitter_s=options.least_jitter_s,
        first_jitter_s=options.first_jitter_s,
    )
    folder = context.section("cache").get("folder")
    make_ledger = None
    if options.shared == "machine" and isinstance(folder, str) and folder:
        make_ledger = partial(MachineLedger, Path(folder) / LEDGER, warn=context.warn)
    elif options.shared == "machine":
        context.warn("budget_not_shared", "no folder for caches is known, so that no other process can be heard")
    return RateBudget(limits, context.clock, budget_of(url, make_ledger))


@define
class MessageBudget:
    """A connection may send 5 messages a second and 100 a minute."""

    per_second: GroupBudget
    per_minute: GroupBudget

    @classmethod
    def of(cls, options: UpbitOptions) -> Self:
        """Start with nothing sent."""
        return cls(GroupBudget(options.messages_per_s), GroupBudget(options.messages_per_minute))

    def delay(self, now: float) -> float:
        """Return how long the next message has to wait."""
        return max(self.per_second.next_send_at(now, SECOND), self.per_minute.next_send_at(now, MINUTE)) - now

    def record(self, now: float) -> None:
        """Count one message."""
        self.per_second.record(now)
        self.per_minute.record(now)


@frozen(eq=False)
class Refusals:
    """Takes refusals into account, and tells each pause and each block once."""

    budget: RateBudget
    context: AdapterContext

    def pause(self, group: str) -> None:
        """Let a group rest after a 429; those that were on their way meanwhile are no news."""
        # Asked before the pause, which makes it true for all that were on their way.
        is_news = self.budget.blocked_for(group) == 0
        self.budget.pause(group)
        if is_news:
            rests_s = self.budget.blocked_for(group)
            self.context.warn("budget_refused", f"429 for the group {group}, which rests for {rests_s:.1f} s")

    def stop_all(self, stated_s: float | None) -> float:
        """Send nothing to the address after a 418; return for how many market seconds."""
        wait = self.budget.stop_all(stated_s)
        self.context.warn("budget_blocked", f"{BLOCKED}: nothing is sent to this address for {wait:g} s")
        return wait


@define
class ConnectBudget:
    """The connects to one address; shared by all sockets of all channels of this process."""

    _budget: RateBudget
    _context: AdapterContext

    @classmethod
    def of(cls, options: UpbitOptions, context: AdapterContext) -> Self:
        """Share the budget of the socket's address."""
        return cls(shared_budget(options, context, options.socket_address), context)

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[Permit]:
        """Connect inside. A connect counts until it is over: nobody knows when its upgrade arrives.

        Raises:
            RateLimitedError: the address is blocked for longer than anybody should wait here.

        """
        if (blocked := self._budget.blocked_for(CONNECTS)) > MAX_TIMEOUT_S:
            msg = f"this address is blocked for {blocked:.0f} s more; nothing is sent until then"
            raise RateLimitedError(msg, channel=self._context.name, retry_after=blocked)
        async with self._budget.acquire(CONNECTS) as permit:
            waited = BudgetWaited(channel=self._context.name, group=permit.group, waited_s=permit.waited_s)
            self._context.observe(waited)
            yield permit

    def headroom(self) -> dict[str, Headroom]:
        """Return what the limit of connects leaves."""
        return {name: left for name, left in self._budget.headroom().items() if name == CONNECTS}

    def close(self) -> None:
        """Share the budget no longer; idempotent."""
        self._budget.close()

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take a refused upgrade into account: 429 stops connects, 418 stops everything at this address."""
        if status == TOO_MANY:
            Refusals(self._budget, self._context).pause(CONNECTS)
        elif status == BLOCKED:
            Refusals(self._budget, self._context).stop_all(stated_wait(headers, read_error(body).message))
