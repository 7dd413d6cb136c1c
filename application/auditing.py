"""A longer candle must equal its minutes; pure comparison of what is held with itself."""

from collections.abc import Iterator
from datetime import date, datetime

from attrs import frozen

from ..domain.candle import Candle, plain
from ..domain.coverage import ExplainedRange
from ..domain.resampling import resample
from ..domain.series import CandleSeries
from ..domain.symbol import Symbol
from ..domain.timeframe import Timeframe

LONGER = (Timeframe.H1, Timeframe.D1)


@frozen(kw_only=True)
class Difference:
    """A longer candle that is not what its minutes add up to; None where one side has no candle."""

    timeframe: Timeframe
    opened_at: datetime
    held: Candle | None
    derived: Candle | None

    def __str__(self) -> str:
        """Say where the two differ."""
        told = [_side("held", self.held), _side("its minutes", self.derived)]
        return f"{self.timeframe} {self.opened_at:%Y-%m-%d %H:%M}: {'; '.join(told)}"


def _side(name: str, candle: Candle | None) -> str:
    if candle is None:
        return f"{name}: no candle"
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return f"{name}: {' '.join(f'{letter} {plain(number)}' for letter, number in zip('OHLCV', numbers, strict=True))}"


@frozen(kw_only=True)
class AuditReport:
    """What a day's minutes say about its longer candles.

    Attributes:
        compared: how many longer candles were compared.
        minutes: how many one-minute candles they were compared with.
        differences: those that do not agree, oldest first.
        unknown: ranges of the day that could not be compared, because something is not known or not final.
        repaired: how many candles the venue's word has changed, with ``repair``.

    """

    symbol: Symbol
    day: date
    venue: str
    compared: int
    minutes: int
    differences: tuple[Difference, ...] = ()
    unknown: tuple[ExplainedRange, ...] = ()
    repaired: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether everything was compared and nothing differs."""
        return not self.differences and not self.unknown


def find_differences(minutes: CandleSeries, longer: CandleSeries) -> Iterator[Difference]:
    """Yield the slots on which a longer series and its minutes do not agree, as far as both are known."""
    derived = resample(minutes, longer.timeframe)
    mine = {candle.opened_at: candle for candle in longer if candle.is_final}
    theirs = {candle.opened_at: candle for candle in derived}
    for opened_at in sorted(mine.keys() | theirs.keys()):
        if not _is_known(opened_at, derived) or not _is_known(opened_at, longer):
            continue
        held, sum_of = mine.get(opened_at), theirs.get(opened_at)
        if held is None or sum_of is None or not held.is_same_market_data(sum_of):
            yield Difference(timeframe=longer.timeframe, opened_at=opened_at, held=held, derived=sum_of)


def _is_known(opened_at: datetime, series: CandleSeries) -> bool:
    return any(opened_at in span for span in series.coverage.proven)
