"""Order books of a stream: judged when they come, read exactly when somebody looks.

A book is sixty numbers, and most books are replaced before anybody has looked at them. To read all of them
exactly takes 30 µs; to judge them as floats, 7 µs. Floats keep the order of what they stand for, so that a
book which is sorted as it was sent is sorted as floats, too. What floats cannot vouch for is read at once: see
``can_wait``.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from attrs import field, frozen

from ...domain.orderbook import OrderBook, Sides
from .fields import NO_LEVEL, Provenance, sides_of
from .frame_types import EXACT, RoughUnit
from .mapping import check_figures, to_instant

LONGEST = 16_384
"""Bytes of a frame whose book is read later; 30 units a side take 6,000."""

LEAST = 1e-90
"""Numbers below are no figures of a market, and floats may take them for 0."""


class RawBook(Protocol):
    """What a frame tells of a book, to a float's precision."""

    orderbook_units: list[RoughUnit]
    timestamp: int
    level: Decimal | None


def _told(body: bytes) -> bytes:
    """Return a frame without its end, which says whether it is a SNAPSHOT."""
    # SNAPSHOT and REALTIME of one book are equal: a re-delivered book is no change.
    return body[: body.rfind(b'"st')]


@frozen
class LazySides:
    """The two sides of a book as they were sent; the same when their text is the same."""

    body: bytes = field(eq=_told, repr=False)
    frame_format: str

    def __call__(self) -> Sides:
        """Read them."""
        return sides_of(EXACT[self.frame_format](self.body).orderbook_units)


def can_wait(units: Sequence[RoughUnit], body: bytes) -> bool:
    """Return whether a book may be read later: short, sorted from the best price, and all numbers positive.

    Whatever else it is (padded with zeros, empty, or impossible) is told by reading it exactly, at once.
    """
    if not units or len(body) > LONGEST:
        return False
    asks = [unit.ask_price for unit in units]
    bids = [unit.bid_price for unit in units]
    return (
        # Timsort of a sorted list is one pass in C: the cheapest way to ask whether it is one.
        asks == sorted(asks)
        and bids == sorted(bids, reverse=True)
        # Thin sides are padded with zeros (42 of 60 BTC books, 2026-09-23), which only exact reading drops.
        and asks[0] > LEAST < bids[-1]
        and min([unit.ask_size for unit in units]) > LEAST < min([unit.bid_size for unit in units])
    )


def lazy_book(row: RawBook, provenance: Provenance, sides: LazySides) -> OrderBook:
    """Return a book that can wait.

    Raises:
        IntegrityError: its level or its stamp is none.

    """
    level = row.level or NO_LEVEL
    if level is not NO_LEVEL:
        check_figures((level,))
    return OrderBook.unread(
        sides,
        venue=provenance.venue,
        symbol=provenance.symbol,
        level=level,
        updated_at=to_instant(row.timestamp),
        source=provenance.source,
    )
