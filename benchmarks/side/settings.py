"""How thorough a run of the bench is. Standard library only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from side.findings import Figure

Entrant = TypeVar("Entrant")


@dataclass
class Lab:
    """The options of one run.

    Attributes:
        rounds: how often each figure is taken; the median counts.
        is_quick: a short pass, for a look and not for the record.

    """

    rounds: int = 3
    is_quick: bool = False

    @property
    def flow_s(self) -> float:
        """How long frames are sent to each client."""
        return 0.4 if self.is_quick else 0.9

    def in_turn(self, entrants: Sequence[Entrant], number: int) -> list[Entrant]:
        """Return all, beginning with another one each round."""
        first = number * 5 % len(entrants)
        return [*entrants[first:], *entrants[:first]]

    def tell(self, what: str, figure: Figure) -> None:
        """Say how far the run has come."""
        last = figure.failed or f"{figure.values[-1]:,.4g}"
        print(f"  {what}: {figure.client}: {last} {figure.note}", flush=True)
