"""Whose symbols a channel serves: what keeps the venues of one backbone apart.

Invariants:
    A question about a symbol is asked only of channels that serve it, and judged only by their venue's clock.
    What stands before a symbol's colon names a venue, or one channel of it; nothing stands for the backbone's own.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from attrs import define, field

from ...domain.capabilities import Capabilities, HistoryDepth
from ...domain.errors import ChannelError
from ...domain.ports import Channel, LiveChannel, MarketDirectory, ServerTime
from ...domain.request import AnyRequest, TickerRequest
from ...domain.routing import REST

NOBODY, UNMET = "none", "custom:"


class HasCapabilities(Protocol):
    """A channel, or what a policy may know of it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...


def serves(channel: HasCapabilities, prefix: str) -> bool:
    """Return whether a channel may be asked about symbols of a prefix; what is held may be of any venue."""
    return _serves(channel.capabilities, channel.name, prefix)


def _serves(able: Capabilities, name: str, prefix: str) -> bool:
    return able.answers_from_store or prefix in {able.venue_prefix, name}


def prefix_of(request: AnyRequest) -> str:
    """Return the prefix of the symbols that a question is about; tickers of one question are all of one venue."""
    symbol = request.symbols[0] if isinstance(request, TickerRequest) else request.symbol
    return symbol.venue_prefix


@define(eq=False)
class ChannelDirectory:
    """The channels of one backbone, by the symbols that they serve; each method takes a symbol's ``venue_prefix``.

    Attributes:
        channels: by name.
        times: returns the clock of each venue by its prefix.

    """

    channels: Mapping[str, Channel]
    server_times: Callable[[str], ServerTime]
    _live: tuple[Channel, ...] = field(init=False, default=())
    _serving: dict[str, list[Channel]] = field(init=False, factory=dict[str, list[Channel]])

    def __attrs_post_init__(self) -> None:
        """Find who can be followed, once: to ask an object for all members of a protocol takes long."""
        self._live = tuple(one for one in self.channels.values() if isinstance(one, LiveChannel))

    def live_name(self, prefix: str) -> str:
        """Return the channel on which symbols of a venue can be followed."""
        return next((one.name for one in self._live if serves(one, prefix)), "")

    def serving(self, prefix: str) -> list[Channel]:
        """Return the channels that bring data of a venue; first those whose answers are kept, and REST of them.

        Found out once, because capabilities never change; where none is found, the prefix may be anything.
        """
        if prefix in self._serving:
            return self._serving[prefix]
        able = [(one, one.capabilities) for one in self.channels.values()]  # asked once: an adapter may compute them
        found = [(one, can) for one, can in able if _serves(can, one.name, prefix) and not can.answers_from_store]
        serving = [one for one, _ in sorted(found, key=lambda pair: (not _is_kept(pair[1]), pair[0].name != REST))]
        if serving:
            self._serving[prefix] = serving
        return serving

    def venue_of(self, prefix: str) -> str:
        """Return whose data answers are, as far as the channels know now."""
        return next((channel.venue for channel in self.serving(prefix)), NOBODY)

    def server_time_of(self, prefix: str) -> ServerTime:
        """Return the clock by which candles become final."""
        prefixes = (channel.capabilities.venue_prefix for channel in self.serving(prefix))
        return self.server_times(next(prefixes, prefix))

    def directory_of(self, prefix: str) -> MarketDirectory | None:
        """Return who knows what is listed; what means a channel by its name is listed by the channel's venue."""
        serving = self.serving(prefix)
        others = (one for meant in serving for one in self.serving(meant.capabilities.venue_prefix))
        return directory_among((*serving, *others))

    def page_size_of(self, prefix: str) -> int:
        """Return how many candles one call brings of a venue; what a store holds has no pages."""
        return next((channel.capabilities.candles_per_call for channel in self.serving(prefix)), 1)

    def reference_symbols_of(self, prefix: str) -> tuple[str, ...]:
        """Return the symbols whose common silence is the venue's."""
        declared = (channel.capabilities.references for channel in self.serving(prefix))
        return next((references for references in declared if references), ())


def are_different(venue: str, other: str) -> bool:
    """Return whether two channels are known to bring data of different venues.

    A server at an address of the user's own says only in its first reply whose data it serves.
    """
    return venue != other and not any(name.startswith(UNMET) for name in (venue, other))


def is_worth_keeping(channel: HasCapabilities) -> bool:
    """Return whether what a channel answers is worth keeping: its past, where a call costs something."""
    return _is_kept(channel.capabilities)


def _is_kept(able: Capabilities) -> bool:
    return able.history is HistoryDepth.FULL and not able.calls_are_free


def directory_among(channels: Iterable[Channel]) -> MarketDirectory | None:
    """Return the first channel that knows what is listed."""
    return next((channel for channel in channels if isinstance(channel, MarketDirectory)), None)


async def check_listed(directory: MarketDirectory | None, symbols: Iterable[str]) -> None:
    """Refuse symbols that are not listed, before a channel is asked that would answer with silence.

    A market list that nobody has, or that cannot be read, refuses nothing: the channel itself will have to say.

    Raises:
        UnknownSymbolError: never listed.
        SymbolDelistedError: no longer listed.

    """
    if directory is None:
        return
    for symbol in symbols:
        try:
            await directory.check_symbol(symbol)
        except ChannelError:
            return
