"""Longer candles out of shorter ones; pure.

A candle of a longer timeframe is the exact aggregate of its shorter ones: compared with the exchange over
5 x 696 hours without one difference. Whatever is derived here says so (``source="derived"``) and is never
FINAL: only the exchange's own word seals a candle.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

from attrs import evolve

from .candle import Candle
from .coverage import Coverage
from .errors import UnsupportedRequestError
from .finality import Finality
from .series import CandleSeries
from .time_range import TimeRange, unite
from .timeframe import Timeframe

DERIVED = "derived"


def resample(series: CandleSeries, timeframe: Timeframe) -> CandleSeries:
    """Return ``series`` in a longer timeframe.

    A slot is CLOSED when every shorter slot in it is known and over, FORMING otherwise; the coverage
    claims only slots that are known whole. Turnover is None where a shorter candle has none.

    Raises:
        UnsupportedRequestError: the slots of ``timeframe`` are not made of whole slots of the series.

    """
    if not is_made_of(timeframe, series.timeframe):
        msg = f"{timeframe} candles cannot be made of {series.timeframe} ones; choose a longer timeframe that they fill"
        raise UnsupportedRequestError(msg)
    coverage = _coverage(series, timeframe)
    candles = [_judged(candle, coverage) for candle in _aggregates(series, timeframe)]
    return CandleSeries.of(series.venue, series.symbol, timeframe, candles, coverage, trace=series.trace)


def is_made_of(longer: Timeframe, shorter: Timeframe) -> bool:
    """Return whether every slot of ``longer`` consists of whole slots of ``shorter``."""
    if longer is shorter:
        return True
    if longer.nominal_width <= shorter.nominal_width or shorter is Timeframe.W1:
        return False
    both_are_fixed = longer.is_fixed and shorter.is_fixed
    return not both_are_fixed or not longer.nominal_width % shorter.nominal_width


def _aggregates(series: CandleSeries, timeframe: Timeframe) -> Iterator[Candle]:
    for _, group in groupby(series, key=lambda candle: timeframe.floor(candle.opened_at)):
        # what ``fill_forward`` made up is no trade: a slot of fillers alone has no candle
        traded = [candle for candle in group if not candle.is_empty]
        if traded:
            yield aggregate(traded, timeframe)


def aggregate(rows: Sequence[Candle], timeframe: Timeframe) -> Candle:
    """Return the one candle of ``timeframe`` that ``rows`` make: all of its slot, oldest first, one at least."""
    return evolve(
        rows[-1],
        timeframe=timeframe,
        opened_at=timeframe.floor(rows[0].opened_at),
        open=rows[0].open,
        high=max(row.high for row in rows),
        low=min(row.low for row in rows),
        volume=sum((row.volume for row in rows), Decimal(0)),
        quote_volume=_turnover(rows),
        source=DERIVED,
        finality=Finality.FORMING,
        sealed_by=None,
        revision=0,
    )


def _turnover(rows: Sequence[Candle]) -> Decimal | None:
    known = [row.quote_volume for row in rows if row.quote_volume is not None]
    return sum(known, Decimal(0)) if len(known) == len(rows) else None


def _coverage(series: CandleSeries, timeframe: Timeframe) -> Coverage:
    asked = series.coverage.asked
    # what is explained as empty is known, too: the day of a listing is whole
    known = unite(
        (*series.coverage.proven, *(part.span for part in series.coverage.explained if part.reason.is_known_empty))
    )
    whole = [TimeRange(timeframe.ceil(span.start), max(timeframe.ceil(span.start), timeframe.floor(span.end)))
             for span in known]  # fmt: skip
    begin, end = timeframe.floor(asked.start), timeframe.ceil(asked.end)
    return Coverage(asked=TimeRange(begin, end), proven=tuple(whole), explained=series.coverage.explained)


def _judged(candle: Candle, coverage: Coverage) -> Candle:
    is_whole = any(span.start <= candle.opened_at and candle.closed_at <= span.end for span in coverage.proven)
    return evolve(candle, finality=Finality.CLOSED) if is_whole else candle
