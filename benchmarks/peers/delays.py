"""How long frames were on their way: the size of each tells when it was sent. Standard library only."""

import json
from decimal import Decimal

WARMING = 0.1
MAX_MS = 60_000
E8 = 10**8


def tell(arrivals: list[tuple[int, Decimal]], **more: object) -> None:
    """Print percentiles of what arrived at a monotonic nanosecond with this size, in ms, the first tenth left out."""
    delays = [(at - int(size * E8)) / 1e6 for at, size in arrivals]
    meant = [delay for delay in delays if 0 <= delay < MAX_MS]  # a snapshot carries no such size
    kept = sorted(meant[int(len(meant) * WARMING) :])
    figures = {"events": len(meant), "p50_ms": _at(kept, 0.5), "p99_ms": _at(kept, 0.99), "most_ms": _at(kept, 1.0)}
    print(json.dumps(figures | more), flush=True)


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")
