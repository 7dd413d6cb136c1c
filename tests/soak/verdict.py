"""What the figures of a soak say. Pure."""

from itertools import combinations
from statistics import median

from attrs import frozen

WARM_UP = 0.4
MAX_GROWN = 0.1
"""The share of what it held after the warm-up by which a process may have grown at the end, by its trend."""
SPARE_TASKS, SPARE_HANDLES, SPARE_THREADS = 3, 4, 2
MAX_SAMPLES = 200


@frozen
class Trend:
    """How a figure develops: what it was after the warm-up, and by how much its trend leads away from there."""

    name: str
    level: float
    growth: float

    @property
    def is_leak(self) -> bool:
        """Whether it grows by more than noise does."""
        return self.growth > MAX_GROWN * self.level

    def __str__(self):
        """Say it in one line."""
        return f"{self.name} {self.level:,.0f}, trend {self.growth / self.level:+.1%} by the end"


def trend_of(name, figures):
    """Return the trend of samples taken at even distances, by the median of all slopes (Theil and Sen)."""
    settled = figures[int(len(figures) * WARM_UP) :]
    step = max(1, len(settled) // MAX_SAMPLES)
    thin = settled[::step]
    slope = median((late - early) / (b - a) for (a, early), (b, late) in combinations(enumerate(thin), 2))
    return Trend(name, median(thin[: max(1, len(thin) // 4)]), slope * (len(thin) - 1))


def left_behind(busy, calm, closed):
    """Return what is still there after everybody who came late has gone, and after the API was closed, in words.

    Then there must not be more of anything than while the first of them were there.
    """
    spares = {"tasks": SPARE_TASKS, "handles": SPARE_HANDLES, "threads": SPARE_THREADS}
    first = busy[: max(1, int(len(busy) * WARM_UP))]
    usual = {name: median(line[name] for line in first) for name in spares}
    broken = [
        f"{calm[name] - usual[name]:.0f} more {name} than at first ({usual[name]:.0f})"
        for name, spare in spares.items()
        if calm[name] > usual[name] + spare
    ]
    return broken + ([f"{closed['tasks']} tasks after the API was closed"] if closed["tasks"] > 1 else [])
