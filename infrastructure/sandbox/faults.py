"""What can go wrong on purpose: one value per fault, and when each is active.

Each kind takes ``at_s`` (sandbox seconds from the start, or from the injection) and ``duration_s``
(until cleared when left out), and only the parameters that ``PARAMETERS`` names for it.
"""

import difflib
import tomllib
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, cast, get_args

import attrs
import msgspec

from ...domain.errors import ConfigurationError
from .hash_rng import fraction, key_of

# Parameters that a kind takes beyond at_s and duration_s; a "!" marks the ones that it needs.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "drop-sockets": (),
    "close-sockets": ("code",),
    "stall": ("symbol", "channel", "pongs"),
    "refuse-upgrades": ("status",),
    "rest-status": ("status", "group", "share"),
    "slow-rest": ("seconds", "group"),
    "unit-lag": ("seconds", "unit"),
    "replacement-loss": ("maximum_ms", "enabled"),
    "late-frames": ("symbol", "channel", "seconds", "share"),
    "duplicate-frames": ("symbol", "channel", "share"),
    "disordered-frames": ("symbol", "channel", "share", "maximum_ms"),
    "revise-candle": ("symbol", "unit", "seconds"),
    "outage": ("symbol", "hours"),
    "maintenance": ("hours", "status"),
    "microsecond-timestamp": ("symbol", "channel", "share"),
    "one-sided-book": ("symbol", "side"),
    "delist": ("symbol!",),
    "rename": ("symbol!", "to!"),
    "redenominate": ("symbol!", "factor"),
    "empty-page": ("symbol", "group", "share"),
    "malformed-frame": ("symbol", "channel", "share"),
    "malformed-body": ("group", "share"),
    "drop-remaining-req": ("group", "share"),
    "dead-code": ("symbol!", "channel"),
}
KINDS = tuple(PARAMETERS)
# At an instant rather than for a while.
_SUDDEN = ("drop-sockets", "close-sockets")
_COMMON = ("kind", "at_s", "duration_s")
_CHOICES: dict[str, tuple[object, ...]] = {
    "channel": ("ticker", "trade", "orderbook", "candle"),
    "group": ("market", "candles", "crix-trades", "ticker", "orderbook"),
    "unit": ("1s", "1m", "3m", "5m", "10m", "15m", "30m", "60m", "240m", "1d", "1w", "1M", "1y"),
    "code": (1000, 1001),
    "side": ("ask", "bid"),
    "factor": (2, 5, 10),
}
_RANGES: dict[str, tuple[float, float]] = {
    "at_s": (0, 1e9),
    "duration_s": (0, 1e9),
    "hours": (0, 1e5),
    "share": (0, 1),
    "seconds": (0, 86_400),
    "maximum_ms": (0, 60_000),
    "status": (300, 599),
}
_SECONDS_AN_HOUR = 3_600
_FOREVER_MS = 1 << 60
_MS = 1_000


@attrs.frozen(kw_only=True)
class Fault:
    """One scripted failure.

    Attributes:
        kind: which failure, one of ``KINDS``.
        at_s: when it begins, in sandbox seconds from the start (script) or the injection.
        duration_s: how long it lasts in sandbox seconds; None means until cleared.
        symbol: only this symbol; None means all.
        channel: only this WebSocket type (``candle`` means every candle unit).
        group: only this rate-limit group, spelled as on the wire (``candles``, ``crix-trades``).
        unit: only this candle unit.
        share: share of replies or frames hit, 0 to 1.
        seconds: how slow, late or lagging.
        maximum_ms: the longest loss or disorder.
        hours: length of an outage or a maintenance, instead of ``duration_s``.
        code: close code, 1000 or 1001.
        status: HTTP status of the reply.
        pongs: whether a stalled socket still answers pings.
        enabled: False switches a default fault off.
        side: which side of the book is empty, ``ask`` or ``bid``.
        to: the new code of a renamed symbol.
        factor: by what prices are multiplied, 2, 5 or 10.

    """

    kind: str = attrs.field(kw_only=False)
    at_s: float = 0.0
    duration_s: float | None = None
    symbol: str | None = None
    channel: str | None = None
    group: str | None = None
    unit: str | None = None
    share: float | None = None
    seconds: float | None = None
    maximum_ms: int | None = None
    hours: float | None = None
    code: int | None = None
    status: int | None = None
    pongs: bool | None = None
    enabled: bool | None = None
    side: str | None = None
    to: str | None = None
    factor: int | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse a fault that means nothing, naming every mistake."""
        _refuse(_mistakes_of(self))

    @property
    def length_s(self) -> float | None:
        """How long the fault lasts, whichever way it was said."""
        return self.duration_s if self.hours is None else self.hours * _SECONDS_AN_HOUR

    def to_table(self) -> dict[str, object]:
        """Return what was said of it, by name."""
        return {name: value for name, value in attrs.asdict(self).items() if value is not None}

    def concerns(self, symbol: str | None = None, channel: str | None = None, group: str | None = None) -> bool:
        """Tell whether the fault's filters let it hit this symbol, channel or group."""
        asked = ((self.symbol, symbol), (self.group, group), (self.channel, channel and channel.partition(".")[0]))
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in asked)


