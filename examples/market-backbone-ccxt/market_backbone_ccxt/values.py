"""From ccxt's lists and dictionaries to values. Pure.

ccxt reads numbers as floats. A ``Decimal`` is made of the shortest text that means the same float (its ``repr``): what
an exchange wrote with up to 15 digits comes back as it was, the rest was lost before.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from attrs import frozen

from market_backbone import BookLevel, Candle, Finality, OrderBook, SealedBy, Symbol, TakerSide, Timeframe, Trade
from market_backbone.domain.timestamps import from_micros

SIDES = {"buy": TakerSide.BUY, "sell": TakerSide.SELL}
BARE = 6
"""A row of candles: milliseconds, open, high, low, close, volume."""


@frozen
class Origin:
    """Where values come from, and what they are of."""

    venue: str
    symbol: Symbol
    source: str


def to_decimal(number: object) -> Decimal:
    """Return the number that a float was written as.

    Raises:
        ValueError: there is none.

    """
    if number is None or isinstance(number, bool):
        raise ValueError(f"expected a number, got {number!r}")
    return Decimal(repr(number) if isinstance(number, float) else str(number))


def to_instant(milliseconds: object) -> datetime:
    """Return the instant of milliseconds since 1970."""
    if not isinstance(milliseconds, int | float):
        raise TypeError(f"expected milliseconds since 1970, got {milliseconds!r}")
    return from_micros(round(milliseconds * 1000))


def to_candle(
    row: Sequence[object], origin: Origin, timeframe: Timeframe, sureness: tuple[Finality, SealedBy | None]
) -> Candle:
    """Return the candle of one row of ``fetch_ohlcv``."""
    milliseconds, *numbers = row[:BARE]
    opened, high, low, close, volume = map(to_decimal, numbers)
    return Candle(
        venue=origin.venue,
        symbol=origin.symbol,
        timeframe=timeframe,
        opened_at=to_instant(milliseconds),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        source=origin.source,
        finality=sureness[0],
        sealed_by=sureness[1],
    )


def to_trade(row: Mapping[str, object], origin: Origin) -> Trade:
    """Return one trade; its id must be a number, because that is what tells it from others here."""
    text = str(row["id"])
    if not text.isdecimal():
        raise ValueError(f"trades of {origin.symbol} have ids that are no numbers ({text!r}), and cannot be told apart")
    return Trade(
        venue=origin.venue,
        symbol=origin.symbol,
        sequential_id=int(text),
        price=to_decimal(row["price"]),
        volume=to_decimal(row["amount"]),
        taker_side=SIDES[str(row["side"])],
        traded_at=to_instant(row["timestamp"]),
        source=origin.source,
    )


def to_book(book: Mapping[str, object], origin: Origin, depth: int, read_at: datetime) -> OrderBook:
    """Return a book; one that does not tell when it changed stood so at ``read_at``."""
    stamp = book.get("timestamp")
    return OrderBook(
        venue=origin.venue,
        symbol=origin.symbol,
        bids=tuple(_levels(book["bids"], depth)),
        asks=tuple(_levels(book["asks"], depth)),
        updated_at=read_at if stamp is None else to_instant(stamp),
        source=origin.source,
    )


def _levels(side: object, depth: int) -> Iterable[BookLevel]:
    if not isinstance(side, list):
        raise TypeError(f"expected the levels of a book, got {side!r}")
    return (BookLevel(to_decimal(price), to_decimal(size)) for price, size, *_ in side[:depth])
