"""What stands in the book."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from operator import gt, lt
from typing import NamedTuple

from attrs import field, frozen

from .errors import IntegrityError
from .instants import to_utc
from .routing import RoutePlan
from .symbol import Symbol


class BookLevel(NamedTuple):
    """One price and the amount of base currency that waits there; a tuple, since a book has 60 of them."""

    price: Decimal
    size: Decimal


def _is_possible(prices: Sequence[Decimal], sizes: Sequence[Decimal]) -> bool:
    """Return whether a market can show one side of a book: all finite, prices positive, no size negative."""
    return (
        all(map(Decimal.is_finite, prices))
        and all(map(Decimal.is_finite, sizes))
        and (not prices or (min(prices) > 0 and min(sizes) >= 0))
    )


@frozen(kw_only=True)
class OrderBook:
    """Bids and asks, best first; a side may be shorter than asked, or empty.

    Attributes:
        bids: highest price first.
        asks: lowest price first.
        level: price grouping in the quote currency, 0 for none.
        updated_at: the book's last change (not the instant of the request, whatever the docs say:
            probed 2026-09-23).

    Raises:
        IntegrityError: a side is not sorted best first, a price is not positive, or a size is negative.

    """

    venue: str
    symbol: Symbol
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    level: Decimal = Decimal(0)
    updated_at: datetime = field(converter=to_utc)
    source: str
    trace: RoutePlan | None = field(default=None, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Refuse a book that no market can show."""
        bids, asks = [bid.price for bid in self.bids], [ask.price for ask in self.asks]
        sizes = [bid.size for bid in self.bids], [ask.size for ask in self.asks]
        if not _is_possible(bids, sizes[0]) or not _is_possible(asks, sizes[1]):
            msg = f"impossible order book of {self.symbol}: prices must be positive, sizes must not be negative"
            raise IntegrityError(msg)
        if any(map(lt, bids, bids[1:])) or any(map(gt, asks, asks[1:])):
            msg = f"impossible order book of {self.symbol}: bids must fall and asks must rise from the best price"
            raise IntegrityError(msg)

    @property
    def best_bid(self) -> BookLevel | None:
        """The highest price that someone will pay, or None."""
        return self.bids[0] if self.bids else None

    @property
    def best_ask(self) -> BookLevel | None:
        """The lowest price that someone will take, or None."""
        return self.asks[0] if self.asks else None

    def to_depth(self, depth: int) -> "OrderBook":
        """Return the same book cut to its best ``depth`` levels a side."""
        return OrderBook(
            venue=self.venue,
            symbol=self.symbol,
            bids=self.bids[:depth],
            asks=self.asks[:depth],
            level=self.level,
            updated_at=self.updated_at,
            source=self.source,
            trace=self.trace,
        )
