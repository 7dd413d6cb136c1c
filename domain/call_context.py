"""What calls are made for. Travels with the task, so that no port has to carry it through every method.

An adapter asks for the current context to learn how urgent a call is, and tells it what the call has cost.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import define

from .request_options import Priority


@define(eq=False)
class CallContext:
    """One request on its way, and what it has cost so far.

    Attributes:
        parent: the context that this one is a part of.
        calls: calls that were sent, whatever became of them.
        waited_s: market seconds that they waited for the budget.

    """

    _priority: Priority = Priority.INTERACTIVE
    parent: "CallContext | None" = None
    calls: int = 0
    waited_s: float = 0.0

    @property
    def priority(self) -> Priority:
        """How urgent it is, and at least as urgent as what it is a part of; may rise while it waits."""
        return self._priority if self.parent is None else min(self._priority, self.parent.priority)

    @priority.setter
    def priority(self, priority: Priority) -> None:
        self._priority = priority

    def note_call(self, waited_s: float) -> None:
        """Count a call that is being sent after ``waited_s`` market seconds of waiting for the budget."""
        self.calls += 1
        self.waited_s += waited_s


_current: ContextVar[CallContext | None] = ContextVar("market_backbone_call_context", default=None)


def current_call_context() -> CallContext:
    """Return the context of this task; a new one, that nobody reads, where there is none."""
    return _current.get() or CallContext()


@contextmanager
def use_call_context(context: CallContext) -> Generator[CallContext]:
    """Make all calls inside on behalf of ``context``; tasks that are started inside inherit it."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
