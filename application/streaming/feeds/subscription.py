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
from .connection import Connection

UNKNOWN_CODE = "the exchange says nothing about codes that it does not know"
WORSE_BY = 1.5


class DegradedReason(StrEnum):
    """Why followers were told that their data may be old."""

    UNREACHABLE = "unreachable"
    UNREPAIRED = "unrepaired"
    CROWDED = "crowded"


@define(eq=False)
class Subscription:
    """One topic and who serves it.

    Invariant: at any moment at most one channel is said to deliver; a change of it is an event. A trouble
    is told once, and so is its end; crowding, again when it has grown by half.

    Attributes:
        connection: the socket that carries it; None once the exchange has refused to.
        channel: who is said to deliver; empty before the first value.
        fresh_at: when something new was last had.
        behind_since, audited_at, repaired_at, read_at: when REST was last asked for what.

    """

    state: TopicState
    connection: Connection | None
    fresh_at: float
    channel: str = ""
    degraded_reason: DegradedReason | None = None
    reported_s: float = 0.0
    is_reported_unanswered: bool = False
    behind_since: float | None = None
    audited_at: float | None = None
    repaired_at: float = -math.inf
    read_at: float = -math.inf

    @property
    def is_live(self) -> bool:
        """Whether a socket brings the topic now."""
        return self.connection is not None and self.connection.has_seen(self.state.topic)

    @property
    def is_wanted(self) -> bool:
        """Whether anybody follows."""
        return bool(self.state.subscribers.members)

    def tell(self, event: MarketEvent) -> None:
        """Tell the followers."""
        self.state.subscribers.publish((event,))

    def deliver_from(self, channel: str, reason: str) -> None:
        """Say who delivers from now on."""
        old, self.channel = self.channel, channel
        if old and old != channel:
            self.tell(ChannelSwitched(old, channel, reason))

    def report_degraded(self, reason: DegradedReason, event: Degraded) -> None:
        """Tell that data may be old, unless that has been told."""
        has_grown = reason is DegradedReason.CROWDED and event.staleness_s > WORSE_BY * self.reported_s
        if self.degraded_reason is not reason or has_grown:
            self.degraded_reason, self.reported_s = reason, event.staleness_s
            self.tell(event)

    def recover(self, channel: str, *, of: frozenset[DegradedReason] = frozenset(DegradedReason)) -> None:
        """Tell that a trouble is over."""
        if self.degraded_reason in of:
            self.degraded_reason = None
            self.tell(Recovered(channel))

    def report_unanswered(self, waited_s: float) -> None:
        """Tell, once, that the socket shows nothing of this topic."""
        if not self.is_reported_unanswered:
            self.is_reported_unanswered = True
            self.tell(SubscriptionUnanswered(self.state.topic, waited_s, UNKNOWN_CODE))

    def refuse(self, error: MarketDataError) -> None:
        """Tell that no socket can carry this topic."""
        self.connection = None
        self.tell(SubscriptionRefused(self.state.topic, error))
