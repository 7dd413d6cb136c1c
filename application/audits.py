"""Audits: a day's minutes beside its longer candles, and what differs read anew."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta

from attrs import define, evolve

from ..domain.errors import InvalidRangeError
from ..domain.request import CandleRequest
from ..domain.series import CandleSeries
from ..domain.symbol import Symbol
from ..domain.time_range import TimeRange
from ..domain.timeframe import Timeframe
from .auditing import LONGER, AuditReport, Difference, find_differences
from .filling import CandleFiller


@define(eq=False, kw_only=True)
class Auditor:
    """Compares what is held with itself; ``ask`` answers what is not held."""

    filler: CandleFiller
    ask: Callable[[CandleRequest], Awaitable[CandleSeries]]

    async def audit(self, symbol: str, day: date, *, repair: bool) -> AuditReport:
        """Compare a day's minutes with its longer candles; with ``repair`` read what differs anew, once."""
        start = datetime.combine(day, time(), UTC)
        span = TimeRange(start, start + timedelta(days=1))
        await self.filler.get_to_know([Symbol(symbol)])
        if self.filler.sealed(Symbol(symbol), Timeframe.D1, span.start, span.end)[1] < span.end:
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
        return AuditReport(
            symbol=symbol,
            day=span.start.date(),
            venue=minutes.venue,
            compared=sum(candle.is_final for series in longer for candle in series),
            minutes=len(minutes),
            differences=tuple(found for series in longer for found in find_differences(minutes, series)),
            unknown=tuple(dict.fromkeys(unknown)),
        )

    async def _read_anew(self, report: AuditReport, difference: Difference) -> int:
        """Ask the venue for a longer candle that differs and for its minutes; answers how many changed."""
        span = TimeRange(difference.opened_at, difference.timeframe.next(difference.opened_at))
        changed = 0
        for timeframe in (Timeframe.M1, difference.timeframe):
            channel = self.filler.channel_of(report.symbol, timeframe)
            size, end = channel.capabilities.candles_per_call, span.end
            while end > span.start:
                count = min(size, timeframe.count_slots(TimeRange(span.start, end)))
                page = await channel.get_candles(report.symbol, timeframe, count, end=end)
                changed += len((await self.filler.library.store.write(page)).revised)
                end = page[0].opened_at if len(page) else span.start
        return changed
