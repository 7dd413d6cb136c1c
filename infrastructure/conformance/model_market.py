"""Candles whose numbers follow from their slot; what stores are tried with."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ...domain.candle import Candle
from ...domain.coverage import Coverage, ExplainedRange, Reason
from ...domain.finality import Finality, SealedBy
from ...domain.ledger import SeriesKey
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = SeriesKey("conformance", Symbol("KRW-BTC"), Timeframe.M1)
_QUIET_EVERY, _QUIET = 7, 3


def minute(number: int) -> datetime:
    """Return an instant by its number."""
    return START + timedelta(minutes=number)


def span(first: int, beyond: int) -> TimeRange:
    """Return a range of minutes."""
    return TimeRange(minute(first), minute(beyond))


def candle(
    number: int,
    price: Decimal | None = None,
    *,
    finality: Finality = Finality.FINAL,
    sealed_by: SealedBy = SealedBy.REST,
    key: SeriesKey = KEY,
) -> Candle:
    """Return the candle of one minute."""
    opening = Decimal(1000 + number % 977) if price is None else price
    return Candle(
        venue=key.venue,
        symbol=key.symbol,
        timeframe=key.timeframe,
        opened_at=START + number * key.timeframe.nominal_width,
        open=opening,
        high=opening * 2,
        low=opening / 2,
        close=opening,
        volume=opening / 8,
        source="kit",
        finality=finality,
        sealed_by=sealed_by if finality is Finality.FINAL else None,
    )


def series(
    candles: Iterable[Candle] = (),
    *,
    proven: tuple[TimeRange, ...] = (),
    provisional: tuple[TimeRange, ...] = (),
    before: int | None = None,
    key: SeriesKey = KEY,
) -> CandleSeries:
    """Return what a channel may hand over; ``before`` is the minute of the listing."""
    explained = () if before is None else (_before_listing(before),)
    asked = TimeRange(minute(-(10**6)), minute(10**6))
    coverage = Coverage(asked=asked, proven=proven, provisional=provisional, explained=explained)
    return CandleSeries.of(key.venue, key.symbol, key.timeframe, candles, coverage)


def _before_listing(number: int) -> ExplainedRange:
    return ExplainedRange(minute(number - 1000), minute(number), Reason.BEFORE_LISTING)


def has_trade(number: int) -> bool:
    """Return whether the market traded in a minute: not in every seventh."""
    return number % _QUIET_EVERY != _QUIET


def page(first: int, beyond: int) -> CandleSeries:
    """Return a page that proves its whole range."""
    rows = [candle(number) for number in range(first, beyond) if has_trade(number)]
    return series(rows, proven=(span(first, beyond),))
