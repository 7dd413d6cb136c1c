"""ccxt's errors as ours: translated once, at the edge."""

from collections.abc import Iterator
from contextlib import contextmanager

import ccxt

from market_backbone import (
    ChannelTimeoutError,
    ChannelUnavailableError,
    IntegrityError,
    MalformedReplyError,
    MarketDataError,
    RateLimitedError,
    UnknownSymbolError,
    UnsupportedRequestError,
)

PAUSE_S = 1.0
GARBLED = (TypeError, KeyError, ValueError, AttributeError, IndexError, ArithmeticError)
"""What ccxt raises while it reads an answer that is not what the exchange documents."""


@contextmanager
def translated(channel: str) -> Iterator[None]:
    """Say in our words what went wrong inside."""
    try:
        yield
    except ccxt.BaseError as error:
        raise explain(error, channel) from error
    except IntegrityError as error:
        raise MalformedReplyError(f"the answer holds an impossible row: {error}", channel=channel) from error
    except MarketDataError:
        raise
    except GARBLED as error:
        told = f"the answer cannot be read: {type(error).__name__}: {error}"
        raise MalformedReplyError(told, channel=channel) from error


def explain(error: ccxt.BaseError, channel: str) -> MarketDataError:
    """Return our error for one of ccxt's; the most special of its classes decides."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    match error:
        case ccxt.RateLimitExceeded() | ccxt.DDoSProtection():
            return RateLimitedError(text, channel=channel, retry_after=PAUSE_S)
        case ccxt.RequestTimeout():
            return ChannelTimeoutError(text, channel=channel)
        case ccxt.BadSymbol():
            return UnknownSymbolError(text)
        case ccxt.NotSupported():
            return UnsupportedRequestError(text)
        case ccxt.BadResponse():
            return MalformedReplyError(text, channel=channel)
        case _:
            return ChannelUnavailableError(text, channel=channel, retryable=isinstance(error, ccxt.OperationFailed))
