"""What clients that download 20,000 candles share: the range, and one line of JSON. Standard library only."""

import json
import sys
import time
from datetime import datetime

from pages import page_ends

MAX_TRIES = 1000
PAUSE_S = 1.0


def range_end() -> datetime:
    """Return where the downloaded range ends."""
    return page_ends(1)[0]


def arguments() -> tuple[int, list[str]]:
    """Return how many candles, of which symbols."""
    return int(sys.argv[3]), sys.argv[4].split(",")


def tell(began: float, rows: int, **more: object) -> None:
    """Print what it took since ``began``."""
    print(json.dumps({"seconds": time.perf_counter() - began, "rows": rows, **more}), flush=True)
