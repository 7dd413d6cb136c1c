"""WebSocket frames to values: DEFAULT, SIMPLE and the LIST formats. No I/O.

Every data frame is a UTF-8 JSON object, or a list of them; its kind is the value of ``type`` (``ty``).
Control frames (``{"status":"UP"}``, errors, LIST_SUBSCRIPTIONS) carry neither type nor code.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import msgspec
from attrs import frozen

from ...domain.candle import Candle
from ...domain.capabilities import DataKind
from ...domain.errors import IntegrityError, MarketDataError
from ...domain.finality import Finality
from ...domain.request import Topic
from ...domain.streaming import LiveValue, Rejected
from ...domain.symbol import Symbol
from ...domain.ticker import Ticker
from ...domain.trade import Trade
from ..printable import excerpt
from .failures import ErrorDetail
from .protocol import STREAM_CODES
from .rows import (
    BookNumbers,
    BookUnit,
    CandleNumbers,
    Provenance,
    TickerNumbers,
    TradeNumbers,
    book_of,
    prices_of,
    ticker_of,
    trade_of,
)
from .values import to_instant, to_slot

CHANNEL = "websocket"

_SHORT = {
    "code": "cd", "opening_price": "op", "high_price": "hp", "low_price": "lp", "trade_price": "tp",
    "prev_closing_price": "pcp", "change": "c", "signed_change_price": "scp", "signed_change_rate": "scr",
    "trade_volume": "tv", "acc_trade_volume": "atv", "acc_trade_volume_24h": "atv24h", "acc_trade_price": "atp",
    "acc_trade_price_24h": "atp24h", "trade_timestamp": "ttms", "ask_bid": "ab", "highest_52_week_price": "h52wp",
    "lowest_52_week_price": "l52wp", "timestamp": "tms", "stream_type": "st", "sequential_id": "sid",
    "orderbook_units": "obu", "ask_price": "ap", "bid_price": "bp", "ask_size": "as", "bid_size": "bs",
    "level": "lv", "candle_date_time_utc": "cdttmu", "candle_acc_trade_volume": "catv",
    "candle_acc_trade_price": "catp",
}  # fmt: skip


class _TickerFields(TickerNumbers):
    code: str
    stream_type: str


class _TradeFields(TradeNumbers):
    code: str
    trade_timestamp: int
    stream_type: str


class _BookFields(BookNumbers, kw_only=True):
    code: str
    stream_type: str


class _CandleFields(CandleNumbers):
    code: str
    stream_type: str


class ControlFrame(msgspec.Struct):
    """A frame that carries no market data."""

    status: str | None = None
    error: ErrorDetail | None = None
    method: str | None = None
    mthd: str | None = None

    @property
    def is_recognised(self) -> bool:
        """Whether this is one of the control frames that Upbit documents."""
        return any((self.status, self.error, self.method, self.mthd))


@frozen
class FrameOrigin:
    """Where a frame comes from."""

    venue: str
    source: str = CHANNEL


@frozen
class DataFrame:
    """One value of a frame; ``stamp`` is the server's time stamp (ms, or seldom µs)."""

    topic: Topic
    value: LiveValue
    is_snapshot: bool
    stamp: int


def _provenance(fields: Any, origin: FrameOrigin) -> Provenance:  # noqa: ANN401 - built structs
    return Provenance(venue=origin.venue, symbol=Symbol(fields.code), source=origin.source)


def _ticker(_: str, fields: Any, origin: FrameOrigin) -> tuple[Topic, Ticker]:  # noqa: ANN401 - built structs
    value = ticker_of(fields, _provenance(fields, origin))
    return Topic(DataKind.TICKER, value.symbol), value


def _trade(_: str, fields: Any, origin: FrameOrigin) -> tuple[Topic, Trade]:  # noqa: ANN401 - built structs
    value = trade_of(fields, fields.trade_timestamp, _provenance(fields, origin))
    return Topic(DataKind.TRADE, value.symbol), value


def _book(_: str, fields: Any, origin: FrameOrigin) -> tuple[Topic, LiveValue]:  # noqa: ANN401 - built structs
    value = book_of(fields, _provenance(fields, origin))
    return Topic(DataKind.ORDERBOOK, value.symbol), value


_TIMEFRAMES = {code: timeframe for timeframe, code in STREAM_CODES.items()}


def _candle(tag: str, fields: Any, origin: FrameOrigin) -> tuple[Topic, Candle]:  # noqa: ANN401 - built structs
    symbol, timeframe = Symbol(fields.code), _TIMEFRAMES[tag]
    value = Candle(
        venue=origin.venue,
        symbol=symbol,
        timeframe=timeframe,
        opened_at=to_slot(fields.candle_date_time_utc),
        **prices_of(fields),
        updated_at=to_instant(fields.timestamp),
        source=origin.source,
        finality=Finality.FORMING,
    )
    return Topic(DataKind.CANDLE, symbol, timeframe), value


