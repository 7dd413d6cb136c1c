"""Sockets are merged, and codes that have fallen silent are tried again: make before break."""

from datetime import datetime, timedelta

from attrs import define

from ....domain.backoff import Backoff
from ....domain.request import Topic
from .connection import Connection
from .connection_pool import ConnectionPool
from .feed_telemetry import FeedTelemetry
from .subscription import Subscription, Subscriptions

MAX_SOCKETS = 3
MERGE_PAUSE_S = 10.0
REFUSED_PAUSE_S = 600.0
"""A union that is refused, though its parts were not, is not tried again soon."""

OVERLAP_S = 1.0
LATEST_ARRIVAL = timedelta(seconds=0.5)
"""How far a frame can lag behind a newer one on one socket; the latest on record was 0.386 s late."""

RETRY = Backoff(first_s=60.0, longest_s=600.0)
"""Upbit says nothing about a code that it does not know: most of those that are tried again stay silent for ever."""

MAX_TIMEOUT_S = 60.0


@define(eq=False)
class Handover:
    """A socket that is to take topics over, and has to prove itself first.

    Attributes:
        caught_up_at: what the old sockets have to have delivered before they are closed.

    """

    connection: Connection
    until: float
    is_merge: bool
    complete_since: float | None = None
    caught_up_at: datetime | None = None


@define(eq=False)
class ConnectionRebalancer:
    """Keeps the sockets of a feed few, and their codes alive; to be called now and then.

    Invariant: at most one socket is on trial, so that a feed has at most one socket more than it needs.
    """

    pool: ConnectionPool
    subscriptions: Subscriptions
    telemetry: FeedTelemetry
    snapshot_timeout_s: float
    _handover: Handover | None = None
    _merge_at: float = 0.0

    def work(self, now: float) -> None:
        """Do what is due."""
        for connection in list(self.pool.connections):
            self._judge(connection, now)
        # only a refusal takes a socket away that is still on trial
        if self._handover is not None and self._handover.connection not in self.pool.connections:
            self._handover, self._merge_at = None, now + REFUSED_PAUSE_S
        if self._handover is not None and self._is_over(self._handover, now):
            self._end(self._handover)
        # after the end of a handover: the old sockets own nothing any more
        self._close_unused()
        if self.pool.has_lost_all:
            self._replace_lost()
        elif self._handover is None and self._is_crowded and now >= self._merge_at:
            self._merge(now)
        elif self._handover is None:
            self._retry(now)

    def _judge(self, connection: Connection, now: float) -> None:
        """Give up a socket that shows nothing at all; report codes of which it shows nothing."""
        timeout, waited = self.snapshot_timeout_s, now - connection.began_at
        if connection.is_open and not connection.is_proven and connection.stream is not None:
            # an exchange that is slow today is given twice as long each time
            if waited >= Backoff(first_s=timeout, longest_s=MAX_TIMEOUT_S).delay_s(connection.fruitless):
                connection.fruitless += 1
                connection.is_open = False
                connection.stream.abandon(f"nothing came within {waited:.0f} s")
        elif connection.is_proven and waited >= timeout:
            for subscription in self.pool.owned_by(connection):
                topic = subscription.topic
                if topic not in connection.seen and topic not in connection.silent and subscription.is_wanted:
                    subscription.report_unanswered(waited, now + RETRY.first_s)

    def _close_unused(self) -> None:
        """Close what carries nothing that is followed, and forget what was refused and nobody follows any more."""
        for connection in list(self.pool.connections):
            on_trial = self._handover is not None and self._handover.connection is connection
            if not on_trial and not any(subscription.is_wanted for subscription in self.pool.owned_by(connection)):
                self.pool.close(connection)
        for subscription in list(self.subscriptions.values()):
            if subscription.connection is None and not subscription.is_wanted:
                self.subscriptions.drop(subscription, None)

    def _replace_lost(self) -> None:
        """Put one socket in place of all that were lost together; what is open again already is kept."""
        self.pool.has_lost_all = False
        lost = [connection for connection in self.pool.connections if not connection.is_open]
        if len(lost) < 2:  # noqa: PLR2004 - one comes back by itself
            return
        if self._handover is not None and self._handover.connection in lost:
            self._handover = None
        wanted = [one for connection in lost for one in self.pool.owned_by(connection) if one.is_wanted]
        if wanted:
            self.pool.carry(wanted)
            self.telemetry.replaced(lost, self.pool.connections[-1])
        for connection in lost:
            self.pool.close(connection)

    @property
    def _is_crowded(self) -> bool:
        return len(self.pool.connections) > MAX_SOCKETS

    def _merge(self, now: float) -> None:
        union = {topic for topic, one in self.subscriptions.items() if one.connection is not None and one.is_wanted}
        self._merge_at = now + MERGE_PAUSE_S
        self._try(union, now, is_merge=True)

    def _retry(self, now: float) -> None:
        due: set[Topic] = set()
        for topic, subscription in self.subscriptions.items():
            retry = subscription.retry
            if retry is not None and now >= retry.at and subscription.is_wanted:
                due.add(topic)
                retry.at = now + RETRY.delay_s(retry.tries)
                retry.tries += 1
        if due:
            self._try(due, now, is_merge=False)

    def _try(self, topics: set[Topic], now: float, *, is_merge: bool) -> None:
        until = now + self.snapshot_timeout_s
        self._handover = Handover(self.pool.open(topics), until, is_merge)

    def _is_over(self, handover: Handover, now: float) -> bool:
        if now >= handover.until:
            return True
        pending = self._pending(handover)
        live = [subscription for subscription in pending if subscription.is_live]
        if not live:
            return not pending
        if not all(handover.connection.has_seen(subscription.topic) for subscription in live):
            handover.complete_since = None
            return False
        if handover.complete_since is None:
            # a frame of an old socket may lag behind the new one: it is read until it is past this instant
            position = handover.connection.position
            handover.complete_since, handover.caught_up_at = now, position and position + LATEST_ARRIVAL
        return now - handover.complete_since >= OVERLAP_S and all(_has_caught_up(one, handover) for one in live)

    def _pending(self, handover: Handover) -> list[Subscription]:
        """Return the topics that the socket on trial carries and does not own."""
        found = (self.subscriptions.get(topic) for topic in handover.connection.topics)
        return [one for one in found if one is not None and one.connection is not handover.connection]

    def _end(self, handover: Handover) -> None:
        """Let the socket take over what it shows, and what nobody shows; the rest stays where it is."""
        self._handover = None
        for subscription in self._pending(handover):
            if handover.connection.has_seen(subscription.topic):
                # the time is up, and the old socket may still hold what the new one never saw
                if not _has_caught_up(subscription, handover):
                    subscription.state.mark_suspect()
                self.pool.hand_over(subscription, handover.connection)
            elif (
                handover.is_merge
                and handover.connection.is_proven
                and subscription.connection is not None
                and not subscription.is_live
            ):
                subscription.connection = handover.connection
        if handover.is_merge:
            self._tell_merged()

    def _tell_merged(self) -> None:
        before = len(self.pool.connections) - 1
        owned = [owned for one in self.pool.connections if (owned := self.pool.owned_by(one))]
        if len(owned) < before:
            codes = sum(map(len, owned))
            self.telemetry.merged(self.pool.name, before, len(owned), codes)


def _has_caught_up(subscription: Subscription, handover: Handover) -> bool:
    """Return whether the old owner has delivered all from before the new one was complete."""
    if handover.complete_since is None:
        return False
    position = subscription.connection.position if subscription.connection is not None else None
    return position is None or handover.caught_up_at is None or position >= handover.caught_up_at
