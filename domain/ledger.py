"""What a store of candles holds of one series, and which of two sealed views it keeps."""

from datetime import datetime

from attrs import evolve, field, frozen

from .candle import Candle
from .coverage import ExplainedRange, Reason
from .errors import IntegrityError
from .finality import SealedBy
from .symbol import Symbol
from .time_range import TimeRange, subtract, unite
from .timeframe import Timeframe


@frozen
class SeriesKey:
    """What a stored series is kept under; venues never share one."""

    venue: str
    symbol: Symbol
    timeframe: Timeframe

    def __str__(self) -> str:
        """Write the key as a person says it."""
        return f"{self.symbol} {self.timeframe} at {self.venue}"


@frozen(kw_only=True)
class Ledger:
    """What a store knows of one series, without its candles.

    Attributes:
        proven: disjoint ranges in which every slot is known.
        provisional: ranges that a live stream watched and no later page has confirmed; disjoint from ``proven``.
        explained: ranges without candles that have a reason of their own (``BEFORE_LISTING``).
        verified_at: when stored pages were last compared with the venue; None for never.

    """

    proven: tuple[TimeRange, ...] = field(default=(), converter=unite)
    provisional: tuple[TimeRange, ...] = field(default=(), converter=unite)
    explained: tuple[ExplainedRange, ...] = ()
    verified_at: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known at all."""
        return not (self.proven or self.provisional or self.explained)

    @property
    def beginning(self) -> datetime | None:
        """Before this instant the venue has no candle; None while that is not proven."""
        return max((part.end for part in self.explained if part.reason is Reason.BEFORE_LISTING), default=None)

    def known_below(self, at: datetime) -> TimeRange | None:
        """Return the proven range that reaches up to ``at``, cut there; None when a hole lies below ``at``."""
        return next((TimeRange(span.start, at) for span in self.proven if span.start < at <= span.end), None)

    def known_end_before(self, at: datetime) -> datetime | None:
        """Return where the newest proven range that begins before ``at`` ends, at most ``at``."""
        return max((min(span.end, at) for span in self.proven if span.start < at), default=None)

    def known_within(self, span: TimeRange) -> TimeRange | None:
        """Return the least range that holds all that is known of ``span``; None when that is nothing."""
        spans = (*self.proven, *self.provisional, *(part.span for part in self.explained))
        known = [part for part in spans if part.start < span.end and span.start < part.end]
        if not known:
            return None
        start, end = min(part.start for part in known), max(part.end for part in known)
        return TimeRange(max(start, span.start), min(end, span.end))

    def missing(self, span: TimeRange) -> tuple[TimeRange, ...]:
        """Return the parts of ``span`` that the venue would have to be asked for, oldest first."""
        begin = span.start if self.beginning is None else min(max(span.start, self.beginning), span.end)
        return tuple(subtract(TimeRange(begin, span.end), self.proven))


@frozen(kw_only=True)
class WriteResult:
    """What became of a write.

    Attributes:
        added: candles that were not held before.
        revised: the held and the new view of every candle that the venue has changed.

    """

    added: int = 0
    revised: tuple[tuple[Candle, Candle], ...] = ()


@frozen(kw_only=True)
class HeldSeries:
    """One line of a store's inventory; ``quarantine`` says why it is no longer served, if so."""

    key: SeriesKey
    rows: int
    span: TimeRange
    quarantine_reason: str = ""


def keep(held: Candle | None, new: Candle) -> Candle:
    """Return the view of one slot that a store keeps; both are FINAL.

    The same market data keeps its place, unless a read of the venue now vouches for what a stream had
    sealed. What a read of the venue changes is a revision. A stream never changes what was read.

    Raises:
        IntegrityError: a candle is not FINAL, or the two are views of different slots.

    """
    if not new.is_final or (held is not None and held.identity != new.identity):
        msg = f"only FINAL views of one slot can be kept, got {new!r}" + (f" for {held!r}" if held else "")
        raise IntegrityError(msg)
    if held is None:
        return new
    vouches = _is_read(new) and not _is_read(held)
    if held.is_same_market_data(new):
        return evolve(new, revision=max(held.revision, new.revision)) if vouches else held
    if not _is_read(new) and _is_read(held):
        return held
    return evolve(new, revision=max(held.revision + 1, new.revision))


def _is_read(candle: Candle) -> bool:
    return candle.sealed_by in {SealedBy.REST, SealedBy.SOURCE}
