"""What the market consists of: trades, bars and books, in exact integers.

Prices and volumes count units of 1e-8, turnover counts 1e-16, so sums never round. Instants are
milliseconds since 1970 in UTC, on the sandbox's clock.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import attrs

PRICE_SCALE = 8
TURNOVER_SCALE = 16


def to_decimal(value: int, scale: int = PRICE_SCALE) -> Decimal:
    """Return the exact number that ``value`` units of ``10 ** -scale`` stand for."""
    return Decimal(value).scaleb(-scale)


@attrs.frozen
class Trade:
    """One execution.

    ``stored_ms`` is when the exchange stored it, some 40 ms after ``traded_ms``: readers see a trade
    from then on. ``published_ms`` is when sockets get it, which may be later and out of order.
    """

    sequential_id: int
    traded_ms: int
    stored_ms: int
    published_ms: int
    price_e8: int
    volume_e8: int
    is_ask: bool

    @property
    def price(self) -> Decimal:
        """Price in the quote currency."""
        return to_decimal(self.price_e8)

    @property
    def volume(self) -> Decimal:
        """Amount of the base currency."""
        return to_decimal(self.volume_e8)


class Bar(NamedTuple):
    """What trades of one interval add up to; a tuple, because thousands are folded per request."""

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover: int
    ask_volume: int
    stored_ms: int
    trades: int


@attrs.frozen
class TrueCandle:
    """A candle as the emulator serves it, for tests that want the truth as numbers."""

    opened_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    timestamp_ms: int
    trades: int

    @classmethod
    def from_bar(cls, bar: Bar) -> "TrueCandle":
        """Spell a bar as decimals."""
        opening, high, low, close, volume = map(to_decimal, bar[1:6])
        turnover = to_decimal(bar.turnover, TURNOVER_SCALE)
        return cls(bar.start, opening, high, low, close, volume, turnover, bar.stored_ms, bar.trades)


@attrs.frozen
class BookUnit:
    """The i-th best ask beside the i-th best bid; zeros pad a thin side."""

    ask_price: int
    bid_price: int
    ask_size: int
    bid_size: int


@attrs.frozen
class Book:
    """A whole order book and when it last changed."""

    changed_ms: int
    units: tuple[BookUnit, ...]
    level: int = 0
    totals: tuple[int, int] | None = None

    @property
    def total_ask_size(self) -> int:
        """Sum of the ask sizes, or what the recording said."""
        return self.totals[0] if self.totals else sum(unit.ask_size for unit in self.units)

    @property
    def total_bid_size(self) -> int:
        """Sum of the bid sizes, or what the recording said."""
        return self.totals[1] if self.totals else sum(unit.bid_size for unit in self.units)


def merge(start: int, bars: Iterable[Bar]) -> Bar | None:
    """Add bars, oldest first, up to one that starts at ``start``; None when there is none."""
    iterator = iter(bars)
    first = next(iterator, None)
    if first is None:
        return None
    _, opening, high, low, close, volume, turnover, ask_volume, stored, trades = first
    for bar in iterator:
        high = max(high, bar.high)
        low = min(low, bar.low)
        close = bar.close
        volume += bar.volume
        turnover += bar.turnover
        ask_volume += bar.ask_volume
        stored = bar.stored_ms
        trades += bar.trades
    return Bar(start, opening, high, low, close, volume, turnover, ask_volume, stored, trades)


def bar_of(start: int, trades: Iterable[Trade]) -> Bar | None:
    """Add trades, oldest first, up to a bar; None when there is none."""
    return merge(start, (_single(trade) for trade in trades))


def rescale_bar(bar: Bar, factor: int) -> Bar:
    """Redenominate: prices times ``factor``, volumes divided by it, turnover unchanged."""
    return bar._replace(
        open=bar.open * factor,
        high=bar.high * factor,
        low=bar.low * factor,
        close=bar.close * factor,
        volume=bar.volume // factor,
        ask_volume=bar.ask_volume // factor,
    )


def rescale_trade(trade: Trade, factor: int) -> Trade:
    """Redenominate one trade."""
    return attrs.evolve(trade, price_e8=trade.price_e8 * factor, volume_e8=trade.volume_e8 // factor)


def rescale_book(book: Book, factor: int) -> Book:
    """Redenominate a book."""
    units = tuple(
        BookUnit(u.ask_price * factor, u.bid_price * factor, u.ask_size // factor, u.bid_size // factor)
        for u in book.units
    )
    totals = book.totals and (book.totals[0] // factor, book.totals[1] // factor)
    return attrs.evolve(book, units=units, totals=totals)


def _single(trade: Trade) -> Bar:
    price, volume = trade.price_e8, trade.volume_e8
    asked = volume if trade.is_ask else 0
    return Bar(trade.traded_ms, price, price, price, price, volume, price * volume, asked, trade.stored_ms, 1)
