"""Which faults are active when, and where they come from: scripts, tests and the admin endpoint."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import attrs
import msgspec

from ....domain.errors import ConfigurationError
from ..hash_rng import fraction, key_of
from .faults import SUDDEN, Fault, Kind

_FOREVER_MS = 1 << 60
_MS = 1_000


@attrs.frozen
class ScheduledFault:
    """A fault with the sandbox times between which it is active."""

    fault: Fault
    starts_ms: int
    ends_ms: int


class FaultSchedule:
    """All faults of one sandbox."""

    def __init__(self, seed: int) -> None:
        """Start without faults."""
        self._key = key_of(seed, "faults")
        self._draws = 0
        self._scheduled: tuple[ScheduledFault, ...] = ()

    def add(self, fault: Fault, from_ms: int) -> ScheduledFault:
        """Schedule a fault relative to an instant."""
        starts = from_ms + int(fault.at_s * _MS)
        length = fault.length_s
        ends = _FOREVER_MS if length is None else starts + int(length * _MS)
        scheduled = ScheduledFault(fault, starts, ends)
        self._scheduled = (*self._scheduled, scheduled)
        return scheduled

    def clear(self) -> tuple[ScheduledFault, ...]:
        """Forget all faults and return them."""
        cleared, self._scheduled = self._scheduled, ()
        return cleared

    def scheduled(self) -> tuple[ScheduledFault, ...]:
        """Return every fault, active or not."""
        return self._scheduled

    def active(
        self,
        kind: Kind,
        now: int,
        *,
        symbol: str | None = None,
        channel: str | None = None,
        group: str | None = None,
    ) -> Fault | None:
        """Return the newest fault of a kind that is active and concerns what is named."""
        if not self._scheduled:
            return None
        for each in self._matching(kind, now):
            if each.fault.concerns(symbol, channel, group):
                return each.fault
        return None

    def hits(
        self,
        kind: Kind,
        now: int,
        *,
        symbol: str | None = None,
        channel: str | None = None,
        group: str | None = None,
    ) -> Fault | None:
        """Like ``active``, but only for the fault's share of the questions."""
        fault = self.active(kind, now, symbol=symbol, channel=channel, group=group)
        if fault is None or fault.share is None:
            return fault
        return fault if self.draw() < fault.share else None

    def all_active(self, kind: Kind, now: int) -> list[Fault]:
        """Return every active fault of a kind, newest first."""
        return [each.fault for each in self._matching(kind, now)]

    def sudden(self, after: int, until: int) -> list[Fault]:
        """Return the faults of an instant in (after, until], oldest first."""
        hits = [each for each in self._scheduled if each.fault.kind in SUDDEN and after < each.starts_ms <= until]
        return [each.fault for each in sorted(hits, key=_starts_ms)]

    def draw(self) -> float:
        """Return the next of a reproducible row of numbers in [0, 1)."""
        self._draws += 1
        return fraction(self._key, self._draws)

    def _matching(self, kind: Kind, now: int) -> Iterator[ScheduledFault]:
        for each in reversed(self._scheduled):
            if each.fault.kind == kind and each.starts_ms <= now < each.ends_ms:
                yield each


def _starts_ms(each: ScheduledFault) -> int:
    return each.starts_ms


def read_script(path: Path) -> list[Fault]:
    """Read a fault script: TOML with ``[[fault]]`` tables, or a JSON list.

    Raises:
        ConfigurationError: the file cannot be read; the message names every mistake.

    """
    try:
        raw = path.read_bytes()
        content: Any = tomllib.loads(raw.decode()) if path.suffix == ".toml" else msgspec.json.decode(raw)
    except (OSError, ValueError, RecursionError) as error:  # of either parser, or of the text itself
        message = f"fault script {path}: expected TOML or a JSON list, but {error}"
        raise ConfigurationError(message) from error
    if isinstance(content, dict):
        table = cast("dict[str, object]", content)
        content = table.get("fault", table)
    try:
        return faults_from(content)
    except ConfigurationError as error:
        message = f"fault script {path}: {error}"
        raise ConfigurationError(message) from error


def faults_from(content: object) -> list[Fault]:
    """Return the faults that decoded JSON or TOML describes: one table or a list of them.

    Raises:
        ConfigurationError: naming every mistake and its place in the list.

    """
    rows = cast("list[object]", content) if isinstance(content, list) else [content]
    faults: list[Fault] = []
    mistakes: list[str] = []
    for place, row in enumerate(rows, 1):
        try:
            faults.append(_fault_from(row))
        except ConfigurationError as error:
            mistakes.append(f"fault {place}: {error}")
    if mistakes:
        raise ConfigurationError("; ".join(mistakes))
    return faults


def _fault_from(row: object) -> Fault:
    if not isinstance(row, dict):
        message = f'expected a table such as {{"kind": "drop-sockets"}}, not {str(row)[:80]}'
        raise ConfigurationError(message)
    table = cast("dict[str, Any]", row)
    known = {field.name: field.type for field in attrs.fields(Fault)}
    unknown = sorted(set(table) - set(known))
    if unknown or "kind" not in table:
        wrong = [f"no parameter named {name!r}; known: {', '.join(known)}" for name in unknown]
        message = "; ".join([*wrong, *(() if "kind" in table else ("'kind' is missing",))])
        raise ConfigurationError(message)
    mistyped = [
        f"{name} must be {known[name]}, not {value!r}" for name, value in table.items() if not _fits(name, value)
    ]
    if mistyped:
        raise ConfigurationError("; ".join(mistyped))
    return Fault(**table)


_WORDS = frozenset({"kind", "symbol", "channel", "group", "unit", "side", "to"})
_SWITCHES = frozenset({"pongs", "enabled"})
_WHOLE = frozenset({"maximum_ms", "code", "status", "factor"})


def _fits(name: str, value: object) -> bool:
    if name in _WORDS:
        return isinstance(value, str)
    if name in _SWITCHES:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) if name in _WHOLE else isinstance(value, int | float)
