"""What is held, for whoever asks: surveyed, labelled, and read in parts."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime

from attrs import define

from ..domain.coverage import Reason
from ..domain.coverage_report import CoverageReport
from ..domain.errors import ChannelError, UnsupportedRequestError
from ..domain.holding import SeriesKey
from ..domain.instants import EPOCH, to_utc
from ..domain.ports import CandleStore
from ..domain.series import CandleSeries
from ..domain.symbol import Symbol
from ..domain.time_range import TimeRange
from ..domain.timeframe import Timeframe
from .cache_desk import CacheDesk
from .surveying import each_part, held_span, label_outages, survey


@define(eq=False, kw_only=True)
class CandleLibrary:
    """The candles of one API that outlive a request.

    Attributes:
        references: names the symbols whose silence is the venue's, by the venue's prefix.

    """

    desk: CacheDesk
    references: Callable[[str], tuple[str, ...]]

    @property
    def store(self) -> CandleStore:
        """The store.

        Raises:
            UnsupportedRequestError: there is none.

        """
        if self.desk.cache is None:
            msg = "no channel keeps candles; allow 'cache' in plugins.adapters"
            raise UnsupportedRequestError(msg)
        return self.desk.cache.store

    def key(self, symbol: str, timeframe: str) -> SeriesKey:
        """Return what a series is kept under, at the venue of the moment."""
        market = Symbol(symbol)
        return SeriesKey(self.desk.venues.venue_of(market.venue_prefix), market, Timeframe.parse(timeframe))

    async def label(self, series: CandleSeries) -> CandleSeries:
        """Return the series with outages told apart from quiet, as far as what is held shows them."""
        if self.desk.cache is None or not series.has_empty_slots:
            return series
        if not any(part.reason is Reason.NO_TRADE for part in series.quiet()):
            return series
        try:
            return await label_outages(series, self.store, self.references(series.symbol.venue_prefix))
        except ChannelError as error:
            self.desk.report(str(error))
            return series

    async def coverage(
        self, symbol: str, timeframe: str, start: datetime | None = None, end: datetime | None = None
    ) -> CoverageReport:
        """Return what is held between two instants; asks no venue.

        Args:
            symbol: such as ``KRW-BTC``.
            timeframe: such as ``1m``.
            start: the first slot; the oldest held when left out.
            end: exclusive; the end of what is held when left out.

        Raises:
            UnsupportedRequestError: nothing keeps candles.
            ChannelError: the store failed.

        """
        key = self.key(symbol, timeframe)
        await self.desk.flush()
        first = None if start is None else to_utc(start, "start")
        last = None if end is None else to_utc(end, "end")
        span = held_span(self.store.ledger(key), first, last)
        if span is None:
            at = first or last or EPOCH
            return CoverageReport(key=key, span=TimeRange(at, at), rows=0, slots=0)
        return await survey(self.store, key, span, self.references(key.symbol.venue_prefix))

    async def parts(self, symbol: str, timeframe: str, start: datetime, end: datetime) -> AsyncGenerator[CandleSeries]:
        """Yield what is held of a range in parts of bounded size, oldest first; asks no venue."""
        key = self.key(symbol, timeframe)
        span = TimeRange(to_utc(start, "start"), to_utc(end, "end"))
        async for part in each_part(self.store, key, span, self.references(key.symbol.venue_prefix)):
            yield part
