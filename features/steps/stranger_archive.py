"""A stranger's package: an archive of hourly candles, and two ways to get a source wrong."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from attrs import frozen

from market_backbone import (
    AdapterContext,
    Candle,
    CandleSeries,
    Capabilities,
    Coverage,
    DataKind,
    Finality,
    HistoryDepth,
    SealedBy,
    Symbol,
    Timeframe,
    TimeRange,
    UnsupportedRequestError,
)

HOUR = timedelta(hours=1)
ENDS_AT = datetime(2026, 11, 1, tzinfo=UTC)
ABLE = Capabilities(
    answers=frozenset({DataKind.CANDLE}),
    timeframes=frozenset({Timeframe.H1}),
    history=HistoryDepth.FULL,
    candles_per_call=1000,
    rows_are_final=True,
    calls_are_free=True,
)


@frozen
class Archive:
    """Every hour of every market at the price of 42; knows candles and nothing else."""

    name: str
    venue: str = "archive"
    capabilities: Capabilities = ABLE

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        beyond = min(end or ENDS_AT, ENDS_AT)
        first = start or beyond - (count or 1) * HOUR
        rows = [self._candle(symbol, first + number * HOUR) for number in range(round((beyond - first) / HOUR))]
        span = TimeRange(first, beyond)
        return CandleSeries.of(
            self.venue, Symbol(symbol), Timeframe(timeframe), rows, Coverage(asked=span, proven=(span,))
        )

    def _candle(self, symbol, opened_at):
        price = Decimal(42)
        return Candle(
            venue=self.venue,
            symbol=Symbol(symbol),
            timeframe=Timeframe.H1,
            opened_at=opened_at,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=Decimal(1),
            source=self.name,
            finality=Finality.FINAL,
            sealed_by=SealedBy.SOURCE,
        )

    async def get_ticker(self, symbol):
        raise UnsupportedRequestError("an archive has no prices of now")

    async def get_tickers(self, symbols):
        raise UnsupportedRequestError("an archive has no prices of now")

    async def get_orderbook(self, symbol, depth=15):
        raise UnsupportedRequestError("an archive has no books")

    async def get_trades(self, symbol, count=100):
        raise UnsupportedRequestError("an archive has no trades")

    async def close(self):
        pass


def archive(context: AdapterContext) -> Archive:
    """Build the source; this is what the entry point names."""
    return Archive(context.name)


def broken(_context: AdapterContext) -> Archive:
    """Fail, as a source does whose licence is missing."""
    raise RuntimeError("no licence file")


def half(_context: AdapterContext) -> object:
    """Return something that is no source."""
    return object()