_READERS: dict[str, Callable[[str, Any, FrameOrigin], tuple[Topic, LiveValue]]] = {
    "ticker": _ticker,
    "trade": _trade,
    "orderbook": _book,
    **dict.fromkeys(_TIMEFRAMES, _candle),
}


def _shortened(fields: type[msgspec.Struct], **changed: Any) -> list[Any]:  # noqa: ANN401 - types
    """Return the fields for ``defstruct``, which renames only the fields that it defines itself."""
    return [
        (one.name, changed.get(one.name, one.type), *([] if one.required else [one.default]))
        for one in msgspec.structs.fields(fields)
    ]


def _short_type(tag: str, fields: type[msgspec.Struct]) -> type[msgspec.Struct]:
    unit = msgspec.defstruct("ShortUnit", _shortened(BookUnit), rename=_SHORT)
    changed = {"orderbook_units": list[unit]} if fields is _BookFields else {}
    return msgspec.defstruct(
        "Short", _shortened(fields, **changed), tag_field="ty", tag=tag, rename=_SHORT, kw_only=True
    )


def _long_type(tag: str, fields: type[msgspec.Struct]) -> type[msgspec.Struct]:
    return msgspec.defstruct("Long", [], bases=(fields,), tag_field="type", tag=tag, kw_only=True)


_FIELDS: dict[str, type[msgspec.Struct]] = {
    "ticker": _TickerFields,
    "trade": _TradeFields,
    "orderbook": _BookFields,
    **dict.fromkeys(_TIMEFRAMES, _CandleFields),
}


def _union(types: list[type[msgspec.Struct]]) -> Any:  # noqa: ANN401 - a union built at import
    union: Any = types[0]
    for one in types[1:]:
        union = union | one
    return union


_LONG_UNION = _union([_long_type(tag, fields) for tag, fields in _FIELDS.items()])
_SHORT_UNION = _union([_short_type(tag, fields) for tag, fields in _FIELDS.items()])
_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "DEFAULT": msgspec.json.Decoder(_LONG_UNION).decode,
    "SIMPLE": msgspec.json.Decoder(_SHORT_UNION).decode,
    "JSON_LIST": msgspec.json.Decoder(list[_LONG_UNION]).decode,
    "SIMPLE_LIST": msgspec.json.Decoder(list[_SHORT_UNION]).decode,
}
_CONTROL = msgspec.json.Decoder(ControlFrame | list[ControlFrame])


class FrameReader:
    """Reads the frames of one format: data, control, or a rejection with the offending text."""

    def __init__(self, frame_format: str) -> None:
        """Choose the format that the subscription asked for."""
        self._decode = _DECODERS[frame_format]

    def read(self, frame: bytes | str, origin: FrameOrigin) -> list[DataFrame | ControlFrame | Rejected]:
        """Return what one frame holds; never raises for its content."""
        body = frame.encode(errors="replace") if isinstance(frame, str) else frame
        try:
            decoded = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return [_read_control(body, error)]
        rows = cast("list[Any]", decoded if isinstance(decoded, list) else [decoded])
        return [_read_data(row, origin, partial(excerpt, body)) for row in rows]


def _read_data(row: Any, origin: FrameOrigin, text: Callable[[], str]) -> DataFrame | Rejected:  # noqa: ANN401 - built structs
    tag: str = row.__struct_config__.tag
    try:
        to_instant(row.timestamp)
        topic, value = _READERS[tag](tag, row, origin)
    except IntegrityError as error:
        return Rejected(str(error), text(), _topic_of(tag, row.code))
    except MarketDataError as error:
        return Rejected(f"not a symbol of this venue: {error}", text())
    return DataFrame(topic, value, row.stream_type == "SNAPSHOT", row.timestamp)


def _read_control(body: bytes, data_error: Exception) -> ControlFrame | Rejected:
    try:
        found = _CONTROL.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Rejected(f"not a frame: {data_error}", excerpt(body), _named_topic(body))
    frame: object = next(iter(cast("list[object]", found)), None) if isinstance(found, list) else found
    if isinstance(frame, ControlFrame) and frame.is_recognised:
        return frame
    return Rejected(f"not a frame: {data_error}", excerpt(body), _named_topic(body))


class _Named(msgspec.Struct):
    """What a frame says of its topic, in either spelling."""

    type: str = ""
    code: str = ""
    ty: str = ""
    cd: str = ""


_NAMED = msgspec.json.Decoder(_Named)


def _named_topic(body: bytes) -> Topic | None:
    """Return the topic of a frame whose values cannot be read; None where its name cannot either."""
    try:
        named = _NAMED.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _topic_of(named.type or named.ty, named.code or named.cd)


def _topic_of(tag: str, code: str) -> Topic | None:
    try:
        symbol = Symbol(code)
        return Topic(DataKind.CANDLE, symbol, _TIMEFRAMES[tag]) if tag in _TIMEFRAMES else Topic(DataKind(tag), symbol)
    except (MarketDataError, ValueError):
        return None
