"""The shell that makes callers wait: each on its own event loop, in any thread."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial

from attrs import define

from ...domain.call_context import CallContext, current_call_context
from ...domain.ports import Clock
from ...domain.status import Headroom
from .jitter import BudgetLimits
from .process_ledger import Claim, MachineLedger
from .shared_budget import CONNECTS, AddressBudget
from .wait_queue import Waiter

__all__ = ["CONNECTS", "Permit", "RateBudget"]


@define(eq=False)
class Permit:
    """A place in a group's second, taken for one request.

    Until the request's bytes are written the place counts as a send that may still happen: a handshake
    takes its time, and the server counts arrivals.
    """

    group: str
    waited_s: float
    _address: AddressBudget
    _context: CallContext
    _waiter: Waiter
    _row: int | None = None
    _sent_at: float = math.inf
    _answered_at: float | None = None
    _writings: int = 0

    def written(self) -> None:
        """Note that the bytes have been written, be it again because a warm connection turned out dead."""
        with self._address.lock:
            budget, now = self._address.group(self.group).budget, self._address.now()
            # aiohttp sends a request again on a fresh connection when a warm one was dead: both may have arrived.
            if self._writings:
                budget.give_up(self._sent_at)
                budget.record(now)
            else:
                budget.move(self._sent_at, now)
            self._sent_at = now
            budget.depart(now)
            self._address.wake(self.group)
        self._context.note_call(0.0 if self._writings else self.waited_s)
        self._writings += 1
        self._settle()

    def answered(self) -> None:
        """Note that an answer has begun to arrive: a round trip on a warm connection ends."""
        with self._address.lock:
            self._answered_at = self._address.now()
            # Not of a connect, of which no writing is noted: its answer is no round trip on a warm connection.
            if math.isfinite(self._sent_at):
                self._address.observe(self.group, self._sent_at, self._answered_at - self._sent_at)

    def learn(self, group: str, left: int, *, per_second: int | None = None) -> None:
        """Take the ``Remaining-Req`` of the answer into account.

        A group that the server names otherwise than we expected is that group from then on, with the
        server's limit if that is tighter than ours.
        """
        with self._address.lock:
            sent_at = self._sent_at if math.isfinite(self._sent_at) else self._address.now()
            self._address.learn(self.group, group, left, per_second, sent_at)

    def end(self) -> None:
        """Give the permit up; what was not answered counts from now: nobody knows when it arrives, if it does.

        A second time changes nothing: once its event loop is closed, whoever looks first ends it.
        """
        is_answered = self._answered_at is not None
        with self._address.lock:
            group = self._address.group(self.group)
            # Ended already: by us, or by whoever found our event loop closed.
            if group.held.pop(self._waiter, None) is None:
                return
            budget, now = group.budget, self._address.now()
            budget.close(is_answered=is_answered)
            is_uncertain = not (is_answered and self._writings)
            if is_uncertain:
                budget.move(self._sent_at, now)
                self._sent_at = now
            self._address.wake(self.group)
        if is_uncertain:
            self._settle()

    def _settle(self) -> None:
        if self._row is not None and self._address.ledger is not None:
            self._address.ledger.settle(self._row, self._sent_at)


class RateBudget:
    """One user's view of an address's budget; its durations are seconds of this user's market time."""

    def __init__(self, limits: BudgetLimits, clock: Clock, address: AddressBudget | None = None) -> None:
        """Share the budget of ``address``, or have one alone."""
        self.limits = limits
        self._clock = clock
        self._address = AddressBudget() if address is None else address
        self._address.register(self)

    @property
    def market_second_s(self) -> float:
        """Real seconds per market second on this user's clock."""
        return self._clock.to_real_s(1.0)

    @asynccontextmanager
    async def acquire(self, group: str) -> AsyncGenerator[Permit]:
        """Wait for a permit, the more urgent first; inside, tell it when bytes are written and answered.

        A request that is left unanswered counts as sent at the end of the context. Cancelling the wait
        leaves nothing behind.
        """
        context, began_at = current_call_context(), self._address.now()
        waiter, row = await self._take_place(group, context)
        waited_s = (self._address.now() - began_at) / self._address.market_second_s
        permit = Permit(group, waited_s, self._address, context, waiter, row)
        # From here on the permit gives the place back; until here take_back did.
        with self._address.lock:
            self._address.group(group).held[waiter] = permit.end
        try:
            yield permit
        finally:
            permit.end()

    async def _take_place(self, group: str, context: CallContext) -> tuple[Waiter, int | None]:
        number, began_at = self._address.new_number(), self._address.now()
        loop = asyncio.get_running_loop()
        while True:
            looking = asyncio.Event()
            waiter = Waiter(context, number, began_at, loop, partial(_wake, loop, looking), loop.is_closed)
            await self._wait_in_queue(group, waiter, looking)
            if (ledger := self._address.ledger) is None:
                return waiter, None
            claim = await self._claim(ledger, group, waiter)
            if claim.is_granted:
                return waiter, claim.row

    async def _wait_in_queue(self, group: str, waiter: Waiter, looking: asyncio.Event) -> None:
        address = self._address
        with address.lock:
            address.group(group).queue.join(waiter)
            address.wake(group)  # whoever watches the time may have to watch another
        try:
            while True:
                # Cleared before looking, not after: a wake that comes while we look must not be lost.
                looking.clear()
                with address.lock:
                    again_at = address.dispatch(group)
                    rests_s = address.rest_s(group, waiter, again_at)
                if waiter.is_given:
                    return
                await _look_after(looking, rests_s)
        except BaseException:  # cancelled: what was given is given back, and another one watches the time
            with address.lock:
                address.group(group).queue.leave(waiter)
                if waiter.is_given:
                    address.take_back(group, waiter)
                address.wake(group)
            raise

    async def _claim(self, ledger: MachineLedger, group: str, waiter: Waiter) -> Claim:
        """Ask whether the other processes leave a place; if not, the place is given back."""
        address = self._address
        with address.lock:
            limit, second, jitter = address.group(group).budget.limit, address.market_second_s, address.jitter_s(group)
        try:
            claim = await ledger.claim(group, limit, second, jitter)
        except BaseException:  # cancelled while asking: the place is somebody else's
            with address.lock:
                address.take_back(group, waiter)
            raise
        with address.lock:
            # The next of this process may ask the file only now: one at a time, or all take the same last place.
            if claim.is_granted:
                address.end_claim(group, waiter)
                address.wake(group)
            else:
                address.take_back(group, waiter)
                self._believe(claim, group)
        return claim

    def _believe(self, claim: Claim, group: str) -> None:
        if claim.stops_all:
            self._address.stop_until(claim.again_at)
        else:
            self._address.group(group).budget.block(claim.again_at)

    def delay(self, group: str) -> float:
        """Return how many market seconds a request of ``group`` would have to wait if nobody else waited."""
        address = self._address
        with address.lock:
            now, budget, pace = address.now(), address.group(group).budget, address.pace(group)
            free_at = budget.next_send_at(now, pace.window_s, address.arrivals(group, pace))
            return (free_at - now) / pace.market_second_s

    def blocked_for(self, group: str) -> float:
        """Return how many market seconds a refusal stops ``group`` altogether."""
        with self._address.lock:
            return self._address.group(group).budget.blocked_for(self._address.now()) / self._address.market_second_s

    def headroom(self) -> dict[str, Headroom]:
        """Return what each group has left; changes nothing."""
        with self._address.lock:
            return self._address.headroom()

    def pause(self, group: str) -> None:
        """Stop a group after a 429, for 1 s + J."""
        with self._address.lock:
            self._address.refuse(group)

    def stop_all(self, stated_s: float | None = None) -> float:
        """Stop every group after a 418, for the stated market seconds or 60 s doubling; return for how long."""
        with self._address.lock:
            return self._address.stop(stated_s)

    def note_success(self) -> None:
        """Say that the address is served again: the next 418 begins anew."""
        with self._address.lock:
            self._address.note_success()

    def close(self) -> None:
        """Use it no longer; what is known of the address outlives its last user by a moment, or by a block."""
        self._address.unregister(self)


def _wake(loop: asyncio.AbstractEventLoop, looking: asyncio.Event) -> None:
    """Have a waiter look again; what its own event loop tells it need not go through that loop's socket to itself."""
    with suppress(RuntimeError):  # no event loop runs here
        if asyncio.get_running_loop() is loop:
            looking.set()
            return
    with suppress(RuntimeError):  # its loop was closed in another thread
        loop.call_soon_threadsafe(looking.set)


async def _look_after(looking: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds if math.isfinite(seconds) else None):
            await looking.wait()
    except TimeoutError:
        return
