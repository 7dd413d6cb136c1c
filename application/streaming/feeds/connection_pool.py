"""The sockets of one feed: opened, read, lost; whose frames count for a topic is decided here.

Invariants:
    A topic has at most one owner among the sockets. Only the owner's frames witness anything; what another
    socket brings of the topic meanwhile is delivered, too, and proves nothing.
    A topic changes its owner only when the owner does not show it, or when the new owner has shown it for
    so long that the old one has delivered everything from before the new one began.
    A socket is closed only when it owns nothing that is followed.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Protocol

from attrs import define, field

from ....domain.backoff import Backoff
from ....domain.errors import ChannelError, ChannelUnavailableError, RequestError
from ....domain.events import Degraded, ItemRejected
from ....domain.ports import LiveChannel, ReadyStream
from ....domain.request import Topic
from ....domain.streaming import LifeBegan, LifeEnded, LiveValue, Rejected, StreamItem
from .batching import Batch, LoopYield, batch_by_topic
from .connection import Connection
from .context import FeedContext
from .stall_detector import StallDetector
from .subscription import DegradedReason, Retry, Subscription, Subscriptions

BACKOFF = Backoff(first_s=1.0, longest_s=30.0)
_value_of = attrgetter("value")


class Fallback(Protocol):
    """Whoever serves what no socket does."""

    @property
    def name(self) -> str:
        """The channel that is asked."""
        ...

    def poll_now(self) -> None:
        """Ask at once: something has just lost its socket."""
        ...


@define(eq=False)
class ConnectionPool:
    """All sockets of a feed, and the reading of each.

    Attributes:
        fallback: who serves what no socket does; None for nobody.
        has_lost_all: set when the last socket that delivered is lost, until somebody has seen to it.

    """

    live: LiveChannel
    subscriptions: Subscriptions
    context: FeedContext
    canary: Topic | None
    fallback: Fallback | None
    connections: list[Connection] = field(init=False, factory=list[Connection])
    has_lost_all: bool = field(init=False, default=False)
    _group: asyncio.TaskGroup | None = field(init=False, default=None)

    @property
    def name(self) -> str:
        """The channel whose sockets these are."""
        return self.live.name

    def start(self, group: asyncio.TaskGroup) -> None:
        """Read from now on, in tasks of ``group``."""
        self._group = group
        for connection in self.connections:
            connection.task = group.create_task(self._run(connection))

    def open(self, topics: Iterable[Topic]) -> Connection:
        """Open a socket of its own for these topics; it owns none of them yet."""
        detector = StallDetector(self.context.options.stall_after_s)
        connection = Connection(frozenset(topics), self.canary, detector, began_at=self.context.clock.monotonic())
        self.connections.append(connection)
        if self._group is not None:
            connection.task = self._group.create_task(self._run(connection))
        return connection

    def carry(self, subscriptions: Iterable[Subscription]) -> None:
        """Open a socket that owns these topics."""
        owned = list(subscriptions)
        connection = self.open(subscription.topic for subscription in owned)
        for subscription in owned:
            subscription.connection = connection

    def owned_by(self, connection: Connection) -> list[Subscription]:
        """Return the topics whose frames count when this socket brings them."""
        return [subscription for subscription in self.subscriptions.values() if subscription.connection is connection]

    def close(self, connection: Connection) -> None:
        """Close a socket; what it owned and nobody follows is let go."""
        self.connections.remove(connection)
        self.context.telemetry.closed(connection)
        if connection.task is not None:
            connection.task.cancel()
        for subscription in self.owned_by(connection):
            self.subscriptions.drop(subscription, None)

    async def _run(self, connection: Connection) -> None:
        failures = 0
        while True:
            await self._wait_for_circuit(connection)
            try:
                await self._read(connection)
            except (ChannelError, RequestError) as error:
                if isinstance(error, RequestError) or not error.retryable:
                    self._refuse(connection, error)
                    return
                # one that has delivered was cut, and may be back at once; one that never has is in no hurry
                failures = 0 if connection.is_proven else failures + 1
                self._lose(connection, str(error))
            await self.context.clock.sleep(BACKOFF.delay_s(failures))

    async def _wait_for_circuit(self, connection: Connection) -> None:
        # a connect while the circuit is open would only tell once more that the channel is dead
        while not self.context.router.is_usable(self.live.name):
            connection.is_waiting = True
            await self.context.clock.sleep(self.context.options.polling_interval_s)
        connection.is_waiting = False

    async def _read(self, connection: Connection) -> None:
        async with self.live.open_stream(connection.topics, canary=self.canary) as stream:
            connection.stream = stream
            # what was read together is taken without a turn of the loop for each frame, which takes 10 us and more
            ready = stream.ready if isinstance(stream, ReadyStream) else tuple[StreamItem]
            in_a_row, read_at, most_in_a_row, loop_yield = 0, 0.0, self.context.options.frames_in_a_row, LoopYield()
            async for first in stream:
                for batch in batch_by_topic(chain((first,), ready()), most_in_a_row):
                    if not isinstance(batch, list):
                        self._apply(connection, batch)
                        continue
                    in_a_row += len(batch)
                    if batch[0].received_at != read_at or in_a_row > most_in_a_row:
                        read_at, in_a_row = batch[0].received_at, len(batch)
                        await loop_yield.run_woken()  # followers have what came before, however much came at once
                    else:
                        loop_yield.note_wakeup()  # a stranger's stream may wait amid a reading, and end all turns
                    self._receive(connection, batch)
        msg = "the stream ended by itself"
        raise ChannelUnavailableError(msg, channel=self.live.name)

    def _apply(self, connection: Connection, item: LifeBegan | LifeEnded | Rejected) -> None:
        match item:
            case LifeBegan():
                connection.begin_life(self.context.clock.monotonic())
                self.context.telemetry.life_began(connection, self.live.name)
                for subscription in self.owned_by(connection):
                    subscription.state.begin_life()
            case LifeEnded():
                self._lose(connection, item.cause)
            case Rejected():
                self.context.router.count_rejected(self.live.name)
                for subscription in self.owned_by(connection):
                    if item.topic in {None, subscription.topic}:
                        subscription.tell(ItemRejected(self.live.name, item.reason, item.excerpt))
                        subscription.state.mark_suspect()

    def _receive(self, connection: Connection, batch: Batch) -> None:
        topic, read_at, values = batch[0].topic, batch[0].received_at, [*map(_value_of, batch)]
        # once a reading: silence, health and the server's time are the same for all of its frames
        may_have_lost = self._on_read(connection, read_at) if read_at != connection.read_at else False
        if connection.on_canary(topic, values) or may_have_lost:
            # before these frames count: what they follow may have a hole
            for subscription in self.owned_by(connection):
                subscription.state.mark_suspect()
        connection.advance(values)
        subscription = self.subscriptions.get(topic)
        # the canary comes on every socket, and may be followed on another one
        if subscription is not None and (subscription.connection is connection or topic in connection.topics):
            is_first = connection.record(topic, values)
            self._deliver(subscription, connection, values, read_at, is_first=is_first)

    def _on_read(self, connection: Connection, read_at: float) -> bool:
        """Learn from a reading that the socket lives; return whether something before it may be missing."""
        connection.read_at, connection.latest = read_at, self.context.server_time.latest(read_at)
        was_proven = connection.is_proven
        may_have_lost = connection.on_read(read_at)
        if not was_proven:
            self.context.router.record(self.live.name, connection.began_at, success=True)
            self.context.telemetry.life_proven(connection, self.live.name)
        return was_proven and may_have_lost

    def _deliver(
        self,
        subscription: Subscription,
        connection: Connection,
        values: Sequence[LiveValue],
        read_at: float,
        *,
        is_first: bool,
    ) -> None:
        state, subscribers = subscription.state, subscription.subscribers
        is_wanted = subscribers.members or state.applies_unfollowed
        if subscription.connection is not connection and subscription.is_live:
            # make before break: two sockets bring it, and only the owner's frames prove anything
            subscribers.publish(state.apply_from_standby(*values) if is_wanted else (), read_at)
            return
        if subscription.connection is not connection or is_first:
            subscription.connection = connection
            self._begin(subscription)
        subscription.fresh_at = read_at
        subscribers.publish(state.apply(*values) if is_wanted else (), read_at)
        subscribers.is_live.set()

    def _begin(self, subscription: Subscription) -> None:
        """Take a topic over from whoever stood in: this is its first frame of the owner's life."""
        # before its first frame is applied: the life before proves nothing about this one
        subscription.state.begin_life()
        subscription.retry = None
        subscription.deliver_from(self.live.name, "the stream is up")
        subscription.recover(self.live.name)

    def hand_over(self, subscription: Subscription, connection: Connection) -> None:
        """Go over to another socket without a break: it has shown the topic since before now."""
        snapshot = connection.seen[subscription.topic]
        subscription.connection = connection
        subscription.state.hand_over(snapshot.first, snapshot.newest)

    def _lose(self, connection: Connection, cause: str) -> None:
        if self._tells_of_channel(connection):
            self.context.router.record(self.live.name, connection.began_at, success=False, error=cause)
        self.context.telemetry.life_lost(connection, self.live.name, cause)
        was_proven = connection.is_proven
        connection.end_life()
        for subscription in self.owned_by(connection):
            subscription.fresh_at = max(subscription.fresh_at, connection.detector.last_read_at)
            heir = next((other for other in self.connections if other.has_seen(subscription.topic)), None)
            if heir is None:
                self._fall_back(subscription, cause)
            else:
                # the heir may lack what was still on its way on the lost one
                subscription.state.mark_suspect()
                self.hand_over(subscription, heir)
        if was_proven:
            # sockets that fall together come back as one, which the rebalancer sees to at its next turn
            self.has_lost_all = not any(other.is_proven for other in self.connections)
            self._poll_now()

    def _poll_now(self) -> None:
        """Let REST go first: something has just lost its socket."""
        if self.fallback is not None:
            self.fallback.poll_now()

    def _tells_of_channel(self, connection: Connection) -> bool:
        """Return whether a loss is one of the channel: sockets that fall together are one incident, not several.

        Of those that delivered the last one counts; of those that try to come back, the first.
        """
        if connection.is_proven:
            return not any(other.is_proven for other in self.connections if other is not connection)
        return connection is next((one for one in self.connections if not one.is_proven), connection)

    def _fall_back(self, subscription: Subscription, cause: str) -> None:
        subscription.state.end_life()
        if self.fallback is not None:
            subscription.deliver_from(self.fallback.name, cause)
        else:
            staleness = self.context.clock.monotonic() - subscription.fresh_at
            subscription.report_degraded(DegradedReason.UNREACHABLE, Degraded(self.live.name, staleness, cause))

    def forget_canary(self) -> None:
        """Question no silence any more: REST does not know the canary."""
        self.canary = None
        for connection in self.connections:
            connection.canary = None

    def mark_silent(self, subscription: Subscription, cause: str) -> None:
        """Count a topic as dead on its socket, which goes on for the others."""
        if subscription.connection is not None:
            subscription.connection.mark_silent(subscription.topic)
            self._fall_back(subscription, cause)
            self._poll_now()

    def resubscribe(self, subscription: Subscription, cause: str, now: float) -> None:
        """Have a code that is dead on its socket subscribed once more; REST serves it until it speaks."""
        self.mark_silent(subscription, cause)
        self.context.telemetry.code_silent(subscription.topic, cause)
        subscription.retry = subscription.retry or Retry(now)

    def _refuse(self, connection: Connection, error: ChannelError | RequestError) -> None:
        """Find the guilty topic by halving: an error frame does not name it. Costs at most two connects a topic."""
        self.context.router.record(self.live.name, connection.began_at, success=False, error=error)
        self.context.telemetry.closed(connection)
        connection.end_life()
        owned = self.owned_by(connection)
        # halves get sockets of their own: a subscription is never changed while its socket lives
        self.connections.remove(connection)
        if len(owned) == 1:
            self._exclude(owned[0], error)
        elif owned:
            for subscription in owned:
                self._fall_back(subscription, str(error))
            owned.sort(key=lambda subscription: str(subscription.topic))
            self.carry(owned[: len(owned) // 2])
            self.carry(owned[len(owned) // 2 :])
        self._poll_now()

    def _exclude(self, subscription: Subscription, error: ChannelError | RequestError) -> None:
        self.context.telemetry.refused(subscription.topic, error)
        if self.fallback is None:
            self.subscriptions.drop(subscription, error)
            return
        subscription.refuse(error)
        self._fall_back(subscription, str(error))
