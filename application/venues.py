"""Whose symbols a channel serves: what keeps the venues of one backbone apart.

Invariants:
    A question about a symbol is asked only of channels that serve it, and judged only by their venue's clock.
    What stands before a symbol's colon names a venue, or one channel of it; nothing stands for the backbone's own.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from attrs import define

from ..domain.capabilities import Capabilities, HistoryDepth
from ..domain.ports import Channel, MarketDirectory, ServerTime
from ..domain.request import AnyRequest, TickerRequest
from .rules import REST

NOBODY, UNMET = "none", "custom:"


class Served(Protocol):
    """A channel, or what a policy may know of it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...


def serves(channel: Served, prefix: str) -> bool:
    """Return whether a channel may be asked about symbols of a prefix; what is held may be of any venue."""
    able = channel.capabilities
    return able.answers_from_store or prefix in {able.venue_prefix, channel.name}


def prefix_of(request: AnyRequest) -> str:
    """Return the prefix of the symbols that a question is about; tickers of one question are all of one venue."""
    symbol = request.symbols[0] if isinstance(request, TickerRequest) else request.symbol
    return symbol.venue_prefix


@define(eq=False)
class Venues:
    """The channels of one backbone, by the symbols that they serve; each method takes a symbol's ``venue_prefix``.

    Attributes:
        channels: by name.
        times: returns the clock of each venue by its prefix.

    """

    channels: Mapping[str, Channel]
    times: Callable[[str], ServerTime]

    def serving(self, prefix: str) -> list[Channel]:
        """Return the channels that bring data of a venue; first those whose answers are kept, and REST of them."""
        found = [one for one in self.channels.values() if serves(one, prefix) and not _is_store(one)]
        return sorted(found, key=lambda one: (not is_worth_keeping(one), one.name != REST))

    def venue_of(self, prefix: str) -> str:
        """Return whose data answers are, as far as the channels know now."""
        return next((channel.venue for channel in self.serving(prefix)), NOBODY)

    def time_of(self, prefix: str) -> ServerTime:
        """Return the clock by which candles become final."""
        prefixes = (channel.capabilities.venue_prefix for channel in self.serving(prefix))
        return self.times(next(prefixes, prefix))

    def directory_of(self, prefix: str) -> MarketDirectory | None:
        """Return who knows what is listed; what means a channel by its name is listed by the channel's venue."""
        serving = self.serving(prefix)
        others = (one for meant in serving for one in self.serving(meant.capabilities.venue_prefix))
        return directory_among((*serving, *others))

    def page_of(self, prefix: str) -> int:
        """Return how many candles one call brings of a venue; what a store holds has no pages."""
        return next((channel.capabilities.candles_per_call for channel in self.serving(prefix)), 1)

    def references_of(self, prefix: str) -> tuple[str, ...]:
        """Return the symbols whose common silence is the venue's."""
        declared = (channel.capabilities.references for channel in self.serving(prefix))
        return next((references for references in declared if references), ())


def are_different(venue: str, other: str) -> bool:
    """Return whether two channels are known to bring data of different venues.

    A server at an address of the user's own says only in its first reply whose data it serves.
    """
    return venue != other and not any(name.startswith(UNMET) for name in (venue, other))


def is_worth_keeping(channel: Served) -> bool:
    """Return whether what a channel answers is worth keeping: its past, where a call costs something."""
    able = channel.capabilities
    return able.history is HistoryDepth.FULL and not able.calls_are_free


def directory_among(channels: Iterable[Channel]) -> MarketDirectory | None:
    """Return the first channel that knows what is listed."""
    return next((channel for channel in channels if isinstance(channel, MarketDirectory)), None)


def _is_store(channel: Channel) -> bool:
    return channel.capabilities.answers_from_store