def _mistakes_of(fault: Fault) -> Iterator[str]:
    if fault.kind not in PARAMETERS:
        near = difflib.get_close_matches(str(fault.kind), KINDS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(KINDS)}"
        yield f"no fault kind named {fault.kind!r}{hint}"
        return
    given = fault.to_table()
    allowed = {name.rstrip("!") for name in PARAMETERS[fault.kind]}
    takes = ", ".join(sorted(allowed)) or "none"
    for name in given:
        if name not in allowed and name not in _COMMON:
            yield f"{fault.kind} takes no {name!r} (it takes: {takes})"
    for name in PARAMETERS[fault.kind]:
        if name.endswith("!") and name[:-1] not in given:
            yield f"{fault.kind} needs {name[:-1]!r}"
    yield from _value_mistakes(given)


def _value_mistakes(given: dict[str, object]) -> Iterator[str]:
    for name, value in given.items():
        if name in _CHOICES and value not in _CHOICES[name]:
            yield f"{name} must be one of {', '.join(map(str, _CHOICES[name]))}, not {value!r}"
        low, high = _RANGES.get(name, (0, 0))
        if name in _RANGES and not (isinstance(value, int | float) and low <= value <= high):
            yield f"{name} must lie between {low:g} and {high:g}, not {value!r}"


@attrs.frozen
class ScheduledFault:
    """A fault with the sandbox times between which it is active."""

    fault: Fault
    starts_ms: int
    ends_ms: int


class FaultSchedule:
    """All faults of one sandbox."""

    def __init__(self, seed: int) -> None:
        self._key = key_of(seed, "faults")
        self._draws = 0
        self._scheduled: tuple[ScheduledFault, ...] = ()

    def add(self, fault: Fault, from_ms: int) -> ScheduledFault:
        """Schedule a fault relative to an instant."""
        starts, length = from_ms + int(fault.at_s * _MS), fault.length_s
        ends = _FOREVER_MS if length is None else starts + int(length * _MS)
        self._scheduled = (*self._scheduled, ScheduledFault(fault, starts, ends))
        return self._scheduled[-1]

    def clear(self) -> tuple[ScheduledFault, ...]:
        """Forget all faults and return them."""
        cleared, self._scheduled = self._scheduled, ()
        return cleared

    def scheduled(self) -> tuple[ScheduledFault, ...]:
        """Return every fault, active or not."""
        return self._scheduled

    def active(self, kind: str, now: int, **about: str | None) -> Fault | None:
        """Return the newest fault of a kind that is active and concerns this symbol, channel or group."""
        return next((fault for fault in self.all_active(kind, now) if fault.concerns(**about)), None)

    def hits(self, kind: str, now: int, **about: str | None) -> Fault | None:
        """Like ``active``, but only for the fault's share of the questions."""
        fault = self.active(kind, now, **about)
        return None if fault is None or (fault.share is not None and self.draw() >= fault.share) else fault

    def all_active(self, kind: str, now: int) -> list[Fault]:
        """Return every active fault of a kind, newest first."""
        each = reversed(self._scheduled)
        return [it.fault for it in each if it.fault.kind == kind and it.starts_ms <= now < it.ends_ms]

    def sudden(self, after: int, until: int) -> list[Fault]:
        """Return the faults of an instant in (after, until], oldest first."""
        hits = [each for each in self._scheduled if each.fault.kind in _SUDDEN and after < each.starts_ms <= until]
        return [each.fault for each in sorted(hits, key=attrgetter("starts_ms"))]

    def draw(self) -> float:
        """Return the next of a reproducible row of numbers in [0, 1)."""
        self._draws += 1
        return fraction(self._key, self._draws)


def read_script(path: Path) -> list[Fault]:
    """Read a fault script: TOML with ``[[fault]]`` tables, or a JSON list.

    Raises:
        ConfigurationError: the file cannot be read; the message names every mistake.

    """
    try:
        raw = path.read_bytes()
        content: Any = tomllib.loads(raw.decode()) if path.suffix == ".toml" else msgspec.json.decode(raw)
    except (OSError, ValueError, RecursionError) as error:  # of either parser, or of the text itself
        raise ConfigurationError(f"fault script {path}: expected TOML or a JSON list, but {error}") from error
    if isinstance(content, dict):
        table = cast("dict[str, object]", content)
        content = table.get("fault", table)
    try:
        return faults_from(content)
    except ConfigurationError as error:
        raise ConfigurationError(f"fault script {path}: {error}") from error


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
    _refuse(mistakes)
    return faults


def _fault_from(row: object) -> Fault:
    if not isinstance(row, dict):
        raise ConfigurationError(f'expected a table such as {{"kind": "drop-sockets"}}, not {str(row)[:80]}')
    table = cast("dict[str, Any]", row)
    known = {field.name: field.type for field in attrs.fields(Fault)}
    unknown = [f"no parameter named {name!r}; known: {', '.join(known)}" for name in sorted(set(table) - set(known))]
    _refuse([*unknown, *(() if "kind" in table else ("'kind' is missing",))])
    _refuse(f"{name} must be {known[name]}, not {it!r}" for name, it in table.items() if not _fits(it, known[name]))
    return Fault(**table)


def _fits(value: object, annotation: Any) -> bool:  # noqa: ANN401 - whatever a field is annotated with
    kinds = {*(get_args(annotation) or (annotation,))} - {type(None)}
    # A whole number is a float as well, and a switch is no number.
    return type(value) in kinds or (type(value) is int and float in kinds)


def _refuse(mistakes: Iterator[str] | list[str]) -> None:
    if message := "; ".join(mistakes):
        raise ConfigurationError(message)
