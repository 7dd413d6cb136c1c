"""What a page of the venue says about what is held; pure."""

from collections.abc import Iterable
from datetime import datetime

from attrs import evolve, frozen

from ..domain.column_parts import cut
from ..domain.coverage import Coverage
from ..domain.series import CandleSeries
from ..domain.time_range import TimeRange


@frozen(kw_only=True)
class Comparison:
    """Slots that both sides know, oldest first.

    Attributes:
        shared: slots of which both sides have a FINAL candle, or one has none where the other has.
        differences: those of them on which the two do not agree.
        doubted: slots that a stream watched and saw no trade in, and of which the page has a candle.

    """

    shared: tuple[datetime, ...] = ()
    differences: tuple[datetime, ...] = ()
    doubted: tuple[TimeRange, ...] = ()


def compare(held: CandleSeries, page: CandleSeries) -> Comparison:
    """Compare a page with what is held of the same slots.

    A candle that one side has and the other proves not to exist is a difference. What one side knows
    nothing about is none.
    """
    mine = {candle.opened_at: candle for candle in held if candle.is_final}
    theirs = {candle.opened_at: candle for candle in page if candle.is_final}
    only_held = {slot for slot in mine.keys() - theirs.keys() if _is_in(slot, page.coverage.proven)}
    only_paged = {slot for slot in theirs.keys() - mine.keys() if _is_in(slot, held.coverage.proven)}
    changed = {slot for slot in mine.keys() & theirs.keys() if not mine[slot].is_same_market_data(theirs[slot])}
    doubted = {slot for slot in theirs.keys() - mine.keys() if _is_in(slot, held.coverage.provisional)}
    return Comparison(
        shared=tuple(sorted((mine.keys() & theirs.keys()) | only_held | only_paged)),
        differences=tuple(sorted(changed | only_held | only_paged)),
        doubted=tuple(TimeRange(slot, held.timeframe.next(slot)) for slot in sorted(doubted)),
    )


def _is_in(slot: datetime, spans: Iterable[TimeRange]) -> bool:
    return any(slot in span for span in spans)


def below(page: CandleSeries, at: datetime) -> CandleSeries:
    """Return the part of a page below ``at``; the rows above were asked for to be compared."""
    asked = page.coverage.asked
    start, end = min(asked.start, at), min(asked.end, at)
    columns = cut(page.columns, TimeRange(start, at)) if start < at else page.columns.slice(0, 0)
    claimed = page.coverage.claimed_beginning
    coverage: Coverage = evolve(page.coverage, claimed_beginning=None if claimed is None else min(claimed, at))
    return evolve(page, columns=columns, coverage=coverage.within(TimeRange(start, max(start, end))))


def beyond(page: CandleSeries, floor: datetime) -> CandleSeries:
    """Return the part of a page from ``floor`` on; what lies below is held, compared, and read from there."""
    asked = page.coverage.asked
    if asked.start >= floor or asked.end <= floor:
        return page
    coverage: Coverage = evolve(page.coverage, claimed_beginning=None)
    kept = TimeRange(floor, asked.end)
    return evolve(page, columns=cut(page.columns, kept), coverage=coverage.within(kept))
