"""Whether held candles are what the venue answers now."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta

from attrs import define, evolve, frozen

from ...domain.candle import Candle, plain
from ...domain.coverage import ExplainedRange
from ...domain.errors import InvalidRangeError
from ...domain.request import CandleRequest
from ...domain.resampling import resample
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from .downloader import Downloader

LONGER = (Timeframe.H1, Timeframe.D1)


@frozen(kw_only=True)
class Difference:
    """A longer candle beside what its minutes add up to; None where one side has no candle."""

    timeframe: Timeframe
    opened_at: datetime
    held: Candle | None
    derived: Candle | None

    @property
    def agrees(self) -> bool:
        """Whether both sides tell the same."""
        return self.held is not None and self.derived is not None and self.held.is_same_market_data(self.derived)

    def __str__(self) -> str:
        """Say where the two differ."""
        sides = [_side("held", self.held), _side("its minutes", self.derived)]
        return f"{self.timeframe} {self.opened_at:%Y-%m-%d %H:%M}: {'; '.join(sides)}"


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


def slots_to_compare(minutes: CandleSeries, longer: CandleSeries) -> Iterator[Difference]:
    """Yield both views of each slot of a longer series of which both sides are known, oldest first."""
    derived = resample(minutes, longer.timeframe)
    mine = {candle.opened_at: candle for candle in longer if candle.is_final}
    theirs = {candle.opened_at: candle for candle in derived}
    for opened_at in sorted(mine.keys() | theirs.keys()):
        if not _is_known(opened_at, derived) or not _is_known(opened_at, longer):
            continue
        held, sum_of = mine.get(opened_at), theirs.get(opened_at)
        yield Difference(timeframe=longer.timeframe, opened_at=opened_at, held=held, derived=sum_of)


def find_differences(minutes: CandleSeries, longer: CandleSeries) -> Iterator[Difference]:
    """Yield the slots on which a longer series and its minutes do not agree, as far as both are known."""
    return (slot for slot in slots_to_compare(minutes, longer) if not slot.agrees)


def _is_known(opened_at: datetime, series: CandleSeries) -> bool:
    explained = (part.span for part in series.coverage.explained if part.reason.is_known_empty)
    return any(opened_at in span for span in (*series.coverage.proven, *explained))


@define(eq=False, kw_only=True)
class Auditor:
    """Compares what is held with itself; ``ask`` answers what is not held."""

    downloader: Downloader
    ask: Callable[[CandleRequest], Awaitable[CandleSeries]]

    async def audit(self, symbol: str, day: date, *, repair: bool) -> AuditReport:
        """Compare a day's minutes with its longer candles; with ``repair`` read what differs anew, once."""
        start = datetime.combine(day, time(), UTC)
        span = TimeRange(start, start + timedelta(days=1))
        await self.downloader.ensure_venue_known([Symbol(symbol)])
        if self.downloader.final_range(Symbol(symbol), Timeframe.D1, span.start, span.end)[1] < span.end:
            msg = f"{day} is not over yet; audit a day that is"
            raise InvalidRangeError(msg)
        report = await self._compare_day(Symbol(symbol), span)
        if not repair or not report.differences:
            return report
        repaired = sum([await self._read_anew(report, difference) for difference in report.differences])
        return evolve(await self._compare_day(Symbol(symbol), span), repaired=repaired)

    async def _compare_day(self, symbol: Symbol, span: TimeRange) -> AuditReport:
        async def held(timeframe: Timeframe) -> CandleSeries:
            return await self.ask(CandleRequest(symbol=symbol, timeframe=timeframe, start=span.start, end=span.end))

        minutes = await held(Timeframe.M1)
        longer = [await held(timeframe) for timeframe in LONGER]
        unknown = [gap for series in (minutes, *longer) for gap in series.gaps()]
        slots = [slot for series in longer for slot in slots_to_compare(minutes, series)]
        return AuditReport(
            symbol=symbol,
            day=span.start.date(),
            venue=minutes.venue,
            compared=len(slots),
            minutes=len(minutes),
            differences=tuple(slot for slot in slots if not slot.agrees),
            unknown=tuple(dict.fromkeys(unknown)),
        )

    async def _read_anew(self, report: AuditReport, difference: Difference) -> int:
        """Ask the venue for a longer candle that differs and for its minutes; answers how many changed."""
        span = TimeRange(difference.opened_at, difference.timeframe.next(difference.opened_at))
        changed = 0
        for timeframe in (Timeframe.M1, difference.timeframe):
            channel = self.downloader.channel_of(report.symbol, timeframe)
            size, end = channel.capabilities.candles_per_call, span.end
            while end > span.start:
                count = min(size, timeframe.count_slots(TimeRange(span.start, end)))
                page = await channel.get_candles(report.symbol, timeframe, count, end=end)
                changed += len((await self.downloader.catalog.store.write(page)).revised)
                end = page[0].opened_at if len(page) else span.start
        return changed
