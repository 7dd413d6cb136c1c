"""From Upbit's fields to the domain's values; shared by replies and frames. No I/O."""

from datetime import UTC, datetime
from decimal import Decimal

from ...domain.errors import IntegrityError
from ...domain.instants import from_micros
from ...domain.orderbook import BookLevel, OrderBook
from ...domain.symbol import Symbol
from ...domain.ticker import PriceChange
from ...domain.trade import TakerSide
from .protocol import MICROSECONDS_FROM

EXCERPT = 160
LAST_YEAR = 9000
"""Later slots have no end that a datetime can hold."""


def to_instant(stamp: int) -> datetime:
    """Return the instant of a time stamp, in milliseconds or (seen once) microseconds."""
    micros = stamp if stamp >= MICROSECONDS_FROM else stamp * 1000
    try:
        return from_micros(micros)
    except OverflowError as error:
        msg = f"{stamp} is no time stamp"
        raise IntegrityError(msg) from error


def to_slot(text: str) -> datetime:
    """Return the opening of ``2026-03-11T14:40:00``: UTC, though the text does not say so."""
    try:
        opened_at = datetime.fromisoformat(text)
    except ValueError:
        opened_at = None
    if opened_at is None or opened_at.tzinfo is not None or opened_at.year > LAST_YEAR:
        msg = f"{text!r} is no opening of a candle, expected a text such as 2026-03-11T14:40:00"
        raise IntegrityError(msg)
    return opened_at.replace(tzinfo=UTC)


TAKERS = {"BID": TakerSide.BUY, "ASK": TakerSide.SELL}
"""``BID``: the taker bought; ``ASK``: the taker sold."""


def to_taker_side(ask_bid: str) -> TakerSide:
    """Return who crossed the spread."""
    if ask_bid not in TAKERS:
        msg = f"{ask_bid!r} is no side, expected ASK or BID"
        raise IntegrityError(msg)
    return TAKERS[ask_bid]


def to_change(change: str) -> PriceChange:
    """Return the direction against the previous close."""
    if change not in PriceChange.__members__:
        msg = f"{change!r} is no direction, expected RISE, EVEN or FALL"
        raise IntegrityError(msg)
    return PriceChange(change)


def to_book(
    venue: str,
    symbol: Symbol,
    units: list[tuple[Decimal, Decimal, Decimal, Decimal]],
    *,
    stamp: int,
    level: Decimal | None,
    source: str,
) -> OrderBook:
    """Return a book of units (ask price, ask size, bid price, bid size), best first.

    Thin sides are padded with price 0; padding is no level.
    """
    return OrderBook(
        venue=venue,
        symbol=symbol,
        asks=tuple(BookLevel(price, size) for price, size, _, _ in units if price),
        bids=tuple(BookLevel(price, size) for _, _, price, size in units if price),
        level=level or Decimal(0),
        updated_at=to_instant(stamp),
        source=source,
    )


def excerpt(body: bytes | str) -> str:
    """Return the beginning of an offending text, on one line."""
    text = body if isinstance(body, str) else body[: EXCERPT * 4].decode("utf-8", "replace")
    line = " ".join(text[: EXCERPT * 2].split())
    return line if len(line) <= EXCERPT else f"{line[:EXCERPT]}…"
