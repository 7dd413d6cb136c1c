"""Candles kept across requests: a SQLite file for users, a dictionary for tests.

Both stores merge rows and ledgers by the same pure functions, so what one keeps the other keeps.
"""

from pathlib import Path

from ...domain.adapter import AdapterContext
from .channel import CachedCandles
from .memory import MemoryCandleStore
from .sqlite import SqliteCandleStore

__all__ = ["CachedCandles", "MemoryCandleStore", "SqliteCandleStore", "cache_channel"]
FILE = "candles.sqlite3"


def cache_channel(context: AdapterContext) -> CachedCandles:
    """Build the channel ``cache``: in the folder of the section ``cache``, or in memory where it says so."""
    options = context.section("cache")
    if options.get("store") == "memory":
        return CachedCandles(context.name, MemoryCandleStore())
    path = Path(str(options.get("folder", "."))) / FILE
    return CachedCandles(context.name, SqliteCandleStore(path, report=context.warn))
