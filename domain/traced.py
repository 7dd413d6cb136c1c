"""Answers that are lists, with the trace of how they came about."""

from collections.abc import Iterable
from typing import TypeVar

from .routing import RoutePlan

Item = TypeVar("Item")


class TracedList(list[Item]):
    """A list that knows which channels were asked for it, and why.

    Attributes:
        trace: the plan, filled with what happened.

    """

    def __init__(self, items: Iterable[Item], trace: RoutePlan) -> None:
        """Hold ``items``."""
        super().__init__(items)
        self.trace = trace
