"""What an answer of the venue says of what is held: compared, counted, and joined at the tip. Pure."""

from collections.abc import Callable, Iterable
from datetime import datetime

from attrs import define, field, frozen

from ...domain.candle import Candle
from ...domain.coverage import Coverage
from ...domain.errors import ChannelUnavailableError
from ...domain.finality import Finality
from ...domain.ledger import Ledger
from ...domain.routing import Seam, SeamVerdict
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ...domain.timestamps import from_micros, to_micros


@frozen(kw_only=True)
class PageComparison:
    """Slots that both sides know, oldest first.

    Attributes:
        shared: slots of which both sides have a FINAL candle, or one has none where the other has.
        differences: those of them on which the two do not agree.
        doubted: slots that a stream watched and saw no trade in, and of which the page has a candle.

    """

    shared: tuple[datetime, ...] = ()
    differences: tuple[datetime, ...] = ()
    doubted: tuple[TimeRange, ...] = ()


def compare(held: CandleSeries, page: CandleSeries) -> PageComparison:
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
    return PageComparison(
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


HELD = "cache"


class HistoryRewrittenError(Exception):
    """What was held is no longer what the venue tells; it was set aside, and the reading has to begin anew."""


@define
class CacheStats:
    """What a cached channel did for one request."""

    calls: int = 0
    held_rows: int = 0
    live_rows: int = 0
    overlap_rows: int = 0
    verification_reads: int = 0
    revised: int = 0
    seams: list[Seam] = field(factory=list[Seam])

    def note_joins(self, found: PageComparison, timeframe: Timeframe, asked: str, above: datetime | None) -> None:
        """Note a joint with what is held from ``above`` on, and one with what is held below the page."""
        if above is not None:
            self._note_seam(above, (asked, HELD), found, lambda slot: slot >= above)
        lower = [slot for slot in found.shared if above is None or slot < above]
        if lower:
            at = timeframe.next(lower[-1])
            self._note_seam(at, (HELD, asked), found, lambda slot: slot < at)

    def _note_seam(
        self, at: datetime, sides: tuple[str, str], found: PageComparison, belongs: Callable[[datetime], bool]
    ) -> None:
        shared = sum(map(belongs, found.shared))
        differing = sum(map(belongs, found.differences))
        verdict = SeamVerdict.REPAIRED if differing else SeamVerdict.PROVEN if shared else SeamVerdict.PENDING
        detail = f"{shared} slots compared, {differing} differed"
        self.seams.append(Seam(at=at, older=sides[0], newer=sides[1], verdict=verdict, detail=detail))

    def notes(self) -> tuple[str, ...]:
        """Return what the trace should tell."""
        counts = {
            "newest candles from the live stream": self.live_rows,
            "overlap rows compared": self.overlap_rows,
            "verification reads": self.verification_reads,
            "candles revised by the venue": self.revised,
        }
        counted = ", ".join(f"{what}: {number}" for what, number in counts.items() if number)
        return (counted,) if counted else ()


def tip_page(ledger: Ledger, newest: CandleSeries, open_slot: datetime) -> CandleSeries | None:
    """Return the open slot as a page that goes on above what is held, with its candle if there is one.

    Nothing is claimed of the open slot. Nothing of ``newest`` below the open slot is taken: on a quiet
    market it is old, and held already.

    Args:
        ledger: what is held.
        newest: the answer of a channel that knows the newest candle only.
        open_slot: opening of the slot that is open on the venue's clock.

    Returns:
        None where a slot that is over is not held, so that more than the tip is missing.

    """
    if ledger.known_below(open_slot) is None:
        return None
    candles = [candle for candle in newest if candle.opened_at == open_slot]
    coverage = Coverage(asked=TimeRange(open_slot, newest.timeframe.next(open_slot)))
    return CandleSeries.of(newest.venue, newest.symbol, newest.timeframe, candles, coverage)


def tip_seam(tip: Candle, channel: str) -> Seam:
    """Return the joint of a forming candle with what is held below it: they touch, and share no slot to compare."""
    return Seam(at=tip.opened_at, older=HELD, newer=channel, verdict=SeamVerdict.PENDING, detail="nothing compared yet")


def tip_only_error(channel: str) -> ChannelUnavailableError:
    """Return the error of a channel that knows the tip only, where more is missing; it is not to blame."""
    msg = "it knows the newest candle only, and what is held does not reach up to it"
    return ChannelUnavailableError(msg, channel=channel, retryable=False, is_fault=False)
