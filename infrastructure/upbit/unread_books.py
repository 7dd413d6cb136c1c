"""Order books of a stream: judged when they come, read exactly when somebody looks.

A book is sixty numbers, and most books are replaced before anybody has looked at them. To read all of them
exactly takes 20 µs; to judge them as floats, 6 µs. Floats keep the order of what they stand for, so that a
book which is sorted as it was sent is sorted as floats, too. What a float cannot stand for, or what would take
long to write, is read at once: see ``is_plain``.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import msgspec
from attrs import field, frozen

from ...domain.errors import IntegrityError
from ...domain.orderbook import OrderBook, Sides
from .frame_types import EXACT, RoughUnit
from .rows import NO_LEVEL, Provenance, sides_of
from .values import to_instant

LONGEST = 16_384
"""Bytes of a frame whose book is read later; 30 units a side take 6,000."""


class RoughBook(Protocol):
    """What a frame tells of a book, to a float's precision."""

    orderbook_units: list[RoughUnit]
    timestamp: int
    level: Decimal | None


def _told(body: bytes) -> bytes:
    """Return a frame without its end, which says whether it is a SNAPSHOT."""
    return body[: body.rfind(b'"st')]


@frozen
class UnreadSides:
    """The two sides of a book as they were sent; the same when their text is the same."""

    body: bytes = field(eq=_told, repr=False)
    frame_format: str

    def __call__(self) -> Sides:
        """Read them."""
        return sides_of(EXACT[self.frame_format](self.body).orderbook_units)


def is_plain(body: bytes) -> bool:
    """Return whether a book may be read later: short, and without numbers so small that floats may call them 0."""
    return len(body) <= LONGEST and b"e-" not in body and b"E-" not in body


def unread_book(row: RoughBook, provenance: Provenance, sides: UnreadSides) -> OrderBook:
    """Return a book whose sides are read when somebody looks.

    Raises:
        IntegrityError: no market can show it.

    """
    if row.orderbook_units and not _is_possible(row.orderbook_units):
        msg = f"impossible order book of {provenance.symbol}: best prices come first, nothing is negative"
        raise IntegrityError(msg)
    return OrderBook.unread(
        sides,
        venue=provenance.venue,
        symbol=provenance.symbol,
        level=row.level or NO_LEVEL,
        updated_at=to_instant(row.timestamp),
        source=provenance.source,
    )


def _is_possible(units: Sequence[RoughUnit]) -> bool:
    """Return whether a market can show these units; at the end of a thin side stand prices of 0."""
    ask_prices, bid_prices, ask_sizes, bid_sizes = zip(*map(msgspec.structs.astuple, units), strict=True)
    asks = [price for price in ask_prices if price]
    return (
        sorted(asks) == asks
        and sorted(bid_prices, reverse=True) == list(bid_prices)
        and min(*asks, *bid_prices, *ask_sizes, *bid_sizes, 0.0) >= 0.0
    )
