"""What can go wrong on purpose: one value per fault, checked when it is made.

Each kind takes ``at_s`` (sandbox seconds from the start, or from the injection) and ``duration_s``
(until cleared when left out), and only the parameters that ``PARAMETERS`` names for it.
"""

import difflib
from typing import Literal, get_args

import attrs

from ....domain.errors import ConfigurationError

Kind = Literal[
    "drop-sockets",
    "close-sockets",
    "stall",
    "refuse-upgrades",
    "rest-status",
    "slow-rest",
    "unit-lag",
    "replacement-loss",
    "late-frames",
    "duplicate-frames",
    "disordered-frames",
    "revise-candle",
    "outage",
    "maintenance",
    "microsecond-timestamp",
    "one-sided-book",
    "delist",
    "rename",
    "redenominate",
    "empty-page",
    "malformed-frame",
    "malformed-body",
    "drop-remaining-req",
    "dead-code",
]
KINDS: tuple[str, ...] = get_args(Kind)
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
# At an instant rather than for a while.
SUDDEN = frozenset({"drop-sockets", "close-sockets"})
GROUPS = ("market", "candles", "crix-trades", "ticker", "orderbook")
CHANNELS = ("ticker", "trade", "orderbook", "candle")
UNIT_NAMES = ("1s", "1m", "3m", "5m", "10m", "15m", "30m", "60m", "240m", "1d", "1w", "1M", "1y")
_FACTORS = (2, 5, 10)
_CLOSE_CODES = (1000, 1001)
_SECONDS_AN_HOUR = 3_600


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

    kind: Kind = attrs.field(kw_only=False)
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
        mistakes = _mistakes_of(self)
        if mistakes:
            raise ConfigurationError("; ".join(mistakes))

    @property
    def length_s(self) -> float | None:
        """How long the fault lasts, whichever way it was said."""
        return self.duration_s if self.hours is None else self.hours * _SECONDS_AN_HOUR

    def concerns(self, symbol: str | None = None, channel: str | None = None, group: str | None = None) -> bool:
        """Tell whether the fault's filters let it hit this symbol, channel or group."""
        return (
            (self.symbol is None or symbol is None or self.symbol == symbol)
            and (self.group is None or group is None or self.group == group)
            and (self.channel is None or channel is None or self.channel == channel.partition(".")[0])
        )


_COMMON = ("kind", "at_s", "duration_s")
_CHOICES: dict[str, tuple[object, ...]] = {
    "channel": CHANNELS,
    "group": GROUPS,
    "unit": UNIT_NAMES,
    "code": _CLOSE_CODES,
    "side": ("ask", "bid"),
    "factor": _FACTORS,
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


def _mistakes_of(fault: Fault) -> list[str]:
    if fault.kind not in KINDS:
        near = difflib.get_close_matches(str(fault.kind), KINDS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(KINDS)}"
        return [f"no fault kind named {fault.kind!r}{hint}"]
    given = {name: value for name, value in attrs.asdict(fault).items() if value is not None}
    return [*_name_mistakes(fault.kind, given), *_value_mistakes(given)]


def _name_mistakes(kind: str, given: dict[str, object]) -> list[str]:
    allowed = {name.rstrip("!") for name in PARAMETERS[kind]}
    needed = [name[:-1] for name in PARAMETERS[kind] if name.endswith("!")]
    takes = ", ".join(sorted(allowed)) or "none"
    mistakes = [
        f"{kind} takes no {name!r} (it takes: {takes})" for name in given if name not in allowed and name not in _COMMON
    ]
    return [*mistakes, *(f"{kind} needs {name!r}" for name in needed if name not in given)]


def _value_mistakes(given: dict[str, object]) -> list[str]:
    mistakes: list[str] = []
    for name, value in given.items():
        choices = _CHOICES.get(name)
        if choices is not None and value not in choices:
            mistakes.append(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}")
        span = _RANGES.get(name)
        if span is not None and not (isinstance(value, int | float) and span[0] <= value <= span[1]):
            mistakes.append(f"{name} must lie between {span[0]:g} and {span[1]:g}, not {value!r}")
    return mistakes
