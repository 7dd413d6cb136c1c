"""The fields that REST rows and WebSocket frames share, and their values. No I/O.

The same market datum travels by both channels under one set of field names; only the envelope differs
(``market`` or ``code``, a stream's own keys). So each datum is read and converted in one place.
"""

from collections.abc import Callable
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import NamedTuple, TypedDict

import msgspec

from ...domain.orderbook import BookLevel, OrderBook, Sides
from ...domain.symbol import Symbol
from ...domain.ticker import Ticker
from ...domain.trade import LARGEST_ID, Trade, sound_trade
from .mapping import TAKERS, check_figures, check_two_figures, to_change, to_instant, to_taker_side

NO_LEVEL = NOTHING = Decimal(0)


class Provenance(NamedTuple):
    """Whose data it is, of which market, and by which channel it came."""

    venue: str
    symbol: Symbol
    source: str


class TickerNumbers(msgspec.Struct):
    """A ticker without its envelope."""

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


class TradeNumbers(msgspec.Struct, kw_only=True):
    """A trade without its envelope; the stamp of its execution has another name on each channel."""

    trade_price: Decimal
    trade_volume: Decimal
    ask_bid: str
    sequential_id: int
    executed: int


class BookUnit(msgspec.Struct):
    """The i-th best bid beside the i-th best ask."""

    ask_price: Decimal
    bid_price: Decimal
    ask_size: Decimal
    bid_size: Decimal


class BookNumbers(msgspec.Struct, kw_only=True):
    """A book without its envelope; hosts outside Korea send no ``level``."""

    orderbook_units: list[BookUnit]
    timestamp: int
    level: Decimal | None = None


class CandleNumbers(msgspec.Struct):
    """A candle without its envelope; ``timestamp`` is when its last tick was stored, never its time."""

    candle_date_time_utc: str
    opening_price: Decimal
    high_price: Decimal
    low_price: Decimal
    trade_price: Decimal
    timestamp: int
    candle_acc_trade_price: Decimal
    candle_acc_trade_volume: Decimal


class Prices(TypedDict):
    """The numbers of a candle under the domain's names."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal


def prices_of(row: CandleNumbers) -> Prices:
    """Return a candle's numbers."""
    opened, high, low, close = row.opening_price, row.high_price, row.low_price, row.trade_price
    volume, quote_volume = row.candle_acc_trade_volume, row.candle_acc_trade_price
    check_figures((opened, high, low, close, volume, quote_volume))
    return Prices(open=opened, high=high, low=low, close=close, volume=volume, quote_volume=quote_volume)


_ticker_figures = attrgetter(*(one.name for one in msgspec.structs.fields(TickerNumbers) if one.type is Decimal))


def ticker_of(row: TickerNumbers, provenance: Provenance) -> Ticker:
    """Return a ticker."""
    check_figures(_ticker_figures(row))
    return Ticker(
        venue=provenance.venue,
        symbol=provenance.symbol,
        source=provenance.source,
        price=row.trade_price,
        open=row.opening_price,
        high=row.high_price,
        low=row.low_price,
        previous_close=row.prev_closing_price,
        change=to_change(row.change),
        signed_change=row.signed_change_price,
        signed_change_rate=row.signed_change_rate,
        last_volume=row.trade_volume,
        volume=row.acc_trade_volume,
        quote_volume=row.acc_trade_price,
        volume_24h=row.acc_trade_volume_24h,
        quote_volume_24h=row.acc_trade_price_24h,
        highest_52_week=row.highest_52_week_price,
        lowest_52_week=row.lowest_52_week_price,
        traded_at=to_instant(row.trade_timestamp),
        updated_at=to_instant(row.timestamp),
    )


def trade_of(row: TradeNumbers, provenance: Provenance) -> Trade:
    """Return a trade."""
    price, volume, number = row.trade_price, row.trade_volume, row.sequential_id
    check_two_figures(price, volume)
    side = TAKERS.get(row.ask_bid) or to_taker_side(row.ask_bid)
    venue, symbol, source = provenance
    make = sound_trade if price > NOTHING < volume and 0 <= number <= LARGEST_ID else Trade
    return make(venue, symbol, number, price, volume, side, to_instant(row.executed), source)


_ask, _bid = attrgetter("ask_price", "ask_size"), attrgetter("bid_price", "bid_size")


def _new_level(level: tuple[Decimal, Decimal]) -> BookLevel:
    return tuple.__new__(BookLevel, level)  # pyright: ignore[reportUnknownMemberType] - of a tuple of two


def _levels(units: list[BookUnit], side: Callable[[BookUnit], tuple[Decimal, Decimal]]) -> tuple[BookLevel, ...]:
    """Return the levels of a side; made as tuples are, which takes half the time for 30 of them a book."""
    return tuple([_new_level(level) for level in map(side, units) if level[0]])


def sides_of(units: list[BookUnit]) -> Sides:
    """Return the bids and the asks, best first. Thin sides are padded with price 0; padding is no level."""
    check_figures(tuple(chain.from_iterable(map(msgspec.structs.astuple, units))))
    return _levels(units, _bid), _levels(units, _ask)


def book_of(row: BookNumbers, provenance: Provenance) -> OrderBook:
    """Return a book."""
    level, (bids, asks) = row.level or NO_LEVEL, sides_of(row.orderbook_units)
    check_figures((level,))
    return OrderBook(
        venue=provenance.venue,
        symbol=provenance.symbol,
        source=provenance.source,
        asks=asks,
        bids=bids,
        level=level,
        updated_at=to_instant(row.timestamp),
    )
