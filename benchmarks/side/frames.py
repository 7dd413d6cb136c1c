"""Frames as Upbit sends them, with the places of their stamps left open, and their WebSocket framing.

A body is built once. What changes from one sending to the next (the millisecond, the date, the size of a trade)
stands in it as a run of bytes that occur nowhere else in it, and is put in by ``stamped``.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from attrs import define

from market_backbone.infrastructure.sandbox.number_format import fixed, java_double, plain

MS, DATE, CLOCK, DAY, TIME, SLOT, SIZE, KOREAN = (
    bytes([code]) * width for code, width in ((1, 13), (2, 10), (3, 8), (4, 8), (5, 6), (6, 19), (7, 20), (14, 19))
)
AHEAD = timedelta(hours=9)
BINARY, SHORT, LONG = 0x82, 126, 127
E8 = 10**8
BATCH = {"trade": 2000, "ticker": 1000, "orderbook": 500}
LEVELS = 15


def framed(body: bytes) -> bytes:
    """Return a body as a whole binary message of a server."""
    size = len(body)
    if size < SHORT:
        return bytes((BINARY, size)) + body
    if size < 1 << 16:
        return bytes((BINARY, SHORT)) + size.to_bytes(2) + body
    return bytes((BINARY, LONG)) + size.to_bytes(8) + body


def stamped(body: bytes, ms: int, size: bytes = b"") -> bytes:
    """Put in the millisecond, what follows from it, and the size of a trade."""
    if size:
        body = body.replace(SIZE, size)
    return _dated(body, ms // 1000).replace(MS, b"%013d" % ms)


def _dated(body: bytes, second: int) -> bytes:
    now = datetime.fromtimestamp(second, UTC)
    for place, spelling in ((DATE, "%Y-%m-%d"), (CLOCK, "%H:%M:%S"), (DAY, "%Y%m%d"), (TIME, "%H%M%S")):
        body = body.replace(place, now.strftime(spelling).encode())
    for place, instant in ((SLOT, now), (KOREAN, now + AHEAD)):
        body = body.replace(place, instant.strftime("%Y-%m-%dT%H:%M:00").encode())
    return body


@define
class Batch:
    """Many frames of one code, sent together under one millisecond."""

    frames: int
    template: bytes
    _second: int = 0
    _dated: bytes = b""

    def at(self, ms: int) -> bytes:
        """Return the frames as of this millisecond."""
        if ms // 1000 != self._second:
            self._second = ms // 1000
            self._dated = _dated(self.template, self._second)
        return self._dated.replace(MS, b"%013d" % ms)


def batch(kind: str, code: str = "KRW-BTC", *, is_simple: bool = False) -> Batch:
    """Return a batch of frames of one kind; prices and sizes differ from frame to frame."""
    count, spell = BATCH[kind], simple if is_simple else bytes
    return Batch(count, b"".join(framed(spell(body(kind, code, number))) for number in range(count)))


def body(kind: str, code: str, number: int, *, is_snapshot: bool = False, size: str = "") -> bytes:
    """Return the body of one frame; ``size`` is the size of a trade, drawn by ``number`` when left out."""
    price = 116_000_000 * E8 + (number * 7919 % 997 - 498) * 1000 * E8
    stream = "SNAPSHOT" if is_snapshot else "REALTIME"
    drawn = size or fixed(number * 104_729 % E8 + 10_000)
    head = f'"type":"{kind}","code":"{code}"'
    text = _BODIES[kind.partition(".")[0]](head, price, drawn, number)
    return f'{{{text},"stream_type":"{stream}"{_TAILS.get(kind, "")}}}'.encode()


_SHORT = {
    b"type": b"ty", b"code": b"cd", b"timestamp": b"tms", b"trade_timestamp": b"ttms", b"trade_price": b"tp",
    b"trade_volume": b"tv", b"ask_bid": b"ab", b"prev_closing_price": b"pcp", b"change": b"c", b"change_price": b"cp",
    b"sequential_id": b"sid", b"best_ask_price": b"bap", b"best_ask_size": b"bas", b"best_bid_price": b"bbp",
    b"best_bid_size": b"bbs", b"stream_type": b"st", b"trade_date": b"td", b"trade_time": b"ttm",
    b"total_ask_size": b"tas", b"total_bid_size": b"tbs", b"orderbook_units": b"obu", b"ask_price": b"ap",
    b"bid_price": b"bp", b"ask_size": b"as", b"bid_size": b"bs", b"level": b"lv",
}  # fmt: skip
_KEY, _NUMBER = re.compile(rb'"(\w+)":'), re.compile(rb"\d+\.\d+(?:E\d+)?")


def simple(body: bytes) -> bytes:
    """Spell a trade or a book in the format SIMPLE: short keys, plain prices, sizes as Java spells doubles."""
    return _NUMBER.sub(_plainly, _KEY.sub(lambda key: b'"%s":' % _SHORT[key[1]], body))


def _plainly(number: re.Match[bytes]) -> bytes:
    value = int(Decimal(number[0].decode()) * E8)
    return (plain(value) if value > 100_000 * E8 else java_double(value)).encode()


def _trade(head: str, price: int, size: str, number: int) -> str:
    change = price - 115_000_000 * E8
    return (
        f'{head},"timestamp":{MS.decode()},"trade_date":"{DATE.decode()}","trade_time":"{CLOCK.decode()}",'
        f'"trade_timestamp":{MS.decode()},"trade_price":{fixed(price)},"trade_volume":{size},'
        f'"ask_bid":"{"ASK" if number % 3 else "BID"}","prev_closing_price":115000000.00000000,"change":"RISE",'
        f'"change_price":{fixed(change)},"sequential_id":{MS.decode()}{number % 10_000:04d},'
        f'"best_ask_price":{plain(price + 1000 * E8)},"best_ask_size":0.05104100,'
        f'"best_bid_price":{plain(price)},"best_bid_size":0.61033200'
    )


def _ticker(head: str, price: int, size: str, number: int) -> str:
    change = price - 115_000_000 * E8
    rate = f"{change / 115_000_000 / E8:.10f}"
    return (
        f'{head},"opening_price":115000000.00000000,"high_price":117203000.00000000,"low_price":114350000.00000000,'
        f'"trade_price":{fixed(price)},"prev_closing_price":115000000.00000000,"change":"RISE",'
        f'"change_price":{fixed(change)},"signed_change_price":{fixed(change)},"change_rate":{rate},'
        f'"signed_change_rate":{rate},"trade_volume":{size},"acc_trade_volume":{fixed(1500 * E8 + number)},'
        f'"acc_trade_volume_24h":{fixed(2300 * E8 + number)},"acc_trade_price":{fixed(174_000_000_000 * E8 + number)},'
        f'"acc_trade_price_24h":{fixed(266_000_000_000 * E8 + number)},"trade_date":"{DAY.decode()}",'
        f'"trade_time":"{TIME.decode()}","trade_timestamp":{MS.decode()},"ask_bid":"{"ASK" if number % 3 else "BID"}",'
        f'"acc_ask_volume":{fixed(700 * E8 + number)},"acc_bid_volume":{fixed(800 * E8)},'
        '"highest_52_week_price":163325000.00000000,"highest_52_week_date":"2026-01-20",'
        '"lowest_52_week_price":72100000.00000000,"lowest_52_week_date":"2026-04-07","market_state":"ACTIVE",'
        f'"is_trading_suspended":false,"delisting_date":null,"market_warning":"NONE","timestamp":{MS.decode()}'
    )


def _orderbook(head: str, price: int, size: str, number: int) -> str:
    step = 1000 * E8
    units = ",".join(
        f'{{"ask_price":{java_double(price + (level + 1) * step)},"bid_price":{java_double(price - level * step)},'
        f'"ask_size":{fixed((number * 31 + level * 7_001) * 977 % E8 + 1) if level else size},'
        f'"bid_size":{fixed((number * 37 + level * 9_001) * 991 % E8 + 1)}}}'
        for level in range(LEVELS)
    )
    return (
        f'{head},"timestamp":{MS.decode()},"total_ask_size":4.79158413,"total_bid_size":{fixed(2 * E8 + number)},'
        f'"orderbook_units":[{units}]'
    )


def _candle(head: str, price: int, size: str, number: int) -> str:
    return (
        f'{head},"candle_date_time_utc":"{SLOT.decode()}","candle_date_time_kst":"{KOREAN.decode()}",'
        f'"opening_price":116000000.00000000,"high_price":117203000.00000000,"low_price":114350000.00000000,'
        f'"trade_price":{fixed(price)},"candle_acc_trade_volume":{size},'
        f'"candle_acc_trade_price":{fixed(72_957_159 * E8 + number)},"timestamp":{MS.decode()}'
    )


_BODIES = {"trade": _trade, "ticker": _ticker, "orderbook": _orderbook, "candle": _candle}
_TAILS = {"orderbook": ',"level":0'}
