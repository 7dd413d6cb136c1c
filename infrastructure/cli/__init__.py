"""The command line: ``market-backbone``."""

from .app import main

__all__ = ["main"]
