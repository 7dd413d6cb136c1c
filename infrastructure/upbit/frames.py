"""WebSocket frames to values: DEFAULT, SIMPLE and the LIST formats. No I/O.

Every data frame is a UTF-8 JSON object, or a list of them; its kind is the value of ``type`` (``ty``).
Control frames (``{"status":"UP"}``, errors, LIST_SUBSCRIPTIONS) carry neither type nor code.
"""

from collections.abc import Callable
from decimal import Decimal
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
from .failures import ErrorDetail
from .protocol import STREAM_CODES
from .values import excerpt, to_book, to_change, to_instant, to_slot, to_taker_side

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


class _TickerFields(msgspec.Struct):
    code: str
    trade_price: Decimal
    opening_price: Decimal
    high_price: Decimal
    low_price: Decimal
    prev_closing_price: Decimal
    change: str
    signed_change_price: Decimal
    signed_change_rate: Decimal
    trade_volume: Decimal
    acc_trade_price: Decimal
    acc_trade_price_24h: Decimal
    acc_trade_volume: Decimal
    acc_trade_volume_24h: Decimal
    highest_52_week_price: Decimal
    lowest_52_week_price: Decimal
    trade_timestamp: int
    timestamp: int
    stream_type: str


class _TradeFields(msgspec.Struct):
    code: str
    trade_price: Decimal
    trade_volume: Decimal
    ask_bid: str
    sequential_id: int
    trade_timestamp: int
    timestamp: int
    stream_type: str


class _UnitFields(msgspec.Struct):
    ask_price: Decimal
    bid_price: Decimal
    ask_size: Decimal
    bid_size: Decimal


class _BookFields(msgspec.Struct):
    code: str
    orderbook_units: list[_UnitFields]
    timestamp: int
    stream_type: str
    level: Decimal | None = None


class _CandleFields(msgspec.Struct):
    code: str
    candle_date_time_utc: str
    opening_price: Decimal
    high_price: Decimal
    low_price: Decimal
    trade_price: Decimal
    candle_acc_trade_volume: Decimal
    candle_acc_trade_price: Decimal
    timestamp: int
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


def _ticker(_: str, fields: Any, origin: FrameOrigin) -> tuple[Topic, Ticker]:  # noqa: ANN401 - built structs
    symbol = Symbol(fields.code)
    value = Ticker(
        venue=origin.venue,
        symbol=symbol,
        price=fields.trade_price,
        open=fields.opening_price,
        high=fields.high_price,
        low=fields.low_price,
        previous_close=fields.prev_closing_price,
        change=to_change(fields.change),
        signed_change=fields.signed_change_price,
        signed_change_rate=fields.signed_change_rate,
        last_volume=fields.trade_volume,
        volume=fields.acc_trade_volume,
        quote_volume=fields.acc_trade_price,
        volume_24h=fields.acc_trade_volume_24h,
        quote_volume_24h=fields.acc_trade_price_24h,
        highest_52_week=fields.highest_52_week_price,
        lowest_52_week=fields.lowest_52_week_price,
        traded_at=to_instant(fields.trade_timestamp),
        updated_at=to_instant(fields.timestamp),
        source=origin.source,
    )
    return Topic(DataKind.TICKER, symbol), value


def _trade(_: str, fields: Any, origin: FrameOrigin) -> tuple[Topic, Trade]:  # noqa: ANN401 - built structs
    symbol = Symbol(fields.code)
    value = Trade(
        venue=origin.venue,
        symbol=symbol,
        sequential_id=fields.sequential_id,
        price=fields.trade_price,
        volume=fields.trade_volume,
        taker_side=to_taker_side(fields.ask_bid),
        traded_at=to_instant(fields.trade_timestamp),
        source=origin.source,
    )
    return Topic(DataKind.TRADE, symbol), value


def _book(_: str, fields: Any, origin: FrameOrigin) -> tuple[Topic, LiveValue]:  # noqa: ANN401 - built structs
    symbol = Symbol(fields.code)
    units = [(unit.ask_price, unit.ask_size, unit.bid_price, unit.bid_size) for unit in fields.orderbook_units]
    value = to_book(origin.venue, symbol, units, stamp=fields.timestamp, level=fields.level, source=origin.source)
    return Topic(DataKind.ORDERBOOK, symbol), value


_TIMEFRAMES = {code: timeframe for timeframe, code in STREAM_CODES.items()}


def _candle(tag: str, fields: Any, origin: FrameOrigin) -> tuple[Topic, Candle]:  # noqa: ANN401 - built structs
    symbol, timeframe = Symbol(fields.code), _TIMEFRAMES[tag]
    value = Candle(
        venue=origin.venue,
        symbol=symbol,
        timeframe=timeframe,
        opened_at=to_slot(fields.candle_date_time_utc),
        open=fields.opening_price,
        high=fields.high_price,
        low=fields.low_price,
        close=fields.trade_price,
        volume=fields.candle_acc_trade_volume,
        quote_volume=fields.candle_acc_trade_price,
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
    unit = msgspec.defstruct("ShortUnit", _shortened(_UnitFields), rename=_SHORT)
    changed = {"orderbook_units": list[unit]} if fields is _BookFields else {}
    return msgspec.defstruct("Short", _shortened(fields, **changed), tag_field="ty", tag=tag, rename=_SHORT)


def _long_type(tag: str, fields: type[msgspec.Struct]) -> type[msgspec.Struct]:
    return msgspec.defstruct("Long", [], bases=(fields,), tag_field="type", tag=tag)


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
        body = frame.encode() if isinstance(frame, str) else frame
        try:
            decoded = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return [_read_control(body, error)]
        rows = cast("list[Any]", decoded if isinstance(decoded, list) else [decoded])
        return [_read_data(row, origin, partial(excerpt, body)) for row in rows]


def _read_data(row: Any, origin: FrameOrigin, text: Callable[[], str]) -> DataFrame | Rejected:  # noqa: ANN401 - built structs
    tag: str = row.__struct_config__.tag
    try:
        topic, value = _READERS[tag](tag, row, origin)
    except IntegrityError as error:
        return Rejected(str(error), text())
    except MarketDataError as error:
        return Rejected(f"not a symbol of this venue: {error}", text())
    return DataFrame(topic, value, row.stream_type == "SNAPSHOT", row.timestamp)


def _read_control(body: bytes, data_error: Exception) -> ControlFrame | Rejected:
    try:
        found = _CONTROL.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Rejected(f"not a frame: {data_error}", excerpt(body))
    frame: object = next(iter(cast("list[object]", found)), None) if isinstance(found, list) else found
    if isinstance(frame, ControlFrame) and frame.is_recognised:
        return frame
    return Rejected(f"not a frame: {data_error}", excerpt(body))
