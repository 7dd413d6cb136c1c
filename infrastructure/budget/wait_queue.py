"""Who goes next: the queue of those who wait for a place in one group. Pure."""

import math
from collections.abc import Callable, Hashable

from attrs import define, field

from ...domain.call_context import CallContext
from ...domain.request import Priority

PASSED_AT_MOST = 19
"""Places that may go to others while bulk waits; the next is its own, so that it keeps 5 %."""

LATENESS = 0.25
"""Share of a spacing up to which lateness is a timer's, and made up for; more is idleness, unless somebody waited."""


@define(eq=False)
class Waiter:
    """One request in the queue.

    Attributes:
        context: says how urgent it is; read again each time a place is given.
        number: orders those who are equally urgent.
        since: when it joined.
        place: whose clock it waits on: its event loop.
        wake: has it look again; may be called from any thread.
        is_orphaned: whether nobody will ever look again: its event loop was closed.
        is_given: whether it was given a place.
        is_claiming: whether the group counts it among those who ask the other processes.

    """

    context: CallContext
    number: int
    since: float
    place: Hashable
    wake: Callable[[], None]
    is_orphaned: Callable[[], bool]
    is_given: bool = False
    is_claiming: bool = False

    @property
    def is_bulk(self) -> bool:
        """Whether it may wait for all others, and must not burst."""
        return self.context.priority >= Priority.BULK


@define
class WaitQueue:
    """REPAIR before INTERACTIVE before BULK, equals in order of arrival.

    Invariants:
        Of twenty places that are given while bulk waits, one is its own.
        Bulk goes at most once per spacing, however long nobody has sent. Who was ready, and kept waiting by a slow
        answer and nobody more urgent, has up to a spacing of that made up for.
    """

    waiting: list[Waiter] = field(factory=list[Waiter])
    bulk_at: float = -math.inf
    bulk_free_at: float = -math.inf
    urgent_at: float = -math.inf
    _passed: int = 0

    def join(self, waiter: Waiter) -> None:
        """Take one more in."""
        self.waiting.append(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Let one go, whose place was not given."""
        if waiter in self.waiting:
            self.waiting.remove(waiter)

    def drop_orphans(self) -> None:
        """Let all go whose event loop was closed: a place that one of them got would never be used."""
        self.waiting = [waiter for waiter in self.waiting if not waiter.is_orphaned()]

    def choose(self, now: float, free_at: float, spacing: float, *, is_proved: bool) -> tuple[Waiter | None, float]:
        """Return who may send now, if anybody, and otherwise when to ask again.

        ``free_at`` is when the next place is free for the urgent, ``bulk_free_at`` when it is for bulk. A proof of
        the server's (``is_proved``) is for the urgent who have waited for more than a spacing, and for bulk whose
        turn it is: whoever used it sooner would find the rest of the server's second empty.
        """
        urgent, bulk = self._heads()
        if bulk is not None and (urgent is None or (self._passed >= PASSED_AT_MOST and now >= self.bulk_at)):
            # Only against the urgent: alone, bulk has time, and a proof used now is missing to the next person.
            proved_at = now if is_proved and urgent is not None else math.inf
            plain_at = self.bulk_free_at if urgent is None else free_at
            chosen, ready_at = bulk, max(self.bulk_at, min(plain_at, proved_at))
        elif urgent is not None:
            proved_at = urgent.since + spacing if is_proved else math.inf
            chosen, ready_at = urgent, min(free_at, proved_at)
        else:
            return None, math.inf
        return (chosen, now) if ready_at <= now else (None, ready_at)

    def _heads(self) -> tuple[Waiter | None, Waiter | None]:
        urgent: Waiter | None = None
        bulk: Waiter | None = None
        for waiter in self.waiting:
            if waiter.is_bulk:
                bulk = bulk if bulk is not None and bulk.number < waiter.number else waiter
            elif urgent is None or (waiter.context.priority, waiter.number) < (urgent.context.priority, urgent.number):
                urgent = waiter
        return urgent, bulk

    def give(self, waiter: Waiter, now: float, spacing: float) -> None:
        """Give a place to one of the queue."""
        self.waiting.remove(waiter)
        waiter.is_given = True
        if waiter.is_bulk:
            # Ready in time and passed by nobody: then only an answer was late, and the rhythm may be kept.
            has_waited = waiter.since <= self.bulk_at and not self._passed
            is_late = now - self.bulk_at < LATENESS * spacing
            next_at = (self.bulk_at if has_waited or is_late else now) + spacing
            # Never in the past: what is made up for is one spacing, not a burst.
            self.bulk_at = max(now, next_at)
            self._passed = 0
        else:
            self.urgent_at = now
            # Only while bulk waits: whoever comes later has not been passed by.
            self._passed = self._passed + 1 if any(other.is_bulk for other in self.waiting) else 0

    def timekeepers(self) -> dict[Hashable, Waiter]:
        """Return the one of each place who watches the time for all others there."""
        keepers: dict[Hashable, Waiter] = {}
        for waiter in self.waiting:
            if waiter.is_orphaned():
                continue
            # One for each event loop: loops in different threads share no primitive.
            keepers.setdefault(waiter.place, waiter)
        return keepers

    def absorb(self, other: "WaitQueue") -> None:
        """Take over another queue."""
        self.waiting = sorted([*self.waiting, *other.waiting], key=lambda waiter: waiter.number)
        self.bulk_at = max(self.bulk_at, other.bulk_at)
