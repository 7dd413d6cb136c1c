"""Channels and policies by name, through entry points: ours register as a stranger's do.

A plug-in that cannot be loaded is reported and costs nobody else anything.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from attrs import define, field, frozen

from ..domain.adapter import AdapterContext
from ..domain.capabilities import Capabilities
from ..domain.errors import ConfigurationError, PluginError
from ..domain.ports import Channel, RoutingPolicy

ADAPTERS = "market_backbone.adapters"
POLICIES = "market_backbone.policies"


@frozen
class PluginProblem:
    """What is wrong with a plug-in, in words that help its author."""

    group: str
    name: str
    origin: str
    error: str


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


@define
class Registry:
    """The entry points of both groups, as far as the settings allow them."""

    adapter_patterns: tuple[str, ...] = ("*",)
    policy_patterns: tuple[str, ...] = ("*",)
    discover: Callable[[str], Iterable[EntryPoint]] = lambda group: entry_points(group=group)
    problems: list[PluginProblem] = field(factory=list[PluginProblem])

    def _points(self, group: str, patterns: tuple[str, ...]) -> dict[str, EntryPoint]:
        chosen: dict[str, EntryPoint] = {}
        for point in sorted(self.discover(group), key=lambda point: (point.name, _origin(point))):
            if not any(fnmatchcase(point.name, pattern) for pattern in patterns):
                continue
            if point.name in chosen and chosen[point.name].value != point.value:
                taken = _origin(chosen[point.name])
                self._report(group, point, f"the name is taken by {taken}; one of the two has to be renamed")
                continue
            chosen.setdefault(point.name, point)
        return chosen

    def _report(self, group: str, point: EntryPoint, error: str) -> None:
        problem = PluginProblem(group, point.name, _origin(point), error)
        if problem not in self.problems:
            self.problems.append(problem)

    def _load(self, group: str, point: EntryPoint) -> Any:  # noqa: ANN401 - whatever the entry point names
        try:
            return point.load()
        except Exception as error:  # noqa: BLE001 - a stranger's import may raise anything; it must not stop ours
            self._report(group, point, f"cannot be loaded from {point.value}: {type(error).__name__}: {error}")
            return None

    def build_channels(self, context_of: Callable[[str], AdapterContext]) -> Mapping[str, Channel]:
        """Return every channel that can be built, by name; the rest is in ``problems``."""
        channels: dict[str, Channel] = {}
        for name, point in self._points(ADAPTERS, self.adapter_patterns).items():
            factory = self._load(ADAPTERS, point)
            channel = self._build(point, factory, context_of(name)) if factory is not None else None
            if channel is not None:
                channels[name] = channel
        return channels

    def _build(
        self, point: EntryPoint, factory: Callable[[AdapterContext], Any], context: AdapterContext
    ) -> Channel | None:
        try:
            channel = factory(context)
        except ConfigurationError as error:
            self._report(ADAPTERS, point, f"its options are wrong: {error}")
            return None
        except Exception as error:  # noqa: BLE001 - a stranger's factory may raise anything; it must not stop ours
            self._report(ADAPTERS, point, f"its factory failed: {type(error).__name__}: {error}")
            return None
        problem = _what_is_wrong(channel, point.name)
        if problem is None:
            return channel
        self._report(ADAPTERS, point, problem)
        return None

    def policy(self, name: str) -> RoutingPolicy:
        """Return the policy of this name.

        Raises:
            PluginError: there is none, or it cannot be used; the message names what is installed.

        """
        points = self._points(POLICIES, self.policy_patterns)
        if name not in points:
            near = get_close_matches(name, points, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise PluginError(f"no routing policy named {name!r}; installed: {', '.join(points) or 'none'}{hint}")
        try:
            made = points[name].load()
            policy = made() if isinstance(made, type) else made
        except Exception as error:
            msg = f"routing policy {name!r} of {_origin(points[name])} failed: {type(error).__name__}: {error}"
            raise PluginError(msg) from error
        if not hasattr(policy, "plan") or not hasattr(policy, "name"):
            msg = f"routing policy {name!r} of {_origin(points[name])} has no name and plan(request, channels)"
            raise PluginError(msg)
        return policy


CHANNEL_MEMBERS = (
    "name",
    "venue",
    "capabilities",
    "close",
    "get_candles",
    "get_ticker",
    "get_tickers",
    "get_orderbook",
    "get_trades",
)


def _what_is_wrong(channel: Any, name: str) -> str | None:  # noqa: ANN401 - whatever a factory has built
    """Return why a channel cannot be used, in words for its author; None when it can."""
    try:
        missing = [member for member in CHANNEL_MEMBERS if not hasattr(channel, member)]
        if missing:
            return f"is no Channel: it lacks {', '.join(missing)}"
        announced, able, venue = channel.name, channel.capabilities, channel.venue
    except Exception as error:  # noqa: BLE001 - a stranger's property may raise anything; it must not stop ours
        return f"is no Channel: it cannot be looked at: {type(error).__name__}: {error}"
    if not isinstance(able, Capabilities):
        return f"is no Channel: its capabilities are {type(able).__name__}, expected Capabilities"
    if not (isinstance(venue, str) and venue):
        return f"is no Channel: its venue is {venue!r}, expected whose data it brings"
    return None if announced == name else f"calls itself {announced!r}, expected {name!r}: the name of its context"
