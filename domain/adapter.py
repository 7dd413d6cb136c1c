"""What an adapter's factory receives; everything else it finds out itself."""

from collections.abc import Callable, Mapping
from typing import cast

from attrs import frozen

from .finality import Grace
from .observations import Observation
from .ports import Channel, Clock, ServerTime


@frozen(kw_only=True)
class AdapterContext:
    """The backbone's side of an adapter.

    Attributes:
        name: the entry point's name, by which users and policies speak of the channel.
        options: the settings by section, as plain values; the adapter reads its own and checks them.
        clock: market time; an adapter reads no other clock.
        server_time: shared by all channels of one backbone: tell it what replies prove.
        grace: how long after a slot's end its candle may still change.
        warn: writes what somebody should look at into the log: an event's name and a sentence.
        observe: tells those who watch what an adapter alone can know, such as waits for its budget.

    """

    name: str
    options: Mapping[str, object]
    clock: Clock
    server_time: ServerTime
    grace: Grace
    warn: Callable[[str, str], None] = lambda _, __: None
    observe: Callable[[Observation], None] = lambda _: None

    def section(self, name: str) -> Mapping[str, object]:
        """Return one section of the settings; an empty one where there is none."""
        found = self.options.get(name)
        return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}


AdapterFactory = Callable[[AdapterContext], Channel]
