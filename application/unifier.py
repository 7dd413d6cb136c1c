"""One series out of many views; pure.

A candle is (venue, symbol, timeframe, opened_at). Two views of one candle are never mixed field by
field: one wins whole, and the winner is the maximum in one total order, so the order of arrival does
not matter.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from attrs import frozen

from ..domain.candle import Candle
from ..domain.finality import SealedBy

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@frozen
class CandleView:
    """One channel's view of a candle; ``read_at`` is the read instant where REST answered with it."""

    candle: Candle
    read_at: datetime | None = None

    def rank(self) -> tuple[int, bool, datetime, Decimal, datetime, str, tuple[Decimal, ...]]:
        """Return the place in the total order; the greater view wins.

        (1) finality; (2) of two FINAL: REST before stream, then the later read instant; (3) of two that
        are not: larger volume, later update, channel name. The numbers themselves come last, so that
        two different views never tie.
        """
        candle = self.candle
        numbers = (candle.volume, candle.close, candle.high, candle.low, candle.open)
        updated_at = candle.updated_at or LONG_AGO
        if candle.is_final:
            is_rest = candle.sealed_by is SealedBy.REST
            return (
                candle.finality,
                is_rest,
                self.read_at or LONG_AGO,
                candle.volume,
                updated_at,
                candle.source,
                numbers,
            )
        return (candle.finality, False, LONG_AGO, candle.volume, updated_at, candle.source, numbers)


class DataUnifier:
    """Orders, dedupes and joins views of candles."""

    def winner(self, one: CandleView, other: CandleView) -> CandleView:
        """Return the view that stands."""
        return max(one, other, key=CandleView.rank)

    def unify(self, views: Iterable[CandleView]) -> tuple[Candle, ...]:
        """Return one candle per slot, oldest first."""
        best: dict[tuple[object, ...], CandleView] = {}
        for view in views:
            key = view.candle.identity
            best[key] = self.winner(best[key], view) if key in best else view
        return tuple(view.candle for view in sorted(best.values(), key=lambda view: view.candle.opened_at))
