"""As many markets as the exchange has: what the sandbox knows of one stands for the others, under their names."""

from collections.abc import Iterable, Mapping

import msgspec
from side.frames import body, stamped

ORIGINAL = "KRW-BTC"
QUOTES = {"KRW": 289, "BTC": 328, "USDT": 238}
ENCODER = msgspec.json.Encoder()


def codes() -> list[str]:
    """Return 855 codes, as many of each quote currency as there were on 2026-09-23."""
    made = (f"{quote}-B{number:03d}" for quote, many in QUOTES.items() for number in range(many))
    return [ORIGINAL, *made][: sum(QUOTES.values())]


def markets() -> bytes:
    """Return the answer of ``market/all``."""
    return ENCODER.encode([{"market": code, "korean_name": code, "english_name": code} for code in codes()])


def under(body: bytes, code: str) -> bytes:
    """Return an answer about the original as one about ``code``."""
    return body.replace(f'"{ORIGINAL}"'.encode(), f'"{code}"'.encode())


def repeated(body: bytes, wanted: list[str]) -> bytes:
    """Return a list with the original's row once for each code."""
    row = body.strip()[1:-1]
    return b"[" + b",".join(under(row, code) for code in wanted) + b"]"


def trades(recent: Iterable[tuple[int, bytes, bytes]], code: str, query: Mapping[str, str]) -> bytes:
    """Return the answer of ``trades/ticks``: the trades that were sent as frames, newest first."""
    if "days_ago" in query:
        return b"[]"
    before = int(query.get("cursor", 1 << 62))
    newest = [one for one in reversed([*recent]) if one[0] * 10_000 + int(one[1]) < before]
    return b"[" + b",".join(_row(code, *one) for one in newest[: int(query.get("count", 1))]) + b"]"


def _row(code: str, ms: int, number: bytes, size: bytes) -> bytes:
    """Spell a trade as REST does: the execution is the only time stamp, and the market has another name."""
    frame = msgspec.json.decode(stamped(body("trade", code, int(number), size=size.decode()), ms))
    seconds = frame["trade_time"]
    return (
        f'{{"market":"{code}","trade_date_utc":"{frame["trade_date"]}","trade_time_utc":"{seconds}","timestamp":{ms},'
        f'"trade_price":{frame["trade_price"]:.8f},"trade_volume":{size.decode()},'
        f'"prev_closing_price":115000000.00000000,"change_price":1000000.00000000,"ask_bid":"BID",'
        f'"sequential_id":{ms}{number.decode()}}}'
    ).encode()
