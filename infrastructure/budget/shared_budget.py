"""The budget of one address, shared by all who talk to it: decisions only, each made at once under one lock."""

import math
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Protocol
from urllib.parse import urlsplit
from weakref import WeakSet

from attrs import define, field, frozen

from ...domain.backoff import Backoff
from ...domain.status import Headroom
from ..clock import read_monotonic
from .jitter import BudgetLimits, Jitter
from .process_ledger import MachineLedger
from .wait_queue import Waiter, WaitQueue
from .window import WINDOW_S, Arrivals, GroupBudget

CONNECTS = "websocket"
"""The group of WebSocket upgrades, as the server names it."""

BLOCKS = Backoff(first_s=60.0, longest_s=600.0)
SHARE_LEFT, URGENT_WINDOW_S = 0.15, 10.0
"""The share of a spacing that bulk leaves free in each second, for so long after somebody urgent has sent."""

IDLE_TTL_S = 3.0
"""Real seconds that a budget without users is kept for the next: longer than any window."""

LOOK_AGAIN_S = 1.0
"""Real seconds after which to look whether an event loop was closed that holds places: it tells nobody."""

MAX_GROUPS = 64
MAX_REFUSALS, REFUSALS_WITHIN_S = 8, 10.0
"""After so many refusals in so many seconds the address rests: refusals that go on are answered with a block."""


class User(Protocol):
    """One who shares the budget."""

    @property
    def limits(self) -> BudgetLimits:
        """What this user may spend at most."""
        ...

    @property
    def market_second_s(self) -> float:
        """Real seconds per market second on this user's clock."""
        ...


@define
class Group:
    """What is known of one group, and who waits for it.

    Attributes:
        budget: what was sent.
        line: who waits for a place.
        held: who has a place and has not ended, and what ends it.
        claims: how many of them ask the other processes; nobody else gets a place meanwhile.

    """

    budget: GroupBudget
    queue: WaitQueue = field(factory=WaitQueue)
    held: dict[Waiter, Callable[[], None]] = field(factory=dict[Waiter, Callable[[], None]])
    claims: int = 0

    def reclaim_orphans(self) -> None:
        """Have all places back whose event loop was closed; nobody else will ever end them."""
        self.queue.drop_orphans()
        for waiter in list(self.held):  # a copy: the collector may end one of them between two steps
            if waiter.is_orphaned() and (end := self.held.get(waiter)) is not None:
                end()


@frozen
class Pace:
    """How fast a group may go now, in real seconds; reckoned once for all that one decision asks.

    Who shares the budget is asked how fast their clocks run: two dozen times a request, that took 0.1 ms of it.

    Attributes:
        unit: a second of the server's.
        jitter_s: J.
        window_s: 1 s + J.
        spacing_s: the time between two sends of bulk.

    """

    market_second_s: float
    jitter_s: float
    window_s: float
    spacing_s: float


