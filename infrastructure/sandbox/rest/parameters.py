"""Query parameters of the REST endpoints, with Upbit's own refusals (facts section 4)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from ..units import DAY, HOUR, MINUTE, SECOND

MISSING = "Missing request parameter error. Check the required parameters!"
MISTYPED = "Type mismatch error. Check the parameters type!"
INVALID = "Invalid parameter. Check the given value!"
UNKNOWN_CODE = "Code not found"
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?")
_TIME_OF_DAY = re.compile(r"(\d\d):?(\d\d):?(\d\d)")
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,8})?")
_LAST_HOUR, _LAST_MINUTE = 23, 59
_E8 = 10**8


class Refusal(Exception):  # noqa: N818 - it is an answer of the emulated exchange, not an error of ours
    """The exchange answers with an error body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def required(query: Mapping[str, str], name: str) -> str:
    """Return a parameter that must be there."""
    value = query.get(name, "")
    if not value:
        raise Refusal(400, MISSING)
    return value


def count_in(query: Mapping[str, str], default: int, most: int) -> int:
    """Return ``count``, silently cut to what the endpoint gives at most."""
    count = _integer(query.get("count"), default)
    if count < 1:
        raise Refusal(400, INVALID)
    return min(count, most)


def days_ago_in(query: Mapping[str, str]) -> int:
    """Return ``days_ago``: 1 to 7, or 0 when left out."""
    text = query.get("days_ago")
    if text is None:
        return 0
    days = _integer(text, 0)
    if not 1 <= days <= 7:  # noqa: PLR2004 - the documented reach
        raise Refusal(400, INVALID)
    return days


def cursor_in(query: Mapping[str, str]) -> int | None:
    """Return ``cursor``: only trades with a smaller id are wanted."""
    text = query.get("cursor")
    return None if text is None else _integer(text, 0)


def flag_in(query: Mapping[str, str], *names: str) -> bool:
    """Return a boolean under any of its spellings (snake and the legacy camel case)."""
    for name in names:
        text = query.get(name)
        if text is None:
            continue
        if text.lower() not in ("true", "false"):
            raise Refusal(400, MISTYPED)
        return text.lower() == "true"
    return False


def codes_in(query: Mapping[str, str], name: str) -> list[str]:
    """Return a comma list in upper case."""
    return [code.strip().upper() for code in required(query, name).split(",")]


def level_in(query: Mapping[str, str]) -> int:
    """Return ``level`` in units of 1e-8."""
    text = query.get("level", "0")
    if not _NUMBER.fullmatch(text):
        raise Refusal(400, MISTYPED)
    whole, _, rest = text.partition(".")
    return int(whole) * _E8 + int(rest.ljust(8, "0") or 0)


def instant_in(query: Mapping[str, str]) -> int | None:
    """Return ``to`` of a candle request in milliseconds, rounded up; without a zone it is UTC."""
    text = query.get("to")
    if not text:
        return None
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise Refusal(400, INVALID)
    day, time, part, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{zone or 'Z'}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refusal(400, INVALID) from error
    milliseconds = -(-int((part or ".0")[1:].ljust(9, "0")) // 10**6)
    return int(moment.timestamp()) * SECOND + milliseconds


def time_of_day_in(query: Mapping[str, str]) -> int:
    """Return ``to`` of a trades request as milliseconds into the day; the whole day when left out."""
    text = query.get("to")
    if not text:
        return DAY
    match = _TIME_OF_DAY.fullmatch(text)
    if match is None:
        raise Refusal(400, INVALID)
    hours, minutes, seconds = (int(part) for part in match.groups())
    if hours > _LAST_HOUR or minutes > _LAST_MINUTE or seconds > _LAST_MINUTE:
        raise Refusal(400, INVALID)
    return hours * HOUR + minutes * MINUTE + seconds * SECOND


def minutes_unit(text: str) -> int:
    """Return the unit in the path of a minutes request."""
    return _integer(text, 0)


def _integer(text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise Refusal(400, MISTYPED) from error
