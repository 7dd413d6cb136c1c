"""What is found: figures of each client, goals, and charts. Standard library only."""

import statistics
from dataclasses import dataclass, field


@dataclass
class Figure:
    """What one client did, round by round."""

    client: str
    values: list[float] = field(default_factory=list)
    note: str = ""
    failed: str = ""
    details: list[dict[str, object]] = field(default_factory=list)

    @property
    def median(self) -> float | None:
        """The median of the rounds; None for a client that failed."""
        return statistics.median(self.values) if self.values and not self.failed else None


@dataclass
class Goal:
    """What a figure has to reach, as a ratio or in its own unit."""

    text: str
    measured: float | None
    limit: float
    at_least: bool = True
    unit: str = "x"

    @property
    def verdict(self) -> str:
        """Met, missed, or not measured."""
        if self.measured is None:
            return "not measured"
        is_met = self.measured >= self.limit if self.at_least else self.measured <= self.limit
        return "met" if is_met else "MISSED"


@dataclass
class Chart:
    """Points of one line, to be drawn."""

    name: str
    title: str
    across: str
    up: str
    lines: dict[str, list[tuple[float, float]]]
    words: str = ""


@dataclass
class Section:
    """One row of the bench."""

    title: str
    unit: str = ""
    figures: list[Figure] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def median_of(self, client: str) -> float | None:
        """Return a client's median."""
        return next((one.median for one in self.figures if one.client == client), None)

    def ratio(self, client: str, reference: str) -> float | None:
        """Return a client's median over another's."""
        own, other = self.median_of(client), self.median_of(reference)
        return own / other if own is not None and other else None
