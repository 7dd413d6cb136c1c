"""What stands in the book."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from operator import gt, lt
from typing import TYPE_CHECKING, NamedTuple, Self

from attrs import field, frozen

from .errors import IntegrityError
from .routing import RoutePlan
from .symbol import Symbol
from .timestamps import to_utc


class BookLevel(NamedTuple):
    """One price and the amount of base currency that waits there; a tuple, since a book has 60 of them."""

    price: Decimal
    size: Decimal

    @property
    def is_possible(self) -> bool:
        """Whether a market can show this level: finite, the price positive, the size not negative."""
        return _is_possible([self.price], [self.size])


def _is_possible(prices: Sequence[Decimal], sizes: Sequence[Decimal]) -> bool:
    """Return whether a market can show one side of a book: all finite, prices positive, no size negative."""
    return (
        all(map(Decimal.is_finite, prices))
        and all(map(Decimal.is_finite, sizes))
        and (not prices or (min(prices) > 0 and min(sizes) >= 0))
    )


Sides = tuple[tuple[BookLevel, ...], tuple[BookLevel, ...]]
"""Bids and asks."""


@frozen(kw_only=True)
class OrderBook:
    """Bids and asks, best first; a side may be shorter than asked, or empty.

    A book of a stream is read when somebody looks at ``bids`` or ``asks``, since most books of a busy stream
    are replaced before anybody does; until then it keeps what was sent, judged already.

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
    _unread: Callable[[], Sides] | None = field(default=None, eq=False, repr=False, init=False)

    @classmethod
    def unread(
        cls,
        read: Callable[[], Sides],
        *,
        venue: str,
        symbol: Symbol,
        level: Decimal,
        updated_at: datetime,
        source: str,
    ) -> Self:
        """Return a book whose bids and asks ``read`` gives, once: they are known to be possible; UTC ``updated_at``.

        What ``read`` returns is the same whenever it is called; books that are read from equal ones are equal.
        """
        book, keep = cls.__new__(cls), object.__setattr__
        keep(book, "venue", venue)
        keep(book, "symbol", symbol)
        keep(book, "level", level)
        keep(book, "updated_at", updated_at)
        keep(book, "source", source)
        keep(book, "trace", None)
        keep(book, "_unread", read)
        return book

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Read the sides; asked for what has not been set, and never again."""
            if name not in {"bids", "asks"} or self._unread is None:
                msg = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(msg, name=name, obj=self)
            bids, asks = self._unread()
            object.__setattr__(self, "bids", bids)
            object.__setattr__(self, "asks", asks)
            return bids if name == "bids" else asks

    def repeats(self, other: "OrderBook") -> bool:
        """Return whether both say the same; books of a stream are compared as they were sent, without reading them."""
        mine, others = self._unread, other._unread  # noqa: SLF001 - of the same class
        return self == other if mine is None or others is None else mine == others

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
