"""One series out of many views; pure.

A candle is (venue, symbol, timeframe, opened_at). Two views of one candle are never mixed field by
field: one wins whole, and the winner is the maximum in one total order, so the order of arrival does
not matter.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from attrs import frozen

from .candle import Candle
from .errors import IntegrityError
from .finality import SealedBy
from .routing import Seam, SeamVerdict
from .series import CandleSeries

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
    """Orders, dedupes and joins views of candles, and series where they meet."""

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

    def join(self, older: CandleSeries, newer: CandleSeries) -> CandleSeries:
        """Return two parts of one series as one, with a seam that says how well they meet.

        The joint is ``PROVEN`` when every slot that both know FINAL is equal, ``REPAIRED`` when one
        differs (the view that stands wins whole), ``PENDING`` when the two touch and share no such slot,
        ``UNPROVEN`` when what they know does not touch.

        Raises:
            IntegrityError: the two belong to different series.

        """
        mine, theirs = (older.venue, older.symbol, older.timeframe), (newer.venue, newer.symbol, newer.timeframe)
        if mine != theirs:
            msg = f"one series never mixes others, got {older!r} and {newer!r}"
            raise IntegrityError(msg)
        candles = self.unify(CandleView(candle) for candle in (*older, *newer))
        coverage = older.coverage.join(newer.coverage)
        seams = (*older.seams, *newer.seams, _seam(older, newer))
        return CandleSeries.of(*mine, candles, coverage, seams=tuple(seam for seam in seams if seam is not None))


def _seam(older: CandleSeries, newer: CandleSeries) -> Seam | None:
    if not len(older) or not len(newer):
        return None
    held = {candle.opened_at: candle for candle in older if candle.is_final}
    shared = [candle for candle in newer if candle.is_final and candle.opened_at in held]
    differing = [candle for candle in shared if not candle.is_same_market_data(held[candle.opened_at])]
    at = max(newer.coverage.asked.start, older[0].opened_at)
    if shared:
        verdict = SeamVerdict.REPAIRED if differing else SeamVerdict.PROVEN
    else:
        verdict = (
            SeamVerdict.PENDING if newer.coverage.asked.start <= older.coverage.asked.end else SeamVerdict.UNPROVEN
        )
    detail = f"{len(shared)} slots compared, {len(differing)} differed"
    return Seam(at=at, older=older[-1].source, newer=newer[0].source, verdict=verdict, detail=detail)
