"""Structured log events on stderr, for people or for programs."""

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from .sanitize import sanitize

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


class StructlogLogger:
    """Writes log events; the process's own logging configuration stays untouched."""

    def __init__(self, level: str, form: str) -> None:
        """Write events of ``level`` and above as ``console`` lines or ``json``."""
        renderer = structlog.processors.JSONRenderer() if form == "json" else _plain_line
        self._log: Any = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                renderer,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        ).bind()  # otherwise it is assembled anew for each event: 0.03 ms, even of one that is not written

    def info(self, event: str, **details: object) -> None:
        """Write an event of level INFO."""
        self._log.info(event, **details)

    def warning(self, event: str, **details: object) -> None:
        """Write an event of level WARNING."""
        self._log.warning(event, **details)


def _plain_line(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    details = {key: value for key, value in event.items() if key not in {"timestamp", "level", "event"}}
    details_text = " ".join(f"{key}={value}" for key, value in details.items())
    return sanitize(f"{event['timestamp']} {event['level']} {event['event']} {details_text}".rstrip())
