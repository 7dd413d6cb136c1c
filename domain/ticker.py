"""The state of one market at one moment."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from attrs import field, fields, frozen

from .errors import IntegrityError
from .routing import RoutePlan
from .symbol import Symbol
from .timestamps import to_utc


class PriceChange(StrEnum):
    """Direction against the previous UTC day's close."""

    RISE = "RISE"
    EVEN = "EVEN"
    FALL = "FALL"


@frozen(kw_only=True)
class Ticker:
    """Last price and the day's figures of one market.

    Attributes:
        price: price of the last trade.
        open, high, low: since 00:00 UTC (09:00 in Korea), not the rolling 24 hours
            (https://docs.upbit.com/kr/reference/list-tickers.md).
        previous_close: close of the previous UTC day.
        signed_change, signed_change_rate: against ``previous_close``; the rate is a ratio.
        volume, quote_volume: since 00:00 UTC, in base and quote currency.
        volume_24h, quote_volume_24h: the rolling 24 hours.
        traded_at: instant of the last trade.
        updated_at: when this ticker last changed; old on a quiet market, so never a clock.
        trace: how it was answered, where it answers a request.

    Raises:
        IntegrityError: a figure is not a finite number, or the price is not positive.

    """

    venue: str
    symbol: Symbol
    price: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    previous_close: Decimal
    change: PriceChange
    signed_change: Decimal
    signed_change_rate: Decimal
    last_volume: Decimal
    volume: Decimal
    quote_volume: Decimal
    volume_24h: Decimal
    quote_volume_24h: Decimal
    highest_52_week: Decimal
    lowest_52_week: Decimal
    traded_at: datetime = field(converter=to_utc)
    updated_at: datetime = field(converter=to_utc)
    source: str
    trace: RoutePlan | None = field(default=None, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Refuse figures that are no numbers."""
        if not all(map(Decimal.is_finite, _figures(self))) or self.price <= 0:
            msg = f"impossible ticker of {self.symbol}: every figure must be finite and the price positive"
            raise IntegrityError(msg)


_figures = attrgetter(*(one.name for one in fields(Ticker) if one.type is Decimal))
