"""What every question has, whatever it asks for: who asks, how urgently, and until when."""

from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any

from attrs import Attribute, field, frozen

from .errors import DeadlineExceededError

DataCallback = Callable[[Any], Awaitable[None] | None]


class Priority(IntEnum):
    """Who goes first when requests wait; lower goes first."""

    REPAIR = 0
    INTERACTIVE = 1
    BULK = 2


def check_deadline(_: object, __: "Attribute[float | None]", deadline: float | None) -> None:
    """Refuse a deadline that has passed before anything was asked.

    Raises:
        DeadlineExceededError: the deadline is zero seconds away, or negative.

    """
    if deadline is not None and not deadline > 0:  # a NaN is refused too
        msg = f"deadline is given in seconds from now and must be positive, got {deadline}; leave it out to wait"
        raise DeadlineExceededError(msg)


@frozen(kw_only=True)
class RequestOptions:
    """The part that all questions share; nothing of it changes the answer.

    Attributes:
        priority: who goes first when requests wait.
        deadline: market seconds from now.
        caller: who asks, by any name; equally urgent callers take turns, however much one of them asks for.
            Left empty, every task is a caller of its own.
        data_callback: receives the answer of ``request_data``.

    """

    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = field(default=None, validator=check_deadline)
    caller: str = field(default="", eq=False)
    data_callback: DataCallback | None = field(default=None, eq=False)
