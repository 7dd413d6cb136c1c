"""WebSocket frames: long or short keys, and two ways to spell numbers (facts 2.4 to 2.7, 6.2)."""

from collections.abc import Callable

from ..market.tickers import Ticker
from ..market.values import TURNOVER_SCALE, Bar, Book, Trade
from ..number_format import (
    clock_time,
    compact_date,
    compact_time,
    date,
    direction,
    fixed,
    java_double,
    kst_label,
    label,
    plain,
    rate,
)
from .subscriptions import Element

Field = tuple[str, str, str]
Spell = Callable[[int], str]
_MICROSECONDS = 1_000


class Style:
    """One format: which keys, which spelling, and whether an object or a list is sent."""

    def __init__(self, name: str, *, korean: bool) -> None:
        """Take the format's name as a request gives it."""
        self.simple = name.startswith("SIMPLE")
        self.listed = name.endswith("LIST")
        self.korean = korean
        self.price: Spell = plain if self.simple else fixed
        self.size: Spell = java_double if self.simple else fixed
        # DEFAULT books show 1.16539E8, SIMPLE ones small sizes as 7.9276E-4 (probed 2026-09-23).
        self.book_price: Spell = plain if self.simple else java_double

    def turnover(self, value: int) -> str:
        """Spell a turnover."""
        return java_double(value, TURNOVER_SCALE) if self.simple else fixed(value, TURNOVER_SCALE)

    def encode(self, fields: list[Field]) -> bytes:
        """Join fields to a frame."""
        key = 1 if self.simple else 0
        text = ",".join(f'"{each[key]}":{each[2]}' for each in fields)
        return (f"[{{{text}}}]" if self.listed else f"{{{text}}}").encode()


def ticker_frame(style: Style, ticker: Ticker, stream: str, *, micro: bool) -> bytes:
    """Spell a ticker."""
    last, change, price, size = ticker.last, ticker.change, style.price, style.size
    today, rolling, traded = ticker.today, ticker.rolling, last.traded_ms
    asked = today.ask_volume if today else 0
    volume = today.volume if today else 0
    spec = ticker.view.source.spec
    flagged = spec.warning or bool(spec.cautions)
    return style.encode([
        *_head("ticker", ticker.view.symbol),
        ("opening_price", "op", price(ticker.opening)),
        ("high_price", "hp", price(ticker.high)),
        ("low_price", "lp", price(ticker.low)),
        ("trade_price", "tp", price(last.price_e8)),
        ("prev_closing_price", "pcp", fixed(ticker.previous_close)),
        *_change(ticker.previous_close, change),
        ("trade_volume", "tv", size(last.volume_e8)),
        ("acc_trade_volume", "atv", size(volume)),
        ("acc_trade_volume_24h", "atv24h", size(rolling.volume if rolling else 0)),
        ("acc_trade_price", "atp", style.turnover(today.turnover if today else 0)),
        ("acc_trade_price_24h", "atp24h", style.turnover(rolling.turnover if rolling else 0)),
        ("trade_date", "tdt", f'"{compact_date(traded)}"'),
        ("trade_time", "ttm", f'"{compact_time(traded)}"'),
        ("trade_timestamp", "ttms", str(traded)),
        ("ask_bid", "ab", _side(last)),
        ("acc_ask_volume", "aav", size(asked)),
        ("acc_bid_volume", "abv", size(volume - asked)),
        ("highest_52_week_price", "h52wp", price(ticker.highest[0])),
        ("highest_52_week_date", "h52wdt", f'"{date(ticker.highest[1])}"'),
        ("lowest_52_week_price", "l52wp", price(ticker.lowest[0])),
        ("lowest_52_week_date", "l52wdt", f'"{date(ticker.lowest[1])}"'),
        ("market_state", "ms", '"ACTIVE"'),
        ("is_trading_suspended", "its", "false"),
        ("delisting_date", "dd", "null"),
        ("market_warning", "mw", '"CAUTION"' if flagged else '"NONE"'),
        ("timestamp", "tms", _stamp(last.stored_ms, micro=micro)),
        ("stream_type", "st", f'"{stream}"'),
    ])  # fmt: skip


