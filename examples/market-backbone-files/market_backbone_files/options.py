"""What may be set, and what is set when nobody sets anything."""

import re
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from attrs import fields_dict, frozen

from market_backbone import ConfigurationError

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
PREFIX = re.compile(r"([a-z][a-z0-9_-]*)?")
MIN_ROWS = 1000


@frozen(kw_only=True)
class FileOptions:
    """The options of the channel.

    Attributes:
        folder: where the files lie, at any depth.
        venue: whose data this is; never a name of an exchange's own, unless you vouch for it.
        prefix: how the symbols begin: ``files`` for ``files:BTC/KRW``, and "" for plain ``KRW-BTC``.
        complete: you vouch that a slot without a row, between the first and the last one, had no trade.
        timezone: what an instant without a zone means, such as ``UTC`` or ``Asia/Seoul``; "" refuses it.
        most_rows: how many rows are held in memory; a million takes about 54 MB.

    """

    folder: Path
    venue: str = "files"
    prefix: str = "files"
    complete: bool = False
    timezone: str = ""
    most_rows: int = 5_000_000

    @property
    def zone(self) -> tzinfo | None:
        """The zone of instants that have none."""
        return ZoneInfo(self.timezone) if self.timezone else None

    @classmethod
    def of(cls, given: Mapping[str, object], where: str) -> Self:
        """Read options; from an environment variable a value is text.

        Raises:
            ConfigurationError: the message names every mistake.

        """
        known = {name: str(given[name]).strip() for name in fields_dict(cls) if name in given}
        mistakes = [
            f"unknown option {name!r}; known: {', '.join(fields_dict(cls))}" for name in given if name not in known
        ]
        checks = {
            "folder": (lambda text: bool(text) and Path(text).expanduser().is_dir(), "a folder that exists"),
            "venue": (bool, "a name, not empty"),
            "prefix": (PREFIX.fullmatch, "a word in lower case, or ''"),
            "complete": (lambda text: text.lower() in WORDS, "true or false"),
            "timezone": (_is_zone, "a zone such as UTC or Asia/Seoul, or ''"),
            "most_rows": (lambda text: text.isdecimal() and int(text) >= MIN_ROWS, "a whole number of at least 1000"),
        }
        asked = {"folder": "", **known}
        mistakes += [
            f"{name}: expected {checks[name][1]}, got {text!r}"
            for name, text in asked.items()
            if not checks[name][0](text)
        ]
        if mistakes:
            raise ConfigurationError("; ".join(f"{where}.{mistake}" for mistake in mistakes))
        convert = {
            "folder": lambda text: Path(text).expanduser(),
            "complete": lambda text: WORDS[text.lower()],
            "most_rows": int,
        }
        return cls(**{name: convert.get(name, str)(text) for name, text in asked.items()})


def _is_zone(text: str) -> bool:
    try:
        return not text or bool(ZoneInfo(text))
    except (KeyError, ValueError, OSError):  # no such zone, or no name of one
        return False
