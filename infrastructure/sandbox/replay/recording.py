"""Read recordings: raw socket captures, candle pages and candle tables.

Source of the forms: the files of cryptofeed, smtm and UpbitAnalyzer. A file that is none of them is
refused with what was expected and what came, never with a traceback.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, cast

import attrs

from ....domain.errors import ConfigurationError
from ..market.values import Book, BookUnit, Trade
from ..units import SECOND
from .candle_files import History, history_from_rows, history_from_table, scaled

_MAX_LINE = 4 << 20
_LARGEST_PAGE = 64 << 20
_SHOWN = 80
_FRAME = re.compile(r"(\d{9,11}(?:\.\d{1,9})?): (b['\"].*)", re.DOTALL)
_LITERAL = re.compile(r"b'(?:[^'\\]|\\.)*+'|b\"(?:[^\"\\]|\\.)*+\"")
_CODE = re.compile(r'"([A-Z]{3,5}-[A-Z0-9]{1,12})"')
_E8 = 8
_LONG_KEYS = {
    "type": "ty", "code": "cd", "timestamp": "tms", "trade_timestamp": "ttms", "trade_price": "tp",
    "trade_volume": "tv", "ask_bid": "ab", "prev_closing_price": "pcp", "sequential_id": "sid",
    "total_ask_size": "tas", "total_bid_size": "tbs", "orderbook_units": "obu", "ask_price": "ap",
    "bid_price": "bp", "ask_size": "as", "bid_size": "bs",
}  # fmt: skip


@attrs.define
class Capture:
    """What one code's frames held, in order of arrival: (receive time, value)."""

    trades: list[tuple[int, Trade]] = attrs.Factory(list[tuple[int, Trade]])
    books: list[tuple[int, Book]] = attrs.Factory(list[tuple[int, Book]])
    previous_close: int = 0


@attrs.frozen
class Recording:
    """A recording: captures of codes, or candle histories; ``starts_ms`` is where its clock begins."""

    starts_ms: int
    content_hash: str
    captures: Mapping[str, Capture]
    histories: Mapping[str, History]


def read_recording(path: Path) -> Recording:
    """Read a recording of any known form.

    Raises:
        ConfigurationError: the file cannot be read or is of no known form.

    """
    try:
        return _read(path)
    except OSError as error:
        raise ConfigurationError(f"recording {path}: cannot be read: {error.strerror or error}") from error
    except _UnreadableError as error:
        raise ConfigurationError(f"recording {path}: {error}") from error


class _UnreadableError(ConfigurationError):
    """One place of a recording is not what it should be; the path is still to be named."""


def _read(path: Path) -> Recording:
    digest = _hash_of(path)
    head = next((line for _, line in _lines(path) if line.strip()), "")
    if head.lstrip().startswith("["):
        return _from_histories(history_from_rows(_page(path), _UnreadableError), digest)
    if "candle_date_time" in head:
        return _from_histories(history_from_table(_lines(path), path.name, _UnreadableError), digest)
    return _from_capture(path, digest)


def _from_histories(histories: Mapping[str, History], digest: str) -> Recording:
    return Recording(max(history.ends_ms for history in histories.values()), digest, {}, histories)


def _from_capture(path: Path, digest: str) -> Recording:
    captures: dict[str, Capture] = {}
    first, last = 0, 0
    for number, line in _lines(path):
        text = line.strip()
        if not text or " <-> " in text or " <- " in text:
            for code in _CODE.findall(text):
                captures.setdefault(code, Capture())
            continue
        received, frame = _frame_of(number, text)
        # Frames of one millisecond keep their order by taking the next one.
        last = max(received, last + 1)
        first = first or last
        _take(captures, number, last, frame)
    if not first:
        raise _UnreadableError("expected lines such as 1618678263.010785: b'{…}', but it holds no frame")
    return Recording(first, digest, captures, {})


def _frame_of(number: int, text: str) -> tuple[int, dict[str, Any]]:
    match = _FRAME.fullmatch(text)
    if match is None:
        raise _wrong(number, "<receive time>: b'{…}'", text)
    if _LITERAL.fullmatch(match[2]) is None:  # before Python's own parser sees it: one literal, and no expression
        raise _wrong(number, "a frame of JSON in b'…'", text)
    try:
        frame: object = json.loads(ast.literal_eval(match[2]), parse_float=Decimal)
    except (ValueError, SyntaxError, InvalidOperation, RecursionError) as error:
        raise _wrong(number, "a frame of JSON in b'…'", text) from error
    if not isinstance(frame, dict):
        raise _wrong(number, "a JSON object", text)
    return int(Decimal(match[1]) * SECOND), _shortened(cast("dict[str, Any]", frame))


def _take(captures: dict[str, Capture], number: int, received: int, frame: dict[str, Any]) -> None:
    try:
        capture = captures.setdefault(str(frame["cd"]), Capture())
        if frame["ty"] == "trade":
            capture.trades.append((received, _trade(frame)))
            capture.previous_close = _units(frame["pcp"])
        elif frame["ty"] == "orderbook":
            capture.books.append((received, _book(frame)))
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation, OverflowError) as error:
        raise _wrong(number, "a trade or an order book of Upbit", f"{error!r} in {frame}") from error


def _trade(frame: dict[str, Any]) -> Trade:
    stamped, executed, number = (scaled(frame[key], 0) for key in ("tms", "ttms", "sid"))
    price, volume = _units(frame["tp"]), _units(frame["tv"])
    return Trade(number, executed, stamped, stamped, price, volume, frame["ab"] == "ASK")


def _book(frame: dict[str, Any]) -> Book:
    rows = [_shortened(row) for row in frame["obu"]]
    units = tuple(BookUnit(*(_units(row[key]) for key in ("ap", "bp", "as", "bs"))) for row in rows)
    return Book(scaled(frame["tms"], 0), units, totals=(_units(frame["tas"]), _units(frame["tbs"])))


def _units(value: object) -> int:
    """Return a number in units of 1e-8."""
    return scaled(value, _E8)


def _shortened(frame: dict[str, Any]) -> dict[str, Any]:
    return {_LONG_KEYS.get(key, key): value for key, value in frame.items()}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield numbered lines; one that is too long is refused before it is read."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(_MAX_LINE + 1):
            number += 1
            if len(raw) > _MAX_LINE:
                raise _UnreadableError(f"line {number}: expected at most {_MAX_LINE} bytes, came more")
            try:
                yield number, raw.decode()
            except UnicodeDecodeError as error:
                raise _wrong(number, "text in UTF-8", repr(raw[:_SHOWN])) from error


def _page(path: Path) -> object:
    if path.stat().st_size > _LARGEST_PAGE:
        raise _UnreadableError(f"expected at most {_LARGEST_PAGE} bytes of candle rows, came more")
    try:
        return json.loads(path.read_bytes(), parse_float=Decimal)
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise _UnreadableError(f"expected a JSON array of candle rows, but {error}") from error


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def _wrong(number: int, expected: str, came: str) -> _UnreadableError:
    shown = came if len(came) <= _SHOWN else f"{came[:_SHOWN]}…"
    return _UnreadableError(f"line {number}: expected {expected}, came {shown}")
