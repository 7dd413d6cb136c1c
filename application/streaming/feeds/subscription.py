"""How one topic of a feed is served: by which socket, by which channel, and what its followers were told of it."""

import math
from enum import StrEnum

from attrs import define

from ....domain.errors import MarketDataError
from ....domain.events import (
    ChannelSwitched,
    Degraded,
    MarketEvent,
    Recovered,
    SubscriptionRefused,
    SubscriptionUnanswered,
)
from ..topics.topic import TopicState
from .connection import Carrier

UNKNOWN_CODE = "the exchange says nothing about codes that it does not know"
WORSE_BY = 1.5


class Trouble(StrEnum):
    """Why followers were told that their data may be old."""

    UNREACHABLE = "unreachable"
    UNREPAIRED = "unrepaired"
    CROWDED = "crowded"


@define(eq=False)
class Serving:
    """One topic and who serves it.

    Invariant: at any moment at most one channel is said to deliver; a change of it is an event. A trouble
    is told once, and so is its end; crowding, again when it has grown by half.

    Attributes:
        carrier: the socket that carries it; None once the exchange has refused to.
        channel: who is said to deliver; empty before the first value.
        fresh_at: when something new was last had.
        behind_since, audited_at, repaired_at, read_at: when REST was last asked for what.

    """

    state: TopicState
    carrier: Carrier | None
    fresh_at: float
    channel: str = ""
    trouble: Trouble | None = None
    told_s: float = 0.0
    is_told_unanswered: bool = False
    behind_since: float | None = None
    audited_at: float | None = None
    repaired_at: float = -math.inf
    read_at: float = -math.inf

    @property
    def is_live(self) -> bool:
        """Whether a socket brings the topic now."""
        return self.carrier is not None and self.carrier.shows(self.state.topic)

    @property
    def is_wanted(self) -> bool:
        """Whether anybody follows."""
        return bool(self.state.audience.followers)

    def tell(self, event: MarketEvent) -> None:
        """Tell the followers."""
        self.state.audience.publish((event,))

    def deliver_from(self, channel: str, reason: str) -> None:
        """Say who delivers from now on."""
        old, self.channel = self.channel, channel
        if old and old != channel:
            self.tell(ChannelSwitched(old, channel, reason))

    def worry(self, trouble: Trouble, told: Degraded) -> None:
        """Tell that data may be old, unless that has been told."""
        has_grown = trouble is Trouble.CROWDED and told.staleness_s > WORSE_BY * self.told_s
        if self.trouble is not trouble or has_grown:
            self.trouble, self.told_s = trouble, told.staleness_s
            self.tell(told)

    def recover(self, channel: str, *, of: frozenset[Trouble] = frozenset(Trouble)) -> None:
        """Tell that a trouble is over."""
        if self.trouble in of:
            self.trouble = None
            self.tell(Recovered(channel))

    def note_unanswered(self, waited_s: float) -> None:
        """Tell, once, that the socket shows nothing of this topic."""
        if not self.is_told_unanswered:
            self.is_told_unanswered = True
            self.tell(SubscriptionUnanswered(self.state.topic, waited_s, UNKNOWN_CODE))

    def refuse(self, error: MarketDataError) -> None:
        """Tell that no socket can carry this topic."""
        self.carrier = None
        self.tell(SubscriptionRefused(self.state.topic, error))
