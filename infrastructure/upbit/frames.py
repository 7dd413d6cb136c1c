"""WebSocket frames to values: DEFAULT, SIMPLE and the LIST formats. No I/O.

Every data frame is a UTF-8 JSON object, or a list of them; its kind is the value of ``type`` (``ty``).
Control frames (``{"status":"UP"}``, errors, LIST_SUBSCRIPTIONS) carry neither type nor code.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, cast

import msgspec
from attrs import frozen

from ...domain.candle import Candle
from ...domain.capabilities import DataKind
from ...domain.errors import IntegrityError, MarketDataError
from ...domain.finality import Finality
from ...domain.orderbook import OrderBook
from ...domain.request import Topic
from ...domain.streaming import LiveValue, Received, Rejected
from ...domain.symbol import Symbol
from ...domain.ticker import Ticker
from ...domain.timeframe import Timeframe
from ...domain.trade import Trade
from ..printable import excerpt
from .failures import ErrorDetail
from .protocol import STREAM_CODES, stream_type
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
    """Where and when a frame came: all frames of one reading have the same origin."""

    venue: str
    source: str = CHANNEL
    life: int = 0
    received_at: float = 0.0


def _ticker(fields: Any, _: Topic, provenance: Provenance) -> Ticker:  # noqa: ANN401 - built structs
    return ticker_of(fields, provenance)


def _trade(fields: Any, _: Topic, provenance: Provenance) -> Trade:  # noqa: ANN401 - built structs
    to_instant(fields.timestamp)
    return trade_of(fields, fields.trade_timestamp, provenance)


def _book(fields: Any, _: Topic, provenance: Provenance) -> OrderBook:  # noqa: ANN401 - built structs
    return book_of(fields, provenance)


_TIMEFRAMES = {code: timeframe for timeframe, code in STREAM_CODES.items()}


def _candle(fields: Any, topic: Topic, provenance: Provenance) -> Candle:  # noqa: ANN401 - built structs
    return Candle(
        venue=provenance.venue,
        symbol=provenance.symbol,
        timeframe=cast("Timeframe", topic.timeframe),
        opened_at=to_slot(fields.candle_date_time_utc),
        **prices_of(fields),
        updated_at=to_instant(fields.timestamp),
        source=provenance.source,
        finality=Finality.FORMING,
    )


_READERS: dict[str, Callable[[Any, Topic, Provenance], LiveValue]] = {
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
    """Reads the frames of one format: data, control, or a rejection with the offending text.

    Topics of the same name are the same object, frame after frame: comparing names takes longer than decoding.
    """

    def __init__(self, frame_format: str, topics: Iterable[Topic] = ()) -> None:
        """Choose the format that the subscription asked for; frames of ``topics`` carry these very objects."""
        self._decode = _DECODERS[frame_format]
        self._topics = {(stream_type(topic), str(topic.symbol)): topic for topic in topics}

    def read(self, frame: bytes | str, origin: FrameOrigin) -> list[Received | ControlFrame | Rejected]:
        """Return what one frame holds; never raises for its content."""
        body = frame.encode(errors="replace") if isinstance(frame, str) else frame
        try:
            decoded = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return [_read_control(body, error)]
        if isinstance(decoded, list):
            return [self._read_data(row, origin, body) for row in cast("list[Any]", decoded)]
        return [self._read_data(decoded, origin, body)]

    def _read_data(self, row: Any, origin: FrameOrigin, body: bytes) -> Received | Rejected:  # noqa: ANN401 - built structs
        tag: str = row.__struct_config__.tag
        try:
            topic = self._topics.get((tag, row.code)) or _topic(tag, row.code)
            value = _READERS[tag](row, topic, _provenance(topic, origin.venue, origin.source))
        except IntegrityError as error:
            return Rejected(str(error), excerpt(body), _topic_of(tag, row.code))
        except MarketDataError as error:
            return Rejected(f"not a symbol of this venue: {error}", excerpt(body))
        is_snapshot = row.stream_type == "SNAPSHOT"
        return Received(
            topic=topic, value=value, life=origin.life, is_snapshot=is_snapshot, received_at=origin.received_at
        )


@lru_cache(4096)
def _topic(tag: str, code: str) -> Topic:
    return Topic(DataKind.CANDLE, Symbol(code), _TIMEFRAMES[tag]) if tag in _TIMEFRAMES else Topic(DataKind(tag), code)


@lru_cache(4096)
def _provenance(topic: Topic, venue: str, source: str) -> Provenance:
    return Provenance(venue, topic.symbol, source)


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
        return _topic(tag, code)
    except (MarketDataError, ValueError):
        return None
