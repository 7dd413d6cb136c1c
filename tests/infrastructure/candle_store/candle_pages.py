"""Candles and pages whose numbers follow from the slot; used by tests and by the processes that they start."""

from array import array
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from attrs import evolve

from market_backbone.domain.candle import Candle
from market_backbone.domain.columns import DecimalColumn
from market_backbone.domain.coverage import Coverage, ExplainedRange, Reason
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.ledger import SeriesKey
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe

START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_MICROS, ONE = 1_767_225_600_000_000, 10**8
KEY = SeriesKey("upbit-kr", Symbol("KRW-BTC"), Timeframe.M1)


def minute(number):
    return START + timedelta(minutes=number)


def span(first, beyond):
    return TimeRange(minute(first), minute(beyond))


def spans(*pairs):
    return tuple(span(*pair) for pair in pairs)


def slots(ranges):
    return {slot for part in ranges for slot in Timeframe.M1.slots(part)}


def opening_price(number):
    """What the model's market opens at in this minute."""
    return 1000 + number % 977


def candle(number, price=None, *, by=SealedBy.REST, finality=Finality.FINAL, key=KEY, **more):
    price = Decimal(opening_price(number) if price is None else price)
    values = {"open": price, "high": price + 2, "low": price - 2, "close": price + 1, "volume": price / 8}
    values |= {"opened_at": START + number * key.timeframe.nominal_width, "source": "rest"}
    values |= {"finality": finality, "sealed_by": by if finality is Finality.FINAL else None}
    return Candle(venue=key.venue, symbol=key.symbol, timeframe=key.timeframe, **{**values, **more})


def series(candles=(), *, proven=(), provisional=(), before=None, labels=(), asked=(-(10**6), 10**6), key=KEY):
    explained = tuple(ExplainedRange(minute(first), minute(beyond), reason) for first, beyond, reason in labels)
    if before is not None:
        explained += (ExplainedRange(minute(before - 1000), minute(before), Reason.BEFORE_LISTING),)
    coverage = Coverage(asked=span(*asked), proven=spans(*proven), provisional=spans(*provisional), explained=explained)
    return CandleSeries.of(key.venue, key.symbol, key.timeframe, candles, coverage)


def has_trade(number):
    """Whether the model's market traded in this minute: not in every seventh."""
    return number % 7 != 3


def page(first, beyond):
    """A page of the model's market: every candle that it has there, proven throughout."""
    rows = [candle(number) for number in range(first, beyond) if has_trade(number)]
    return series(rows, proven=[(first, beyond)], asked=(first, beyond))


def quick_page(first, beyond):
    """The same as ``page``, of columns: a process that is killed at random shall be writing, not making candles."""
    whole, traded = page(0, 1), [number for number in range(first, beyond) if has_trade(number)]
    prices = [opening_price(number) * ONE for number in traded]

    def column(change):
        return DecimalColumn(array("q", map(change, prices)), {})

    columns = evolve(
        whole.columns,
        opened=array("q", (FIRST_MICROS + number * 60_000_000 for number in traded)),
        open=column(lambda price: price),
        high=column(lambda price: price + 2 * ONE),
        low=column(lambda price: price - 2 * ONE),
        close=column(lambda price: price + ONE),
        volume=column(lambda price: price // 8),
        quote_volume=DecimalColumn.of([None] * len(traded)),
        updated=array("q", whole.columns.updated[:1] * len(traded)),
        mark=array("I", [0] * len(traded)),
    )
    asked = span(first, beyond)
    return evolve(whole, columns=columns, coverage=Coverage(asked=asked, proven=(asked,)))
