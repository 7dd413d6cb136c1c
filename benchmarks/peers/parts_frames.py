"""What the best parts decode frames to: structs of msgspec, with floats or exact decimals."""

from collections.abc import Callable
from decimal import Decimal

import msgspec
from tally import Tally

TICKER_NUMBERS = (
    "trade_price", "opening_price", "high_price", "low_price", "prev_closing_price", "signed_change_price",
    "signed_change_rate", "trade_volume", "acc_trade_price", "acc_trade_price_24h", "acc_trade_volume",
    "acc_trade_volume_24h", "highest_52_week_price", "lowest_52_week_price",
)  # fmt: skip


def struct_of(kind: str, number: type) -> type[msgspec.Struct]:
    """Return what a kind of frame is decoded to, with numbers of this type: the fields that our values have."""
    levels = msgspec.defstruct("Level", [(name, number) for name in ("ask_price", "bid_price", "ask_size", "bid_size")])
    fields = {
        "trade": {"trade_price": number, "trade_volume": number, "ask_bid": str, "sequential_id": int},
        "ticker": {**dict.fromkeys(TICKER_NUMBERS, number), "change": str, "trade_timestamp": int},
        "orderbook": {"orderbook_units": list[levels], "total_ask_size": number, "total_bid_size": number},
    }
    shared = {"code": str, "timestamp": int, "stream_type": str}
    return msgspec.defstruct(kind.title(), [*(shared | fields[kind]).items()])


def reader_of(kind: str, tally: Tally, *, is_exact: bool = False) -> Callable[[bytes], None]:
    """Return what decodes one frame and counts it."""
    decode = msgspec.json.Decoder(struct_of(kind, Decimal if is_exact else float)).decode

    def take(frame: bytes) -> None:
        decode(frame)
        tally.hit()

    return take
