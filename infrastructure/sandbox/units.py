"""Candle units and the UTC grid on which they lie."""

from collections.abc import Callable
from datetime import UTC, datetime

import attrs

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
MINUTE_UNITS = (1, 3, 5, 10, 15, 30, 60, 240)
# 1970-01-05 was a Monday.
_FIRST_MONDAY = 4 * DAY
_ALIASES = {"1h": "60m", "4h": "240m"}
_MONTHS_A_YEAR = 12


@attrs.frozen
class CandleUnit:
    """One candle unit: its name, and how its grid runs."""

    name: str
    floor: Callable[[int], int]
    following: Callable[[int], int]
    length: int

    def previous(self, start: int) -> int:
        """Return the start of the slot before the one that starts at ``start``."""
        return self.floor(start - 1)


def utc(milliseconds: int) -> datetime:
    """Return the instant as an aware UTC time."""
    seconds, rest = divmod(milliseconds, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * SECOND)


def ms(instant: datetime) -> int:
    """Return an aware instant as milliseconds."""
    return round(instant.timestamp() * SECOND)


def unit_named(name: str) -> CandleUnit:
    """Return the unit called ``name``; ``1h`` and ``4h`` are accepted for ``60m`` and ``240m``."""
    return UNITS[_ALIASES.get(name, name)]


def _fixed(name: str, length: int, origin: int = 0) -> CandleUnit:
    def floor(instant: int) -> int:
        return (instant - origin) // length * length + origin

    def following(start: int) -> int:
        return start + length

    return CandleUnit(name, floor, following, length)


def _month_start(instant: int) -> int:
    return ms(utc(instant).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def _next_month(start: int) -> int:
    day = utc(start)
    if day.month == _MONTHS_A_YEAR:
        return ms(day.replace(year=day.year + 1, month=1))
    return ms(day.replace(month=day.month + 1))


def _year_start(instant: int) -> int:
    return ms(utc(instant).replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0))


def _next_year(start: int) -> int:
    day = utc(start)
    return ms(day.replace(year=day.year + 1))


UNITS: dict[str, CandleUnit] = {
    unit.name: unit
    for unit in (
        _fixed("1s", SECOND),
        *(_fixed(f"{minutes}m", minutes * MINUTE) for minutes in MINUTE_UNITS),
        _fixed("1d", DAY),
        _fixed("1w", WEEK, _FIRST_MONDAY),
        CandleUnit("1M", _month_start, _next_month, 30 * DAY),
        CandleUnit("1y", _year_start, _next_year, 365 * DAY),
    )
}
