"""What Upbit's refusals mean in the error tree. No I/O."""

import re
from collections.abc import Mapping
from enum import Enum

import msgspec

from ...domain.errors import (
    ChannelError,
    ChannelUnavailableError,
    MalformedReplyError,
    RateLimitedError,
    UnsupportedRequestError,
)
from ..sanitize import excerpt

TOO_MANY = 429
BLOCKED = 418
MIN_BLOCK_S, MAX_BLOCK_S = 60.0, 86_400.0
"""A server that states more than a day is believed for a day."""

PAUSE_S = 1.0
BAD_REQUEST, NOT_FOUND, REQUEST_TIMEOUT, SERVER_ERRORS = 400, 404, 408, 500


class ErrorDetail(msgspec.Struct):
    """``name`` is an integer on market data and a string on unrouted paths and elsewhere."""

    message: str = ""
    name: int | str = ""


class ErrorBody(msgspec.Struct):
    """The body of a refusal."""

    error: ErrorDetail


class Refusal(Enum):
    """Refusals that are not errors of a channel yet: they need the market list first."""

    CODE_NOT_FOUND = "code not found"


_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WAIT = re.compile(r"(\d+(?:\.\d+)?)\s*(s\b|secs?\b|seconds?\b|mins?\b|minutes?\b|초|분)", re.IGNORECASE)


def read_error(body: bytes) -> ErrorDetail:
    """Return the error of a body; a body of another kind (429 is plain text) becomes the message."""
    try:
        said = msgspec.json.decode(body, type=ErrorBody).error
        return ErrorDetail(excerpt(said.message), said.name if isinstance(said.name, int) else excerpt(said.name))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ErrorDetail(message=excerpt(body))


def stated_wait(headers: Mapping[str, str], message: str) -> float | None:
    """Return the seconds that a refusal asks to wait, wherever it says so; None where it does not.

    A number in a text counts only with its unit (``seconds``, ``minutes``, ``초``, ``분``): no capture of a
    418 exists, and a year or a status code is no time to wait.
    """
    header = headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(header):
        return min(float(header), MAX_BLOCK_S)
    # The excerpt bounds what the pattern searches: the text is a stranger's.
    found = _WAIT.search(excerpt(message))
    if found is None:
        return None
    # `min` and the Korean minute begin so; every other unit that matches is a second.
    return min(float(found[1]) * (60 if found[2][0].lower() in "m분" else 1), MAX_BLOCK_S)


def explain_status(status: int, headers: Mapping[str, str], body: bytes, *, channel: str) -> Exception | Refusal:
    """Return the error of a reply that is not 200.

    A 404 with an integer name, or ``Code not found``, means the symbol; with a string name it comes from
    the gateway and means the channel (probed 2026-09-23).
    """
    detail = read_error(body)
    said = f"HTTP {status} {detail.message!r}"
    if status == TOO_MANY:
        msg = f"{said}; too many requests this second, try again in a moment"
        return RateLimitedError(msg, channel=channel, retry_after=max(PAUSE_S, stated_wait(headers, "") or 0.0))
    if status == BLOCKED:
        wait = stated_wait(headers, detail.message) or MIN_BLOCK_S
        msg = f"{said}; this address is blocked for {wait:g} s, send nothing until then"
        return RateLimitedError(msg, channel=channel, retryable=False, retry_after=wait)
    if status == NOT_FOUND and (isinstance(detail.name, int) or detail.message == "Code not found"):
        return Refusal.CODE_NOT_FOUND
    if status == BAD_REQUEST:
        return UnsupportedRequestError(f"{channel}: {said}; the exchange does not accept this request")
    if status >= SERVER_ERRORS or status in {NOT_FOUND, REQUEST_TIMEOUT}:
        msg = f"{said}; maintenance or a fault of the exchange, try again later"
        return ChannelUnavailableError(msg, channel=channel)
    msg = f"{said}; expected 200"
    return MalformedReplyError(msg, channel=channel)


RETRYABLE_FRAME_ERRORS = frozenset({"TOO_MANY_REQUEST", "INTERNAL_ERROR"})


def explain_frame_error(detail: ErrorDetail, *, channel: str) -> ChannelError:
    """Return the error of an error frame, decided by its name and never by its text.

    Repeating a request that was refused for its content would burn the connect limit.
    """
    if detail.name == "TOO_MANY_REQUEST":
        msg = f"{detail.name}: {excerpt(detail.message)}; too many messages on this socket"
        return RateLimitedError(msg, channel=channel, retry_after=PAUSE_S)
    name = excerpt(str(detail.name))
    msg = f"the exchange refused the subscription with {name}: {excerpt(detail.message)}"
    return ChannelUnavailableError(msg, channel=channel, retryable=detail.name in RETRYABLE_FRAME_ERRORS)


def explain_upgrade(status: int, headers: Mapping[str, str], body: bytes, *, channel: str) -> ChannelError:
    """Return the error of a refused WebSocket upgrade."""
    found = explain_status(status, headers, body, channel=channel)
    if isinstance(found, RateLimitedError):
        return RateLimitedError(str(found), channel=channel, retry_after=found.retry_after)
    return ChannelUnavailableError(f"upgrade refused with HTTP {status}", channel=channel)
