"""REST bodies: one function per row, in the wire's key order and number spelling."""

import msgspec

from ..market.symbols import CAUTIONS, SymbolSpec
from ..market.tickers import Ticker
from ..market.ticks import supported_levels, tick_size
from ..market.values import TURNOVER_SCALE, Bar, Book, Trade
from ..number_format import (
    clock_time,
    compact_date,
    compact_time,
    date,
    direction,
    fixed,
    kst_label,
    label,
    plain,
    rate,
)
from ..units import CandleUnit

_ACC_DIGITS = 16


def array(rows: list[str]) -> bytes:
    """Join rows to a body."""
    return f"[{','.join(rows)}]".encode()


def market_row(spec: SymbolSpec, *, details: bool, korean: bool) -> str:
    """Spell a row of ``/v1/market/all``; other regions have another shape."""
    row: dict[str, object] = {"market": spec.symbol}
    if not korean:
        flagged = spec.warning or spec.cautions
        row |= {"english_name": spec.english_name, "market_warning": "CAUTION" if flagged else "NONE"}
        return _json(row)
    row |= {"korean_name": spec.korean_name, "english_name": spec.english_name}
    if details:
        caution = {name: name in spec.cautions for name in CAUTIONS}
        row["market_event"] = {"warning": spec.warning, "caution": caution}
    return _json(row)


def candle_row(symbol: str, unit: CandleUnit, bar: Bar, *, korean: bool, extra: str = "") -> str:
    """Spell a candle; ``extra`` holds what only its unit has."""
    kst = f'"candle_date_time_kst":"{kst_label(bar.start)}",' if korean else ""
    return (
        f'{{"market":"{symbol}","candle_date_time_utc":"{label(bar.start)}",{kst}'
        f'"opening_price":{fixed(bar.open)},"high_price":{fixed(bar.high)},"low_price":{fixed(bar.low)},'
        f'"trade_price":{fixed(bar.close)},"timestamp":{bar.stored_ms},'
        f'"candle_acc_trade_price":{fixed(bar.turnover, TURNOVER_SCALE)},'
        f'"candle_acc_trade_volume":{fixed(bar.volume)}{_unit_field(unit, bar)}{extra}}}'
    )


def day_fields(bar: Bar, previous_close: int, converted: str | None) -> str:
    """Spell what only day candles have; ``converted`` is None when it was not asked for."""
    change = bar.close - previous_close
    tail = "" if converted is None else f',"converted_trade_price":{converted}'
    return (
        f',"prev_closing_price":{fixed(previous_close)},"change_price":{fixed(change)},'
        f'"change_rate":{rate(change, previous_close)}{tail}'
    )


def trade_row(symbol: str, trade: Trade, previous_close: int) -> str:
    """Spell a row of ``/v1/trades/ticks``; the change is signed here."""
    traded = trade.traded_ms
    return (
        f'{{"market":"{symbol}","trade_date_utc":"{date(traded)}","trade_time_utc":"{clock_time(traded)}",'
        f'"timestamp":{traded},"trade_price":{fixed(trade.price_e8)},"trade_volume":{fixed(trade.volume_e8)},'
        f'"prev_closing_price":{fixed(previous_close)},"change_price":{fixed(trade.price_e8 - previous_close)},'
        f'"ask_bid":"{"ASK" if trade.is_ask else "BID"}","sequential_id":{trade.sequential_id}}}'
    )


def ticker_row(ticker: Ticker, *, korean: bool) -> str:
    """Spell a row of ``/v1/ticker``."""
    last, change = ticker.last, ticker.change
    traded, previous = last.traded_ms, ticker.previous_close
    kst = ""
    if korean:
        day, time = compact_date(traded, korean=True), compact_time(traded, korean=True)
        kst = f'"trade_date_kst":"{day}","trade_time_kst":"{time}",'
    return (
        f'{{"market":"{ticker.view.symbol}","trade_date":"{compact_date(traded)}",'
        f'"trade_time":"{compact_time(traded)}",{kst}"trade_timestamp":{traded},'
        f'"opening_price":{fixed(ticker.opening)},"high_price":{fixed(ticker.high)},'
        f'"low_price":{fixed(ticker.low)},"trade_price":{fixed(last.price_e8)},'
        f'"prev_closing_price":{fixed(previous)},"change":"{direction(change)}",'
        f'"change_price":{fixed(abs(change))},"change_rate":{rate(abs(change), previous)},'
        f'"signed_change_price":{fixed(change)},"signed_change_rate":{rate(change, previous)},'
        f'"trade_volume":{fixed(last.volume_e8)},{_sums(ticker)},'
        f'"highest_52_week_price":{fixed(ticker.highest[0])},"highest_52_week_date":"{date(ticker.highest[1])}",'
        f'"lowest_52_week_price":{fixed(ticker.lowest[0])},"lowest_52_week_date":"{date(ticker.lowest[1])}",'
        f'"timestamp":{last.stored_ms}}}'
    )


def book_row(symbol: str, book: Book, depth: int, *, korean: bool) -> str:
    """Spell a row of ``/v1/orderbook``: bids first, plain numbers, ``level`` only in Korea."""
    units = ",".join(
        f'{{"bid_price":{plain(unit.bid_price)},"bid_size":{plain(unit.bid_size)},'
        f'"ask_price":{plain(unit.ask_price)},"ask_size":{plain(unit.ask_size)}}}'
        for unit in book.units[:depth]
    )
    level = f',"level":{plain(book.level)}' if korean else ""
    return (
        f'{{"market":"{symbol}","timestamp":{book.changed_ms},"total_ask_size":{plain(book.total_ask_size)},'
        f'"total_bid_size":{plain(book.total_bid_size)},"orderbook_units":[{units}]{level}}}'
    )


def instrument_row(symbol: str, price: int) -> str:
    """Spell a row of ``/v1/orderbook/instruments``: all values are strings."""
    quote = symbol.partition("-")[0]
    levels = ",".join(f'"{plain(level)}"' for level in supported_levels(quote, price))
    tick = plain(tick_size(quote, price))
    return f'{{"market":"{symbol}","quote_currency":"{quote}","tick_size":"{tick}","supported_levels":[{levels}]}}'


def levels_row(symbol: str, price: int) -> str:
    """Spell a row of the deprecated ``/v1/orderbook/supported_levels``: numbers."""
    levels = ",".join(plain(level) for level in supported_levels(symbol.partition("-")[0], price))
    return f'{{"market":"{symbol}","supported_levels":[{levels}]}}'


def _unit_field(unit: CandleUnit, bar: Bar) -> str:
    if unit.name.endswith("m"):
        return f',"unit":{unit.name[:-1]}'
    return f',"first_day_of_period":"{date(bar.start)}"' if unit.name in ("1w", "1M", "1y") else ""


def _sums(ticker: Ticker) -> str:
    today, rolling = ticker.today, ticker.rolling
    return (
        f'"acc_trade_price":{fixed(today.turnover if today else 0, TURNOVER_SCALE, _ACC_DIGITS)},'
        f'"acc_trade_price_24h":{plain(rolling.turnover if rolling else 0, TURNOVER_SCALE)},'
        f'"acc_trade_volume":{fixed(today.volume if today else 0)},'
        f'"acc_trade_volume_24h":{fixed(rolling.volume if rolling else 0)}'
    )


def _json(row: dict[str, object]) -> str:
    return msgspec.json.encode(row).decode()
