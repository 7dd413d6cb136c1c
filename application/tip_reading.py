"""The forming candle of one channel on top of what is held. Pure."""

from datetime import datetime

from ..domain.candle import Candle
from ..domain.coverage import Coverage
from ..domain.errors import ChannelUnavailableError
from ..domain.holding import Ledger
from ..domain.seam import Seam, SeamVerdict
from ..domain.series import CandleSeries
from ..domain.time_range import TimeRange
from .cache_tally import HELD


def tip_above(ledger: Ledger, newest: CandleSeries, open_slot: datetime) -> CandleSeries | None:
    """Return the open slot as a page that goes on above what is held, with its candle if there is one.

    Nothing is claimed of the open slot. Nothing of ``newest`` below the open slot is taken: on a quiet
    market it is old, and held already.

    Args:
        ledger: what is held.
        newest: the answer of a channel that knows the newest candle only.
        open_slot: opening of the slot that is open on the venue's clock.

    Returns:
        None where a slot that is over is not held, so that more than the tip is missing.

    """
    if ledger.known_below(open_slot) is None:
        return None
    candles = [candle for candle in newest if candle.opened_at == open_slot]
    coverage = Coverage(asked=TimeRange(open_slot, newest.timeframe.next(open_slot)))
    return CandleSeries.of(newest.venue, newest.symbol, newest.timeframe, candles, coverage)


def held_below(tip: Candle, channel: str) -> Seam:
    """Return the joint of a forming candle with what is held below it: they touch, and share no slot to compare."""
    return Seam(at=tip.opened_at, older=HELD, newer=channel, verdict=SeamVerdict.PENDING, detail="nothing compared yet")


def too_little_held(channel: str) -> ChannelUnavailableError:
    """Return the error of a channel that knows the tip only, where more is missing; it is not to blame."""
    msg = "it knows the newest candle only, and what is held does not reach up to it"
    return ChannelUnavailableError(msg, channel=channel, retryable=False, is_fault=False)
