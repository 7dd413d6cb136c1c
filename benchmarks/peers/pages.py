"""Pages of 200 one-minute candles, asked for one after another; all clients ask for the same. Standard library only."""

import inspect
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

ROWS = 200
PAGE = timedelta(minutes=ROWS)
DAYS_AGO = 30


def page_ends(count: int) -> list[datetime]:
    """Return where pages of a dense past end, newest first, with two pages between them: no two have anything to do."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=DAYS_AGO) - number * 3 * PAGE for number in range(count)]


def wanted() -> int:
    """Return how many pages the command line asks for."""
    return int(sys.argv[3])


async def time_pages(ask: Callable[[datetime], object]) -> None:
    """Ask for every page twice, since the server prepares its answers at the first; print the median of the second."""
    ends = page_ends(wanted())
    for end in ends:
        await _rows(ask(end))
    times: list[float] = []
    rows: list[int] = []
    cpu = time.process_time()
    for end in ends:
        began = time.perf_counter()
        rows.append(await _rows(ask(end)))
        times.append(time.perf_counter() - began)
    tell(times, rows, time.process_time() - cpu)


async def _rows(answer: object) -> int:
    series = await _result(answer) if inspect.isawaitable(answer) else answer
    return len(series)


async def _result(answer: Awaitable[object]) -> object:
    return await answer


def tell(times: list[float], rows: list[int], cpu_seconds: float) -> None:
    """Print the figures as one line of JSON."""
    ordered = sorted(times)
    figures = {
        "p50_ms": statistics.median(times) * 1000,
        "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
        "cpu_ms": cpu_seconds / len(times) * 1000,
        "rows": min(rows),
    }
    print(json.dumps(figures), flush=True)
