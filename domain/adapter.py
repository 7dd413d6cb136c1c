"""What an adapter's factory receives; everything else it finds out itself."""

from collections.abc import Callable, Mapping
from typing import cast

from attrs import frozen

from .finality import Grace
from .ports import Channel, Clock, ServerTime
from .telemetry_events import TelemetryEvent


@frozen(kw_only=True)
class AdapterContext:
    """The backbone's side of an adapter.

    Attributes:
        name: the entry point's name, by which users and policies speak of the channel.
        options: the settings by section, as plain values; the adapter reads its own and checks them.
        clock: market time; an adapter reads no other clock.
        server_time: the clock of the backbone's own venue, shared by all channels that serve it: tell it what
            replies prove. A channel of another venue goes by ``server_time_of`` its prefix.
        grace: how long after a slot's end its candle may still change.
        warn: writes what somebody should look at into the log: an event's name and a sentence.
        observe: tells those who watch what an adapter alone can know, such as waits for its budget.
        times: returns the clock of each venue by its prefix; see ``server_time_of``.

    """

    name: str
    options: Mapping[str, object]
    clock: Clock
    server_time: ServerTime
    grace: Grace
    warn: Callable[[str, str], None] = lambda _, __: None
    observe: Callable[[TelemetryEvent], None] = lambda _: None
    server_times: Callable[[str], ServerTime] | None = None

    def server_time_of(self, venue_prefix: str) -> ServerTime:
        """Return the clock of a venue, by its prefix: the venues' clocks differ, and one proves nothing of another."""
        return self.server_time if self.server_times is None or not venue_prefix else self.server_times(venue_prefix)

    def section(self, name: str) -> Mapping[str, object]:
        """Return one section of the settings; an empty one where there is none."""
        found = self.options.get(name)
        return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}

    def own_options(self, name: str | None = None) -> Mapping[str, object]:
        """Return the settings below ``plugins.options.<name>``; the channel's own name when left out.

        Nothing about them is checked: that is the adapter's part. From an environment variable a value is text.
        """
        tables = self.section("plugins").get("options")
        found = cast("Mapping[str, object]", tables).get(name or self.name) if isinstance(tables, Mapping) else None
        return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}


AdapterFactory = Callable[[AdapterContext], Channel]
