"""How one topic of a feed is served: by which socket, by which channel, and what its followers were told of it."""

import math
from collections.abc import Callable
from enum import StrEnum

from attrs import define, field

from ....domain.errors import MarketDataError
from ....domain.events import (
    ChannelSwitched,
    Degraded,
    MarketEvent,
    Recovered,
    SubscriptionRefused,
    SubscriptionUnanswered,
)
from ....domain.request import Topic
from ..topics.topic import Subscribers, TopicState
from .connection import Connection

UNKNOWN_CODE = "the exchange says nothing about codes that it does not know"
WORSE_BY = 1.5


class DegradedReason(StrEnum):
    """Why followers were told that their data may be old."""

    UNREACHABLE = "unreachable"
    UNREPAIRED = "unrepaired"
    CROWDED = "crowded"


@define
class Retry:
    """When a silent code is subscribed again on a socket of its own, and whether its followers know."""

    at: float
    tries: int = 0
    is_reported: bool = False


@define(eq=False)
class Subscription:
    """One topic and who serves it.

    Invariant: at any moment at most one channel is said to deliver; a change of it is an event. A reason for old
    data is told once, and so is its end; crowding, again when it has grown by half.

    Attributes:
        connection: the socket that carries it; None once the exchange has refused to.
        channel: who is said to deliver; empty before the first value.
        fresh_at: when something new was last had.
        read_at: when it was last polled.
        retry: set while the socket shows nothing of it.

    """

    state: TopicState
    connection: Connection | None
    fresh_at: float
    channel: str = ""
    read_at: float = -math.inf
    retry: Retry | None = None
    _degraded: tuple[DegradedReason, float] | None = None
    subscribers: Subscribers = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Reach the subscribers without asking the state for them with every frame."""
        self.subscribers = self.state.subscribers

    @property
    def topic(self) -> Topic:
        """What is followed."""
        return self.state.topic

    @property
    def is_live(self) -> bool:
        """Whether a socket brings the topic now."""
        return self.connection is not None and self.connection.has_seen(self.state.topic)

    @property
    def is_wanted(self) -> bool:
        """Whether anybody follows."""
        return bool(self.subscribers.members)

    def tell(self, event: MarketEvent) -> None:
        """Tell the followers."""
        self.subscribers.publish((event,))

    def deliver_from(self, channel: str, reason: str) -> None:
        """Say who delivers from now on."""
        old, self.channel = self.channel, channel
        # the first value is no switch: nobody delivered before
        if old and old != channel:
            self.tell(ChannelSwitched(old, channel, reason))

    def report_degraded(self, reason: DegradedReason, event: Degraded) -> None:
        """Tell that data may be old, unless that has been told."""
        reported, reported_s = self._degraded or (None, 0.0)
        if reported is not reason or (reason is DegradedReason.CROWDED and event.staleness_s > WORSE_BY * reported_s):
            self._degraded = reason, event.staleness_s
            self.tell(event)

    def recover(self, channel: str, *, of: frozenset[DegradedReason] = frozenset(DegradedReason)) -> None:
        """Tell that the data is no longer old for one of these reasons."""
        if self._degraded is not None and self._degraded[0] in of:
            self._degraded = None
            self.tell(Recovered(channel))

    def report_unanswered(self, waited_s: float, retry_at: float) -> None:
        """Tell, once, that the socket shows nothing of this topic."""
        self.retry = self.retry or Retry(retry_at)
        if not self.retry.is_reported:
            self.retry.is_reported = True
            self.tell(SubscriptionUnanswered(self.state.topic, waited_s, UNKNOWN_CODE))

    def refuse(self, error: MarketDataError) -> None:
        """Tell that no socket can carry this topic."""
        self.connection = None
        self.tell(SubscriptionRefused(self.state.topic, error))


class Subscriptions(dict[Topic, Subscription]):
    """All topics that a feed carries."""

    def __init__(self, on_drop: Callable[[TopicState, MarketDataError | None], None]) -> None:
        """Call ``on_drop`` with each topic that is let go, and the error that its followers get, if any."""
        super().__init__()
        self._on_drop = on_drop

    def drop(self, subscription: Subscription, error: MarketDataError | None) -> None:
        """Let go of a topic: with an error for its followers, or because nobody follows it."""
        state = subscription.state
        if self.get(state.topic) is subscription:
            del self[state.topic]
        if error is not None:
            state.subscribers.fail(error)
        self._on_drop(state, error)
