"""What a page of the venue says about what is held; pure."""

from collections.abc import Iterable
from datetime import datetime

from attrs import evolve, frozen

from ..domain.column_parts import cut
from ..domain.coverage import Coverage
from ..domain.finality import Finality
from ..domain.instants import from_micros, to_micros
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
    mine, theirs = _final_rows(held), _final_rows(page)
    both, new = mine.keys() & theirs.keys(), theirs.keys() - mine.keys()
    only_held = _inside(mine.keys() - theirs.keys(), page.coverage.proven)
    only_paged = _inside(new, held.coverage.proven)
    changed = {slot for slot in both if not _is_same(held, mine[slot], page, theirs[slot])}
    doubted = [from_micros(slot) for slot in sorted(_inside(new, held.coverage.provisional))]
    return Comparison(
        shared=tuple(map(from_micros, sorted(both | only_held | only_paged))),
        differences=tuple(map(from_micros, sorted(changed | only_held | only_paged))),
        doubted=tuple(TimeRange(slot, held.timeframe.next(slot)) for slot in doubted),
    )


def _final_rows(series: CandleSeries) -> dict[int, int]:
    """Return the rows of FINAL candles by their openings, in microseconds; no candle is made for it."""
    columns = series.columns
    final = {number for number, mark in enumerate(columns.marks) if mark.finality is Finality.FINAL}
    if len(final) == len(columns.marks):
        return dict(zip(columns.opened, range(len(columns)), strict=True))
    return {
        slot: row for row, (slot, mark) in enumerate(zip(columns.opened, columns.mark, strict=True)) if mark in final
    }


def _is_same(held: CandleSeries, mine: int, page: CandleSeries, theirs: int) -> bool:
    """Return whether two rows tell the same; candles are made only of rows that are not equal number by number."""
    for ours, others in zip(held.columns.numbers, page.columns.numbers, strict=True):
        if ours.units[mine] != others.units[theirs] or ours.units[mine] == ours.absent:
            return held[mine].is_same_market_data(page[theirs])
    return True


def _inside(slots: Iterable[int], spans: Iterable[TimeRange]) -> set[int]:
    bounds = [(to_micros(span.start), to_micros(span.end)) for span in spans]
    return {slot for slot in slots if any(start <= slot < end for start, end in bounds)}


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