@define(eq=False)
class AddressBudget:
    """All groups of one address.

    All instants are real monotonic seconds, so that users whose clocks run at different speeds share one
    axis. The server counts in its own market seconds: as soon as one user has learned how fast they pass,
    all go by it.
    """

    now: Callable[[], float] = read_monotonic
    ledger: MachineLedger | None = None
    lock: threading.RLock = field(factory=threading.RLock)
    _agreed: BudgetLimits = field(factory=BudgetLimits)
    _jitter: Jitter = field(factory=Jitter)
    _groups: dict[str, Group] = field(factory=dict[str, Group])
    _users: "WeakSet[User]" = field(factory=WeakSet)
    _refusals: deque[float] = field(factory=deque[float])
    _numbers: "count[int]" = field(factory=count)
    _blocked_until: float = -math.inf
    _blocks: int = 0
    _was_used: bool = False
    _left_at: float | None = None

    def register(self, user: User) -> None:
        """Let one more share; it stays for as long as it lives, or until ``unregister``."""
        with self.lock:
            self._users.add(user)
            self._was_used, self._left_at = True, None
            self._agree()

    @property
    def is_unused(self) -> bool:
        """Whether all who shared are gone, closed or forgotten, and nothing that they did matters any more.

        What was sent in the last window still counts at the server, and so does a block.
        """
        with self.lock:
            if not self._was_used or self._users:
                return False
            # A user that was collected never said good-bye: its leaving is dated when it is first noticed.
            self._left_at = self.now() if self._left_at is None else self._left_at
            return self.now() > max(self._left_at + IDLE_TTL_S, self._blocked_until)

    def unregister(self, user: User) -> None:
        """Let one go."""
        with self.lock:
            self._users.discard(user)
            self._agree()
            self._left_at = None if self._users else self.now()

    @property
    def market_second_s(self) -> float:
        """Real seconds per second of the server's."""
        return min([user.market_second_s for user in self._users], default=1.0)

    @property
    def limits(self) -> BudgetLimits:
        """What all users agree on."""
        return self._agreed

    def _agree(self) -> None:
        limits = [user.limits for user in self._users]
        if limits:
            self._agreed = BudgetLimits(
                per_second=min(one.per_second for one in limits),
                connects_per_second=min(one.connects_per_second for one in limits),
                least_jitter_s=max(one.least_jitter_s for one in limits),
                first_jitter_s=max(one.first_jitter_s for one in limits),
            )

    def group(self, name: str) -> Group:
        """Return a group, with its present limit."""
        allowed = self.limits.connects_per_second if name == CONNECTS else self.limits.per_second
        found = self._groups.get(name)
        if found is None:
            found = self._groups[name] = Group(GroupBudget(allowed, blocked_until=self._blocked_until))
        # The server's limit tightens ours and never loosens it: what we promise is ours.
        announced = found.budget.announced_limit
        found.budget.limit = allowed if announced is None else max(1, min(allowed, announced))
        return found

    def pace(self, name: str) -> Pace:
        """Return the pace of a group.

        A connect is counted from its beginning to its end, which leaves nothing uncertain. J does not stretch the
        spacing: the window keeps the promise, the spacing only keeps bulk from bursting.
        """
        market_second_s, limits = self.market_second_s, self.limits
        second_s, least_s = WINDOW_S * market_second_s, limits.least_jitter_s * market_second_s
        jitter_s = least_s if name == CONNECTS else self._jitter.seconds(limits, self.now(), market_second_s)
        spacing_s = (second_s + least_s) / self.group(name).budget.limit
        return Pace(market_second_s, jitter_s, second_s + jitter_s, spacing_s)

    def jitter_s(self, name: str) -> float:
        """Return J in real seconds."""
        return self.pace(name).jitter_s

    def window_s(self, name: str) -> float:
        """Return 1 s + J, in real seconds."""
        return self.pace(name).window_s

    def arrivals(self, name: str, pace: Pace) -> Arrivals | None:
        """Return what answers prove, whatever J says of calls that are on their way.

        Of connects, and before J is measured, they prove nothing: None.
        """
        if name == CONNECTS or not self._jitter.is_trusted:
            return None
        least_trip = self._jitter.least_possible_s()
        return Arrivals(
            second=WINDOW_S * pace.market_second_s,
            least_s=self.limits.least_jitter_s * pace.market_second_s,
            least_trip=least_trip,
            overdue=self.now() - least_trip - pace.jitter_s,
        )

    def new_number(self) -> int:
        """Return a number that orders by arrival."""
        return next(self._numbers)

    def dispatch(self, name: str) -> float:
        """Give every place that is free now; return when to look again, at the latest."""
        group, pace = self.group(name), self.pace(name)
        group.reclaim_orphans()
        given = False
        # All that are free: each place given makes the next decision another one.
        while True:
            chosen, again_at = self._next(name, group, pace)
            if chosen is None:
                break
            group.queue.give(chosen, self.now(), pace.spacing_s)
            # Counted when given, not when sent: the bytes may leave at any moment from here on.
            group.budget.reserve()
            group.budget.open()
            group.held[chosen] = partial(self.take_back, name, chosen)
            chosen.is_claiming = self.ledger is not None
            group.claims += chosen.is_claiming
            given = True
            chosen.wake()
        # The timekeeper may have been given a place: another one has to watch the time.
        if given:
            self.wake(name)
        return again_at

    def _next(self, name: str, group: Group, pace: Pace) -> tuple[Waiter | None, float]:
        if not group.queue.waiting or group.budget.is_held_back or group.claims > 0:
            return None, math.inf  # whoever it waits for will have the queue looked after
        now, window, arrivals = self.now(), pace.window_s, self.arrivals(name, pace)
        free_at = group.budget.next_send_at(now, window, arrivals)
        left = self._left_by_bulk_s(group, pace)
        # Bulk's window is longer by what it leaves to the urgent; asked as if it were earlier, told as if later.
        group.queue.bulk_free_at = group.budget.next_send_at(now - left, window, arrivals) + left
        is_proved = group.budget.is_proved(now, window, pace.jitter_s)
        return group.queue.choose(now, free_at, pace.spacing_s, is_proved=is_proved)

    def _left_by_bulk_s(self, group: Group, pace: Pace) -> float:
        """Return by how much bulk stretches its window for the urgent of the last seconds.

        Only where the server's word takes longer than a spacing: it then comes too late to prove much to them.
        """
        is_asked_for = self.now() - group.queue.urgent_at < URGENT_WINDOW_S * pace.market_second_s
        is_late = self._jitter.least_s > pace.spacing_s
        return SHARE_LEFT * pace.spacing_s if is_asked_for and is_late else 0.0

    def wake(self, name: str) -> None:
        """Have the timekeepers of a group look again; mostly nobody waits."""
        queue = self.group(name).queue
        for keeper in queue.timekeepers().values() if queue.waiting else ():
            keeper.wake()

    def rest_s(self, name: str, waiter: Waiter, again_at: float) -> float:
        """Return how long one may rest: for ever unless it watches the time for its event loop."""
        group = self.group(name)
        if group.queue.timekeepers().get(waiter.place) is not waiter:
            return math.inf
        # A holder in another thread may end with its loop, without waking anybody: look now and then.
        is_shared = any(holder.place is not waiter.place for holder in list(group.held))
        return min(again_at - self.now(), LOOK_AGAIN_S if is_shared else math.inf)

    def end_claim(self, name: str, waiter: Waiter) -> None:
        """Note that one asks the other processes no longer, if it was counted: the ledger may have come later."""
        self.group(name).claims -= waiter.is_claiming
        waiter.is_claiming = False

    def take_back(self, name: str, waiter: Waiter) -> None:
        """Have a place back that was not used; a second time changes nothing."""
        group = self.group(name)
        self.end_claim(name, waiter)
        if group.held.pop(waiter, None) is not None:
            group.budget.forget(math.inf)
            group.budget.close(is_answered=False)
        self.wake(name)

    def learn(self, expected: str, name: str, left: int, per_second: int | None, sent_at: float) -> None:
        """Take a ``Remaining-Req`` into account; a group is called what the server calls it."""
        if name not in self._groups and len(self._groups) >= MAX_GROUPS:
            name = expected  # names without end are no groups
        if name != expected:
            self._rename(expected, name)
        if per_second is not None:
            self.group(name).budget.announced_limit = per_second
        budget, pace = self.group(name).budget, self.pace(name)
        # What the server allows beyond our limit is not ours to use.
        more = max(0, per_second - budget.limit) if per_second is not None else 0
        budget.correct(max(0, left - more), sent_at, pace.jitter_s, pace.market_second_s)
        self.wake(name)

    def _rename(self, expected: str, name: str) -> None:
        ours, theirs = self.group(expected), self._groups.get(name)
        # Both names, one object: calls on their way were made under the old one.
        if theirs is None:
            self._groups[name] = ours
        elif theirs is not ours:
            theirs.budget.absorb(ours.budget)
            theirs.queue.absorb(ours.queue)
            theirs.claims += ours.claims
            theirs.held |= ours.held
            self._groups[expected] = theirs

    def observe(self, name: str, sent_at: float, round_trip_s: float) -> None:
        """Learn from a round trip on a warm connection how uncertain delays are, and that this call has arrived."""
        self._jitter.add(round_trip_s, self.now(), self.market_second_s)
        self.group(name).budget.note_answer(sent_at, round_trip_s)

    def refuse(self, name: str) -> None:
        """Stop a group after a 429, for 1 s + J; too many of them stop all groups for a while."""
        now = self.now()
        until = now + self.window_s(name)
        self.group(name).budget.refuse(until)
        rest = REFUSALS_WITHIN_S * self.market_second_s
        self._refusals.append(now)
        while self._refusals[0] <= now - rest:
            self._refusals.popleft()
        if len(self._refusals) >= MAX_REFUSALS:
            self.stop_until(self._refusals[-MAX_REFUSALS] + rest)
        if self.ledger is not None:
            self.ledger.block(name, until)

    def stop(self, stated_s: float | None) -> float:
        """Stop all groups after a 418, for the stated time or twice as long each time; answers market seconds."""
        # the first duration of a 418 is not documented
        waits_s = stated_s or BLOCKS.delay_s(self._blocks)
        self._blocks += 1
        until = self.now() + waits_s * self.market_second_s
        self.stop_until(until)
        if self.ledger is not None:
            self.ledger.block("*", until)
        return waits_s

    def stop_until(self, until: float) -> None:
        """Send nothing to this address before ``until``."""
        self._blocked_until = max(self._blocked_until, until)
        for group in self._groups.values():
            group.budget.block(until)

    def note_success(self) -> None:
        """Forget that the address was blocked before."""
        self._blocks = 0

    def headroom(self) -> dict[str, Headroom]:
        """Return what each group has left."""
        now, paces = self.now(), {name: self.pace(name) for name in sorted(self._groups)}
        return {
            name: Headroom(
                limit=self._groups[name].budget.limit,
                left=self._groups[name].budget.left(now, pace.window_s, self.arrivals(name, pace)),
                blocked_for_s=self._groups[name].budget.blocked_for(now) / pace.market_second_s,
                jitter_s=pace.jitter_s / pace.market_second_s,
            )
            for name, pace in paces.items()
        }


_present: dict[str, AddressBudget] = {}
_present_lock = threading.Lock()


def budget_of(url: str, make_ledger: Callable[[str], MachineLedger] | None = None) -> AddressBudget:
    """Return the budget of an address in this process, a new one if nobody uses it.

    It outlives its last user by a moment, or by a block: an API that is opened anew must not forget either.

    ``make_ledger`` makes the ledger by which processes share; it is asked for once per address.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme in {"https", "wss"} else 80)
    key = f"{parts.hostname}:{port}"
    with _present_lock:
        # Swept here and nowhere else: addresses are few, and no timer has to outlive an event loop.
        for unused in [each for each, budget in _present.items() if budget.is_unused]:
            del _present[unused]
        found = _present.setdefault(key, AddressBudget())
    with found.lock:
        # Asked once an address: two ledgers would take two places in the file for one send.
        if make_ledger is not None and found.ledger is None:
            found.ledger = make_ledger(key)
    return found
