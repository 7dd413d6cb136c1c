"""Everything that can go wrong, in one tree.

    MarketDataError
    ├── RequestError                 the caller's mistake; never retried, never failed over
    │   ├── UnknownSymbolError
    │   ├── SymbolDelistedError
    │   ├── UnsupportedRequestError
    │   └── InvalidRangeError
    ├── ChannelError                 one channel failed; carries channel, retryable, retry_after
    │   ├── ChannelUnavailableError
    │   ├── ChannelTimeoutError
    │   ├── RateLimitedError
    │   └── MalformedReplyError
    ├── AllChannelsFailedError       an ExceptionGroup: one error per channel tried
    ├── IntegrityError               data contradicts itself
    ├── QueueFullError · DeadlineExceededError · SlowConsumerError · ClosedError
    └── ConfigurationError · PluginError       at start-up only

A message says what was expected, what came, and what to do. Foreign exceptions are translated
once, at the edge, always with ``raise … from``.
"""

from collections.abc import Sequence
from typing import Self


class MarketDataError(Exception):
    """Root of every error that this package raises on purpose."""


class RequestError(MarketDataError):
    """The request itself is wrong: no channel and no retry can help."""


class UnknownSymbolError(RequestError):
    """The venue has never listed this symbol, or the text is not a symbol."""


class SymbolDelistedError(RequestError):
    """The venue listed this symbol once and no longer does."""


class UnsupportedRequestError(RequestError):
    """Nothing installed can serve this kind of request."""


class InvalidRangeError(RequestError, ValueError):
    """The start, end or count of a request contradict each other, are naive, or make no sense."""


class ChannelError(MarketDataError):
    """One channel failed.

    Attributes:
        channel: name of the channel, such as ``rest``.
        retryable: whether the same request may succeed on the same channel later.
        retry_after: seconds to wait before a retry, when the channel said so.
        is_fault: False when the channel is well and only cannot serve this just now (its own budget is
            spent, it holds too little); it then counts for nothing in the channel's health.

    """

    retryable_by_default = True

    def __init__(
        self,
        message: str,
        *,
        channel: str,
        retryable: bool | None = None,
        retry_after: float | None = None,
        is_fault: bool = True,
    ) -> None:
        """Keep the message, and what the router needs to decide what to do next."""
        super().__init__(message)
        self.channel = channel
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.retry_after = retry_after
        self.is_fault = is_fault

    def __str__(self) -> str:
        """Name the channel in front of what went wrong."""
        return f"{self.channel}: {super().__str__()}"


def odd_failure(channel: str, error: Exception) -> ChannelError:
    """Return what a channel's error is to its caller that is none of this tree: a mistake in the channel."""
    message = f"failed with {type(error).__name__}: {error}; report this to the channel's author"
    return ChannelError(message, channel=channel, retryable=False)


class ChannelUnavailableError(ChannelError):
    """The channel cannot be reached, refused, or answered with a server error."""


class ChannelTimeoutError(ChannelError):
    """The channel did not answer in time."""


class RateLimitedError(ChannelError):
    """The channel asks us to slow down (429) or has blocked us for a while (418)."""


class MalformedReplyError(ChannelError):
    """The channel answered with something that is not what it documents."""

    retryable_by_default = False


class AllChannelsFailedError(MarketDataError, ExceptionGroup[ChannelError]):
    """Every channel of the plan failed; ``.exceptions`` holds one error per channel tried.

    Attributes:
        rule: the row of the policy that chose the channels.

    """

    rule: str = ""

    def __new__(cls, message: str, exceptions: Sequence[ChannelError], /) -> Self:
        """Build the group; it must hold at least one error."""
        return super().__new__(cls, message, exceptions)

    def derive(self, excs: Sequence[Exception], /) -> "ExceptionGroup[Exception]":  # pyright: ignore[reportIncompatibleMethodOverride] - the base is generic over any exception
        """Return what is left when a caller splits the group with ``except*``."""
        return ExceptionGroup(self.message, excs)

    def __str__(self) -> str:
        """Say every channel's own cause on one line."""
        return f"{self.message}: " + "; ".join(str(error) for error in self.exceptions)


class IntegrityError(MarketDataError):
    """Data contradicts itself, or something was asked of data that is not known."""


class QueueFullError(MarketDataError):
    """Too many requests wait already."""


class DeadlineExceededError(MarketDataError):
    """The caller's deadline passed before the answer was complete."""


class SlowConsumerError(MarketDataError):
    """A follower fell so far behind that events that may not be dropped would have been."""


class ClosedError(MarketDataError):
    """The object was closed and can do nothing more."""


class ConfigurationError(MarketDataError):
    """Settings are wrong; the message lists every mistake with its path."""


class PluginError(MarketDataError):
    """A plug-in could not be loaded or does not keep the promises of its port."""
