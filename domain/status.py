"""How the backbone is doing at one moment, for whoever asks; nothing is measured while nobody does."""

from collections.abc import Mapping

from attrs import field, frozen

from .coverage_report import Completeness
from .request import Topic
from .request_options import Priority
from .routing import ChannelHealth


@frozen(kw_only=True)
class Headroom:
    """What a group has left, in market seconds.

    Attributes:
        limit: sends per second.
        left: sends that could go at once.
        blocked_for_s: for how long a refusal stops the group altogether.
        jitter_s: J.

    """

    limit: int
    left: int
    blocked_for_s: float
    jitter_s: float


@frozen(kw_only=True)
class StreamStatus:
    """One topic that is followed.

    Attributes:
        channel: who delivers; empty before the first value.
        is_live: a socket brings it.
        staleness_s: market seconds since anything proved that its data is up to date: a frame of the socket
            that brings it, whatever the frame tells of, or an answer of the channel that stands in.
        followers: how many follow it.
        completeness: what became of its slots that are over; None for what has no slots.

    """

    topic: Topic
    channel: str
    is_live: bool
    staleness_s: float
    followers: int
    completeness: Completeness | None = None


@frozen(kw_only=True)
class Status:
    """A snapshot of one API.

    Attributes:
        queued: requests that wait for a place, by urgency.
        in_service: requests that are being served.
        streams: what is followed now.
        sockets: open sockets of streams, by channel.
        headroom: what the budget leaves, by channel and group.
        health: how each channel does.

    """

    queued: Mapping[Priority, int]
    in_service: int
    streams: tuple[StreamStatus, ...] = ()
    sockets: Mapping[str, int] = field(factory=dict[str, int])
    headroom: Mapping[str, Mapping[str, Headroom]] = field(factory=dict[str, Mapping[str, Headroom]])
    health: Mapping[str, ChannelHealth] = field(factory=dict[str, ChannelHealth])

    @property
    def followers(self) -> int:
        """How many follow anything."""
        return sum(stream.followers for stream in self.streams)
