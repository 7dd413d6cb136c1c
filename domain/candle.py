"""One candle: what happened in one slot, how final that is, and where it comes from."""

from datetime import datetime
from decimal import Decimal

from attrs import field, frozen

from .errors import IntegrityError
from .finality import Finality, SealedBy
from .symbol import Symbol
from .timeframe import Timeframe
from .timestamps import to_text, to_utc


def plain(number: Decimal | None) -> str:
    """Write a number without an exponent, whatever its size; None becomes ``-``."""
    return "-" if number is None else f"{number:f}"


@frozen(repr=False, kw_only=True)
class Candle:
    """Open, high, low, close and volume of one slot ``[opened_at, closed_at)``.

    Numbers are ``Decimal``, equal in value to the text that the venue sent. Instants are aware UTC.

    Attributes:
        volume: traded amount in the base currency.
        quote_volume: turnover in the quote currency; None when the source does not know it.
        updated_at: when the last tick was *stored* (Upbit's ``timestamp``). It may lie after the
            slot's end (recorded: 43 of 200 rows in one page), so it is never the candle's time.
        sealed_by: why the candle is FINAL; None while it is not.
        revision: how often the venue changed this candle after it was FINAL.
        is_empty: True for the flat filler of ``CandleSeries.fill_forward``, never for real data.

    Raises:
        IntegrityError: no market can produce such a candle (low above open, negative volume,
            opening off the grid, not a finite number).

    """

    venue: str
    symbol: Symbol
    timeframe: Timeframe
    opened_at: datetime = field(converter=to_utc)
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal | None = None
    updated_at: datetime | None = None
    source: str
    finality: Finality
    sealed_by: SealedBy | None = None
    revision: int = 0
    is_empty: bool = False

    def __attrs_post_init__(self) -> None:
        """Refuse an impossible candle; guessing what was meant would corrupt a series silently."""
        if fault := self._impossibility():
            msg = f"impossible candle {self!r}: {fault}"
            raise IntegrityError(msg)

    def _impossibility(self) -> str | None:
        numbers = (self.open, self.high, self.low, self.close, self.volume, self.quote_volume or self.volume)
        if not all(number.is_finite() for number in numbers):
            return "every number must be finite"
        if not self.low <= min(self.open, self.close) or not self.high >= max(self.open, self.close):
            return "low <= open, close <= high must hold"
        if self.volume < 0 or (self.quote_volume is not None and self.quote_volume < 0):
            return "volumes must not be negative"
        if not self.timeframe.is_on_grid(self.opened_at):
            return f"no {self.timeframe} slot opens at {to_text(self.opened_at)}"
        if (self.finality is Finality.FINAL) != (self.sealed_by is not None):
            return "a candle is FINAL exactly when something sealed it"
        return None

    @property
    def closed_at(self) -> datetime:
        """The end of the slot, exclusive."""
        return self.timeframe.next(self.opened_at)

    @property
    def is_final(self) -> bool:
        """Whether the candle is sealed."""
        return self.finality is Finality.FINAL

    @property
    def identity(self) -> tuple[str, Symbol, Timeframe, datetime]:
        """What makes this candle the same candle in another view."""
        return (self.venue, self.symbol, self.timeframe, self.opened_at)

    def is_same_market_data(self, other: "Candle") -> bool:
        """Return whether both views tell the same prices and volume.

        Turnover may differ by 1e-9 relative: the exchange adds doubles.
        """
        if (self.open, self.high, self.low, self.close, self.volume) != (
            other.open,
            other.high,
            other.low,
            other.close,
            other.volume,
        ):
            return False
        mine, theirs = self.quote_volume, other.quote_volume
        return mine is None or theirs is None or abs(mine - theirs) <= Decimal("1e-9") * max(mine, theirs)

    def __repr__(self) -> str:
        """Show the candle on one line, numbers without exponents."""
        numbers = f"O {plain(self.open)} H {plain(self.high)} L {plain(self.low)} C {plain(self.close)}"
        seal = f"{self.finality}" + (f" by {self.sealed_by}" if self.sealed_by else "")
        return (
            f"<Candle {self.symbol} {self.timeframe} {to_text(self.opened_at)} {numbers} V {plain(self.volume)} "
            f"{seal}, {self.source}@{self.venue}>"
        )


CandleData = Candle
