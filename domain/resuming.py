"""Where a follower goes on that was followed before, and how long trades wait to be put in order."""

import math
from datetime import datetime

from .candle import Candle
from .capabilities import DataKind
from .errors import InvalidRangeError, UnsupportedRequestError
from .symbol import Symbol
from .timeframe import Timeframe
from .timestamps import to_text, to_utc
from .trade import LARGEST_ID, Trade

MAX_REORDER_S = 60.0

type_of_resume_point = Trade | Candle | datetime | int


def read_resume_point(
    given: type_of_resume_point | None, kind: DataKind, symbol: Symbol, timeframe: Timeframe
) -> Trade | datetime | int | None:
    """Return the trade (or its id), or the opening of the candle, after which to go on.

    Raises:
        UnsupportedRequestError: this kind of data has no such point, or it is of another series.
        InvalidRangeError: the instant opens no slot, or the id is none.

    """
    match kind:
        case _ if given is None:
            return None
        case DataKind.TRADE:
            return _read_trade(given, symbol)
        case DataKind.CANDLE:
            return _read_candle(given, symbol, timeframe)
        case _:
            msg = (
                f"resume_after is for trades and candles, got one for kind={kind.value!r}; only its newest is delivered"
            )
            raise UnsupportedRequestError(msg)


def _read_trade(given: type_of_resume_point, symbol: Symbol) -> Trade | int:
    if isinstance(given, Trade):
        if given.symbol != symbol:
            msg = f"resume_after must be a trade of {symbol}, got one of {given.symbol}; follow each symbol by itself"
            raise UnsupportedRequestError(msg)
        return given
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= LARGEST_ID:
        msg = f"resume_after must be the last trade had, or its sequential_id as an int, got {given!r}"
        raise InvalidRangeError(msg)
    return given


def _read_candle(given: type_of_resume_point, symbol: Symbol, timeframe: Timeframe) -> datetime:
    if isinstance(given, Candle):
        if (given.symbol, given.timeframe) != (symbol, timeframe):
            msg = f"resume_after must be a candle of {symbol} {timeframe}, got one of {given.symbol} {given.timeframe}"
            raise UnsupportedRequestError(msg)
        if not given.is_final:
            msg = (
                f"resume_after must be the last FINAL candle had, got a {given.finality} one; give the FINAL one before"
            )
            raise UnsupportedRequestError(msg)
        return given.opened_at
    if not isinstance(given, datetime):
        msg = f"resume_after must be the last FINAL candle had, or its opened_at, got {given!r}"
        raise InvalidRangeError(msg)
    opened_at = to_utc(given, "resume_after")
    if not timeframe.is_on_grid(opened_at):
        near = to_text(timeframe.floor(opened_at))
        msg = f"resume_after must be the opening of a {timeframe} slot, got {to_text(opened_at)}; did you mean {near}?"
        raise InvalidRangeError(msg)
    return opened_at


def check_reorder(reorder_s: float, kind: DataKind) -> None:
    """Refuse a time that trades cannot be held.

    Raises:
        UnsupportedRequestError: something else than trades is followed.
        InvalidRangeError: no number of seconds from 0 to 60.

    """
    is_number = isinstance(reorder_s, int | float) and not isinstance(reorder_s, bool)  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
    if not is_number or not math.isfinite(reorder_s) or not 0 <= reorder_s <= MAX_REORDER_S:
        msg = f"reorder_s must be from 0 (off) to {MAX_REORDER_S:g} market seconds, got {reorder_s!r}"
        raise InvalidRangeError(msg)
    if reorder_s and kind is not DataKind.TRADE:
        msg = f"reorder_s is for trades only, got reorder_s={reorder_s:g} for kind={kind.value!r}; leave it out"
        raise UnsupportedRequestError(msg)
