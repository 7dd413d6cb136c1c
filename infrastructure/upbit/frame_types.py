"""How frames are spelled: DEFAULT, SIMPLE and the LIST formats, as types that msgspec reads. No I/O."""

from collections.abc import Callable
from types import GenericAlias
from typing import Any

import msgspec

from .fields import BookNumbers, BookUnit, CandleNumbers, TickerNumbers, TradeNumbers
from .protocol import STREAM_CODES

_SHORT = {
    "code": "cd", "opening_price": "op", "high_price": "hp", "low_price": "lp", "trade_price": "tp",
    "prev_closing_price": "pcp", "change": "c", "signed_change_price": "scp", "signed_change_rate": "scr",
    "trade_volume": "tv", "acc_trade_volume": "atv", "acc_trade_volume_24h": "atv24h", "acc_trade_price": "atp",
    "acc_trade_price_24h": "atp24h", "trade_timestamp": "ttms", "executed": "ttms", "ask_bid": "ab",
    "highest_52_week_price": "h52wp", "lowest_52_week_price": "l52wp",
    "timestamp": "tms", "stream_type": "st", "sequential_id": "sid",
    "orderbook_units": "obu", "ask_price": "ap", "bid_price": "bp", "ask_size": "as", "bid_size": "bs",
    "level": "lv", "candle_date_time_utc": "cdttmu", "candle_acc_trade_volume": "catv",
    "candle_acc_trade_price": "catp",
}  # fmt: skip


class _TickerFields(TickerNumbers):
    code: str
    stream_type: str


class _TradeFields(TradeNumbers, kw_only=True):
    code: str
    executed: int = msgspec.field(name="trade_timestamp")
    timestamp: int
    stream_type: str


class _BookFields(BookNumbers, kw_only=True):
    code: str
    stream_type: str


class RoughUnit(msgspec.Struct):
    """The i-th best bid beside the i-th best ask, to a float's precision."""

    ask_price: float
    bid_price: float
    ask_size: float
    bid_size: float


class _RoughBookFields(_BookFields, kw_only=True):
    orderbook_units: list[RoughUnit]  # pyright: ignore[reportIncompatibleVariableOverride] - a type of its own


class _CandleFields(CandleNumbers):
    code: str
    stream_type: str


TIMEFRAMES = {code: timeframe for timeframe, code in STREAM_CODES.items()}


def _shortened(fields: type[msgspec.Struct], **changed: Any) -> list[Any]:  # noqa: ANN401 - types
    """Return the fields for ``defstruct``, which renames only the fields that it defines itself."""
    return [
        (one.name, changed.get(one.name, one.type), *([] if one.required else [one.default]))
        for one in msgspec.structs.fields(fields)
    ]


def _short_type(tag: str, fields: type[msgspec.Struct]) -> type[msgspec.Struct]:
    changed: dict[str, Any] = {}
    if issubclass(fields, _BookFields):
        unit = RoughUnit if fields is _RoughBookFields else BookUnit
        changed["orderbook_units"] = list[msgspec.defstruct("ShortUnit", _shortened(unit), rename=_SHORT)]
    return msgspec.defstruct(
        "Short", _shortened(fields, **changed), tag_field="ty", tag=tag, rename=_SHORT, kw_only=True
    )


def _long_type(tag: str, fields: type[msgspec.Struct]) -> type[msgspec.Struct]:
    return msgspec.defstruct("Long", [], bases=(fields,), tag_field="type", tag=tag, kw_only=True)


_FIELDS: dict[str, type[msgspec.Struct]] = {
    "ticker": _TickerFields,
    "trade": _TradeFields,
    "orderbook": _BookFields,
    **dict.fromkeys(TIMEFRAMES, _CandleFields),
}
_ROUGH_FIELDS = {**_FIELDS, "orderbook": _RoughBookFields}


def _union(make: Callable[[str, type[msgspec.Struct]], Any], fields: dict[str, type[msgspec.Struct]]) -> Any:  # noqa: ANN401 - a union built at import
    union: Any = None
    for tag, one in fields.items():
        made = make(tag, one)
        union = made if union is None else union | made
    return union


_LONG, _SHORT_ONE = _union(_long_type, _FIELDS), _union(_short_type, _FIELDS)

EXACT: dict[str, Callable[[bytes], Any]] = {
    "DEFAULT": msgspec.json.Decoder(_LONG).decode,
    "SIMPLE": msgspec.json.Decoder(_SHORT_ONE).decode,
    "JSON_LIST": msgspec.json.Decoder(GenericAlias(list, _LONG)).decode,
    "SIMPLE_LIST": msgspec.json.Decoder(GenericAlias(list, _SHORT_ONE)).decode,
}
"""Read every number exactly."""

ROUGH: dict[str, Callable[[bytes], Any]] = {
    "DEFAULT": msgspec.json.Decoder(_union(_long_type, _ROUGH_FIELDS)).decode,
    "SIMPLE": msgspec.json.Decoder(_union(_short_type, _ROUGH_FIELDS)).decode,
}
"""Read the sides of books as floats, and everything else exactly; frames of the LIST formats hold many books."""