def trade_frame(
    style: Style, code: str, trade: Trade, stream: str, *, previous_close: int, book: Book | None, micro: bool
) -> bytes:
    """Spell a trade with the best prices beside it; its change is absolute."""
    traded, change = trade.traded_ms, trade.price_e8 - previous_close
    best = book.units[0] if book and book.units else None
    fields: list[Field] = [
        *_head("trade", code),
        ("timestamp", "tms", _stamp(trade.published_ms, micro=micro)),
        ("trade_date", "td", f'"{date(traded)}"'),
        ("trade_time", "ttm", f'"{clock_time(traded)}"'),
        ("trade_timestamp", "ttms", str(traded)),
        ("trade_price", "tp", style.price(trade.price_e8)),
        ("trade_volume", "tv", style.size(trade.volume_e8)),
        ("ask_bid", "ab", _side(trade)),
        ("prev_closing_price", "pcp", fixed(previous_close)),
        ("change", "c", f'"{direction(change)}"'),
        ("change_price", "cp", fixed(abs(change))),
        ("sequential_id", "sid", str(trade.sequential_id)),
    ]
    if best is not None:
        fields += [
            ("best_ask_price", "bap", plain(best.ask_price)),
            ("best_ask_size", "bas", style.size(best.ask_size)),
            ("best_bid_price", "bbp", plain(best.bid_price)),
            ("best_bid_size", "bbs", style.size(best.bid_size)),
        ]
    return style.encode([*fields, ("stream_type", "st", f'"{stream}"')])


def book_frame(style: Style, element: Element, book: Book, stream: str, *, micro: bool) -> bytes:
    """Spell a whole book, cut to the depth that was asked for."""
    keys = ("ap", "bp", "as", "bs") if style.simple else ("ask_price", "bid_price", "ask_size", "bid_size")
    price, size = style.book_price, style.size
    units = ",".join(
        f'{{"{keys[0]}":{price(unit.ask_price)},"{keys[1]}":{price(unit.bid_price)},'
        f'"{keys[2]}":{size(unit.ask_size)},"{keys[3]}":{size(unit.bid_size)}}}'
        for unit in book.units[: element.depth]
    )
    fields: list[Field] = [
        *_head("orderbook", element.code),
        ("timestamp", "tms", _stamp(book.changed_ms, micro=micro)),
        ("total_ask_size", "tas", size(book.total_ask_size)),
        ("total_bid_size", "tbs", size(book.total_bid_size)),
        ("orderbook_units", "obu", f"[{units}]"),
        ("stream_type", "st", f'"{stream}"'),
    ]
    if style.korean:
        fields.append(("level", "lv", plain(book.level)))
    return style.encode(fields)


def candle_frame(style: Style, element: Element, bar: Bar, stream: str, *, micro: bool) -> bytes:
    """Spell a candle: the unit is in the type, volume comes before turnover."""
    kst: list[Field] = [("candle_date_time_kst", "cdttmk", f'"{kst_label(bar.start)}"')] if style.korean else []
    return style.encode(
        [
            *_head(element.type, element.code),
            ("candle_date_time_utc", "cdttmu", f'"{label(bar.start)}"'),
            *kst,
            ("opening_price", "op", style.price(bar.open)),
            ("high_price", "hp", style.price(bar.high)),
            ("low_price", "lp", style.price(bar.low)),
            ("trade_price", "tp", style.price(bar.close)),
            ("candle_acc_trade_volume", "catv", style.size(bar.volume)),
            ("candle_acc_trade_price", "catp", style.turnover(bar.turnover)),
            ("timestamp", "tms", _stamp(bar.stored_ms, micro=micro)),
            ("stream_type", "st", f'"{stream}"'),
        ]
    )


def _head(kind: str, code: str) -> tuple[Field, Field]:
    return ("type", "ty", f'"{kind}"'), ("code", "cd", f'"{code}"')


def _change(previous: int, change: int) -> list[Field]:
    return [
        ("change", "c", f'"{direction(change)}"'),
        ("change_price", "cp", fixed(abs(change))),
        ("signed_change_price", "scp", fixed(change)),
        ("change_rate", "cr", rate(abs(change), previous)),
        ("signed_change_rate", "scr", rate(change, previous)),
    ]


def _side(trade: Trade) -> str:
    return '"ASK"' if trade.is_ask else '"BID"'


def _stamp(instant: int, *, micro: bool) -> str:
    return str(instant * _MICROSECONDS if micro else instant)
