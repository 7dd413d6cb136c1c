"""Exchanges that tell one lie about candles each; ``breaks`` names the promise that has to catch it."""

from copy import copy
from datetime import UTC, timedelta
from decimal import Decimal

from attrs import evolve
from fake_exchange import NOW, FakeExchange

from market_backbone import (
    CandleSeries,
    Finality,
    HistoryDepth,
    SealedBy,
    Symbol,
    Timeframe,
    TimeRange,
)


class Told(CandleSeries):
    """A series that says it holds other rows than it does: what the domain refuses to build."""

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        return iter(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


def told(series, rows):
    lie = Told(series.columns, series.coverage)
    object.__setattr__(lie, "rows", list(rows))
    return lie


def tampered(value, **fields):
    lie = copy(value)
    for name, content in fields.items():
        object.__setattr__(lie, name, content)
    return lie


def recut(series, rows, coverage=None):
    return CandleSeries.of(series.venue, series.symbol, series.timeframe, rows, coverage or series.coverage)


class LiesAboutRows(FakeExchange):
    def lie(self, rows):
        return rows

    async def get_candles(self, *arguments, **bounds):
        series = await super().get_candles(*arguments, **bounds)
        return told(series, self.lie(list(series)))


class LiesAboutCoverage(FakeExchange):
    def lie(self, coverage, series):
        return coverage

    async def get_candles(self, *arguments, **bounds):
        series = await super().get_candles(*arguments, **bounds)
        return CandleSeries(series.columns, self.lie(series.coverage, series))


class Incoherent(FakeExchange):
    breaks = "R-02"
    capabilities = evolve(FakeExchange.capabilities, candles_per_call=0)


class ChangesItsMind(FakeExchange):
    breaks = "R-03"

    async def get_candles(self, *arguments, **bounds):
        self.name += "!"
        return await super().get_candles(*arguments, **bounds)


class OfAnotherVenue(FakeExchange):
    breaks = "R-03"
    venue = "fake"

    async def get_candles(self, *arguments, **bounds):
        series = await super().get_candles(*arguments, **bounds)
        self.venue = "elsewhere"
        return series


class AnotherSymbol(LiesAboutRows):
    breaks = "R-04"

    def lie(self, rows):
        return [evolve(row, symbol=Symbol("KRW-ETH")) for row in rows]


class Naive(LiesAboutRows):
    breaks = "R-05"

    def lie(self, rows):
        return [tampered(row, opened_at=row.opened_at.replace(tzinfo=None)) for row in rows]


class OffTheGrid(LiesAboutRows):
    breaks = "R-05"

    def lie(self, rows):
        return [tampered(row, opened_at=row.opened_at + timedelta(seconds=1)) for row in rows]


class Unsorted(LiesAboutRows):
    breaks = "R-06"

    def lie(self, rows):
        return rows[::-1]


class Twice(LiesAboutRows):
    breaks = "R-06"

    def lie(self, rows):
        return [*rows[:1], *rows]


class PageTooLarge(FakeExchange):
    breaks = "R-07"

    async def get_candles(self, symbol, timeframe="1m", count=None, **bounds):
        series = await super().get_candles(symbol, timeframe, 50, **bounds)
        rows = self.rows(series.symbol, series.timeframe)
        return recut(series, rows[-(count or 1) :])


class FloatPrices(LiesAboutRows):
    breaks = "R-08"

    def lie(self, rows):
        return [tampered(row, close=float(row.close)) for row in rows]


class ImpossiblePrices(LiesAboutRows):
    breaks = "R-08"

    def lie(self, rows):
        return [tampered(row, low=row.high + 1) for row in rows]


class NegativeVolume(LiesAboutRows):
    breaks = "R-08"

    def lie(self, rows):
        return [tampered(row, volume=Decimal(-1)) for row in rows]


class ForgedFinal(LiesAboutRows):
    breaks = "R-09"

    def lie(self, rows):
        return [evolve(row, finality=Finality.FINAL, sealed_by=SealedBy.REST) for row in rows]


class Prophet(LiesAboutRows):
    breaks = "R-09"

    def lie(self, rows):
        return [evolve(rows[-1], opened_at=rows[-1].closed_at)]


class SealsItsOwn(LiesAboutRows):
    breaks = "R-10"

    def lie(self, rows):
        return [evolve(row, sealed_by=SealedBy.SOURCE) if row.is_final else row for row in rows]


class OneTimeframeForAll(FakeExchange):
    breaks = "R-11"

    async def get_candles(self, symbol, timeframe="1m", *arguments, **bounds):
        return await super().get_candles(symbol, "1m", *arguments, **bounds)


class OldestFirst(FakeExchange):
    breaks = "R-12"

    async def get_candles(self, symbol, timeframe="1m", count=None, **bounds):
        series = await super().get_candles(symbol, timeframe, 50, **bounds)
        return series[: (count or 1)]


class EndIncluded(FakeExchange):
    breaks = "R-13"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        end = end and end + timedelta(seconds=1)
        return await super().get_candles(symbol, timeframe, count, start=start, end=end)


class StartExcluded(FakeExchange):
    breaks = "R-14"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        start = start and start + timedelta(seconds=1)
        return await super().get_candles(symbol, timeframe, count, start=start, end=end)


class RoundsDown(FakeExchange):
    breaks = "R-15"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        start, end = (at and Timeframe(timeframe).floor(at) for at in (start, end))
        return await super().get_candles(symbol, timeframe, count, start=start, end=end)


class LastInsteadOfFirst(FakeExchange):
    breaks = "R-16"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        if start is not None and end is None:
            return await super().get_candles(symbol, timeframe, count)
        return await super().get_candles(symbol, timeframe, count, start=start, end=end)


class ForgetsTheZone(FakeExchange):
    breaks = "R-17"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        end = end and end.replace(tzinfo=UTC)
        return await super().get_candles(symbol, timeframe, count, start=start, end=end)


class AfraidOfTheFuture(FakeExchange):
    breaks = "R-18"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        if end and end > NOW:
            raise ValueError("the end lies in the future")
        return await super().get_candles(symbol, timeframe, count, start=start, end=end)


class TakesAnything(FakeExchange):
    breaks = "R-19"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        if None not in {count, start, end}:
            count = None
        return await super().get_candles(symbol, timeframe, count, start=start, end=end)


class TipOfTwo(FakeExchange):
    breaks = "R-20"
    capabilities = evolve(FakeExchange.capabilities, history=HistoryDepth.TIP)


class OutsideItsQuestion(LiesAboutCoverage):
    breaks = "R-21"

    def lie(self, coverage, series):
        return coverage.within(TimeRange(coverage.asked.end, coverage.asked.end))


class SpeaksOfMore(LiesAboutCoverage):
    breaks = "R-22"

    def lie(self, coverage, series):
        return coverage.within(TimeRange(coverage.asked.start - timedelta(hours=1), coverage.asked.end))


class CoversTheOpenSlot(LiesAboutCoverage):
    breaks = "R-23"

    def lie(self, coverage, series):
        return evolve(coverage, proven=(TimeRange(coverage.asked.start, series[-1].closed_at),))


class SilentAboutTheBeginning(LiesAboutCoverage):
    breaks = "R-24"

    def lie(self, coverage, series):
        return evolve(coverage, claimed_beginning=None)


class HidesARow(FakeExchange):
    breaks = "R-25"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        series = await super().get_candles(symbol, timeframe, count, start=start, end=end)
        return series if start is None else recut(series, [*series[:1], *series[2:]])


class Drifts(FakeExchange):
    breaks = "R-26"
    asked = 0

    def candle(self, *of):
        return evolve(super().candle(*of), volume=Decimal(self.asked))

    async def get_candles(self, *arguments, **bounds):
        self.asked += 1
        return await super().get_candles(*arguments, **bounds)


class DependsOnThePage(FakeExchange):
    breaks = "R-27"

    async def get_candles(self, symbol, timeframe="1m", count=None, **bounds):
        series = await super().get_candles(symbol, timeframe, count, **bounds)
        return recut(series, [evolve(row, volume=Decimal(count or 1)) for row in series])


class SkipsBetweenPages(FakeExchange):
    breaks = "R-28"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        end = end - timedelta(minutes=2) if end and count == 3 else end
        return await super().get_candles(symbol, timeframe, count, start=start, end=end)


LIES = [
    lie
    for lie in list(globals().values())
    if isinstance(lie, type) and issubclass(lie, FakeExchange) and hasattr(lie, "breaks")
]
