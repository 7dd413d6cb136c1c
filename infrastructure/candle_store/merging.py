"""What every store does alike, whatever its medium: take a series in, give one out, list what is held."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from attrs import frozen

from ...domain.candle import Candle
from ...domain.columns import CandleColumns, cut, join
from ...domain.ledger import HeldSeries, Ledger, SeriesKey, WriteResult
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ...domain.timestamps import from_micros
from .blocks import split
from .ledger_rules import apply, coverage_of
from .rows import merge, no_rows

_PLACE = {timeframe: place for place, timeframe in enumerate(Timeframe)}


def key_of(series: CandleSeries) -> SeriesKey:
    """Return what a series is kept under."""
    return SeriesKey(series.venue, series.symbol, series.timeframe)


@frozen(kw_only=True)
class Change:
    """What a write does: the blocks to store, by their start, and the ledger to store with them."""

    blocks: Mapping[int, CandleColumns]
    ledger: Ledger
    remembered: WriteResult


def merge_in(series: CandleSeries, sealed: CandleColumns, held: Mapping[int, CandleColumns], ledger: Ledger) -> Change:
    """Return what changes when a series is written.

    Args:
        series: what was written.
        sealed: the rows of it that a store may hold.
        held: every block, by its start, that holds rows near the new ones.
        ledger: what was known before.

    """
    blocks: dict[int, CandleColumns] = {}
    added = 0
    revised: list[tuple[Candle, Candle]] = []
    for start, part in split(sealed):
        merged = merge(held.get(start), part)
        added += merged.added
        revised += merged.revised
        # A block that stays as it was is not written: a page that is held costs no byte.
        if merged.is_changed:
            blocks[start] = merged.columns
    return Change(
        blocks=blocks,
        ledger=apply(ledger, series.coverage, series.columns),
        remembered=WriteResult(added=added, revised=tuple(revised)),
    )


def assemble(
    key: SeriesKey, blocks: Iterable[CandleColumns], ledger: Ledger, span: TimeRange, *, room: int = 0
) -> CandleSeries:
    """Return the candles of ``span`` from blocks, oldest first and about ``room``, with the whole span's coverage."""
    parts = (cut(block, span) for block in blocks)
    return CandleSeries(join(chain((no_rows(key),), parts), room=room), coverage_of(ledger, span))


def assemble_newest(
    key: SeriesKey, newest_first: Iterable[CandleColumns], ledger: Ledger, span: TimeRange, count: int
) -> CandleSeries:
    """Return the newest ``count`` candles of ``span``; takes no more blocks than it needs.

    When older candles are left out, the question shrinks with them, as when a series is cut: their
    slots must not look quiet.
    """
    parts: list[CandleColumns] = []
    rows = 0
    for block in newest_first:
        parts.append(cut(block, span))
        rows += len(parts[-1])
        # Beyond, not at: only a row too many tells that the series is cut, and its older slots not quiet.
        if rows > count:
            break
    series = CandleSeries(join(chain((no_rows(key),), _taken_from(parts))), coverage_of(ledger, span))
    return series[max(0, rows - max(0, count)) :] if rows > count else series


def _taken_from(parts: list[CandleColumns]) -> Iterator[CandleColumns]:
    """Yield the last first, and let each go, so that a million rows are not held twice while they are joined."""
    while parts:
        yield parts.pop()


def held_span(opened: tuple[int, int] | None, ledger: Ledger, timeframe: Timeframe) -> TimeRange | None:
    """Return the range from the first candle to the end of the last, or of what is known where there is none."""
    if opened is not None:
        return TimeRange(from_micros(opened[0]), timeframe.next(from_micros(opened[1])))
    known = (*ledger.proven, *ledger.provisional, *(part.span for part in ledger.explained))
    return TimeRange(min(part.start for part in known), max(part.end for part in known)) if known else None


def in_order(held: Iterable[HeldSeries]) -> tuple[HeldSeries, ...]:
    """Return an inventory by venue, symbol and timeframe; what was set aside comes last, in the order of doing so."""
    return tuple(
        sorted(
            held,
            key=lambda line: (
                bool(line.quarantine_reason),
                line.key.venue,
                line.key.symbol,
                _PLACE[line.key.timeframe],
            ),
        )
    )
