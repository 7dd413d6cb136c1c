"""In which order those who wait are served. Pure.

Invariants:
    The most urgent class goes first; of twenty turns taken while bulk waits, one is bulk's.
    Inside a class callers take turns, and each is served in order of arrival: between two turns of one
    caller every other that waits has had one.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from attrs import define, field

from ...domain.request_options import Priority

Waiting = TypeVar("Waiting")
URGENT = tuple(level for level in Priority if level is not Priority.BULK)
TURNS_BEFORE_BULK = 19
"""More urgent ones that may overtake waiting bulk in a row: bulk keeps one turn in twenty."""


@define
class FairQueue(Generic[Waiting]):
    """Those who wait, by urgency and by caller."""

    _classes: dict[Priority, OrderedDict[str, deque[Waiting]]] = field(
        factory=lambda: {level: OrderedDict[str, deque[Waiting]]() for level in Priority}
    )
    _overtaken: int = 0

    def add(self, one: Waiting, priority: Priority, caller: str) -> None:
        """Put ``one`` at the end of its caller's part of the line."""
        self._classes[priority].setdefault(caller, deque()).append(one)

    def discard(self, one: Waiting, priority: Priority, caller: str) -> bool:
        """Take ``one`` out; answers whether it was still waiting there."""
        waiting = self._classes[priority].get(caller, deque())
        if one not in waiting:
            return False
        waiting.remove(one)
        if not waiting:
            del self._classes[priority][caller]
        return True

    def next(self, *, is_bulk_allowed: bool = True) -> Waiting | None:
        """Take out whoever's turn it is; None when nobody who may be served waits."""
        has_bulk = is_bulk_allowed and bool(self._classes[Priority.BULK])
        urgent = next((level for level in URGENT if self._classes[level]), None)
        if urgent is None or (has_bulk and self._overtaken >= TURNS_BEFORE_BULK):
            self._overtaken = 0
            return self._take(Priority.BULK) if has_bulk else None
        self._overtaken += has_bulk
        return self._take(urgent)

    def _take(self, level: Priority) -> Waiting:
        """Serve the caller who has waited longest for a turn, and send it to the end."""
        callers = self._classes[level]
        caller, waiting = callers.popitem(last=False)
        one = waiting.popleft()
        if waiting:
            callers[caller] = waiting
        return one

    def count(self, level: Priority) -> int:
        """Return how many of a class wait."""
        return sum(map(len, self._classes[level].values()))
