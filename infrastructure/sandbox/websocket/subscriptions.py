"""The grammar of WebSocket requests (facts section 2.2), and what is wrong with bad ones."""

from collections.abc import Mapping
from typing import Any, cast

import attrs
import msgspec

from ..units import MINUTE_UNITS

CANDLE_TYPES = ("candle.1s", *(f"candle.{minutes}m" for minutes in MINUTE_UNITS))
TYPES = ("ticker", "trade", "orderbook", *CANDLE_TYPES)
FORMATS = ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST")
_DEPTHS = {"1": 1, "5": 5, "15": 15, "30": 30}
_MAX_DEPTH = 30
_E8 = 10**8
_TEXTS = {
    "WRONG_FORMAT": ("Format 이 맞지 않습니다.", "Requested using wrong format."),
    "NO_TICKET": ("티켓이 존재하지 않거나, 유효하지 않습니다.", "Ticket field must be contained."),
    "NO_TYPE": ("type 필드가 존재하지 않습니다.", "type field not exists."),
    "NO_CODES": ("codes 필드가 존재하지 않습니다.", "codes field not exists."),
    "INVALID_PARAM": ("{} 은 지원하지 않는 타입입니다.", "type {} is not supported."),
    "TOO_MANY_REQUEST": ("요청 수가 제한을 초과했습니다.", "Too many requests."),
}


class WrongRequest(Exception):  # noqa: N818 - it becomes an error frame, not an error of ours
    """A request that the exchange answers with an error frame and a close."""

    def __init__(self, name: str, detail: str = "") -> None:
        """Keep the error's name and what its text is about."""
        super().__init__(name)
        self.name = name
        self.detail = detail

    def frame(self, *, korean: bool) -> bytes:
        """Return the error frame in the region's language."""
        text = _TEXTS[self.name][0 if korean else 1].format(self.detail)
        return msgspec.json.encode({"error": {"name": self.name, "message": text}})


@attrs.frozen
class Element:
    """One code of one data object."""

    type: str
    code: str
    depth: int = _MAX_DEPTH
    level: int = 0
    snapshot: bool = True
    realtime: bool = True

    @property
    def channel(self) -> str:
        """``candle`` for every candle unit, else the type itself."""
        return self.type.partition(".")[0]


@attrs.frozen
class Subscription:
    """A request for data: it replaces the one before."""

    ticket: str
    format: str
    elements: tuple[Element, ...]
    described: tuple[Mapping[str, object], ...] = ()


@attrs.frozen
class ListRequest:
    """``LIST_SUBSCRIPTIONS``: its format becomes the format of the running streams."""

    ticket: str
    format: str


def parse(text: str, *, korean: bool) -> Subscription | ListRequest:
    """Return what a text message asks for.

    Raises:
        WrongRequest: the message is not a request.

    """
    objects = _objects(text)
    ticket = next((each["ticket"] for each in objects if "ticket" in each), None)
    if not isinstance(ticket, str) or not ticket:
        raise WrongRequest("NO_TICKET")
    given = next((each["format"] for each in objects if "format" in each), "DEFAULT")
    shape = str(given) if given in FORMATS else "DEFAULT"
    if any(each.get("method") == "LIST_SUBSCRIPTIONS" for each in objects):
        return ListRequest(ticket, shape)
    data = [each for each in objects if not set(each) <= {"ticket", "format"}]
    if not data:
        raise WrongRequest("NO_TYPE")
    elements = [element for each in data for element in _elements(each, korean=korean)]
    return Subscription(ticket, shape, tuple(elements), tuple(_described(each) for each in data))


def list_reply(request: ListRequest, running: Subscription | None) -> bytes:
    """Spell the reply to ``LIST_SUBSCRIPTIONS``."""
    result = list(running.described) if running else []
    if not request.format.startswith("SIMPLE"):
        reply = {"method": "LIST_SUBSCRIPTIONS", "result": result, "ticket": request.ticket}
        return _shaped(reply, request.format)
    short = {"type": "ty", "codes": "cds", "level": "lv"}
    rows = [{short[name]: value for name, value in row.items()} for row in result]
    return _shaped({"mthd": "LIST_SUBSCRIPTIONS", "rslt": rows, "tckt": request.ticket}, request.format)


def _shaped(reply: Mapping[str, object], shape: str) -> bytes:
    return msgspec.json.encode([reply] if shape.endswith("LIST") else reply)


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        content: object = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise WrongRequest("WRONG_FORMAT") from error
    if not isinstance(content, list):
        raise WrongRequest("WRONG_FORMAT")
    rows = cast("list[object]", content)
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise WrongRequest("WRONG_FORMAT")
    return cast("list[dict[str, Any]]", rows)


def _elements(data: dict[str, Any], *, korean: bool) -> list[Element]:
    kind: object = data.get("type")
    if not isinstance(kind, str) or not kind:
        raise WrongRequest("NO_TYPE")
    if kind not in TYPES:
        raise WrongRequest("INVALID_PARAM", kind)
    codes: object = data.get("codes")
    if not isinstance(codes, list):
        raise WrongRequest("NO_CODES")
    if not codes:
        raise WrongRequest("INVALID_PARAM", "codes")
    if "level" in data and not korean:
        raise WrongRequest("WRONG_FORMAT")
    only_snapshot = _flag(data, "is_only_snapshot", "isOnlySnapshot")
    only_realtime = _flag(data, "is_only_realtime", "isOnlyRealtime")
    level = _level(data.get("level"))
    names = [str(code) for code in cast("list[object]", codes)]
    return [
        _element(kind, name, level, only_snapshot=only_snapshot, only_realtime=only_realtime)
        for name in dict.fromkeys(names)
    ]


def _element(kind: str, name: str, level: int, *, only_snapshot: bool, only_realtime: bool) -> Element:
    code, depth = name, _MAX_DEPTH
    if kind == "orderbook":
        code, _, suffix = name.partition(".")
        depth = _DEPTHS.get(suffix, _MAX_DEPTH)
    # Both flags set is undocumented: the snapshot wins, so that a caller sees something.
    return Element(kind, code, depth, level, only_snapshot or not only_realtime, not only_snapshot)


def _flag(data: dict[str, Any], *names: str) -> bool:
    return any(data.get(name) is True for name in names)


def _level(given: object) -> int:
    """Return the level in units of 1e-8; -1, which nobody supports, for what is no number."""
    try:
        return round(float(str(given)) * _E8) if given is not None else 0
    except (ValueError, OverflowError):
        return -1


def _described(data: dict[str, Any]) -> dict[str, object]:
    row: dict[str, object] = {"type": data["type"], "codes": data["codes"]}
    if data["type"] == "orderbook":
        row["level"] = data.get("level", 0)
    return row
