"""Takes the pulse: what the queue, the feeds, the budget and the channels look like now."""

from collections.abc import Collection, Iterator

from ..domain.ports import BudgetedChannel
from ..domain.status import Status, StreamStatus
from .routing.router import SmartChannelRouter
from .scheduling.request_queue import DataRequestQueue
from .streaming.feeds.feed import Feed
from .streaming.feeds.subscription import Subscription


def current_status(queue: DataRequestQueue, feeds: Collection[Feed], router: SmartChannelRouter) -> Status:
    """Return a snapshot; asks nobody and changes nothing."""
    sockets = {name: 0 for name, channel in router.channels.items() if channel.capabilities.follows}
    for feed in feeds:
        if feed.pool is not None:
            sockets[feed.pool.name] += sum(connection.is_open for connection in feed.pool.connections)
    return Status(
        queued=queue.depth(),
        in_service=queue.in_service,
        streams=tuple(stream for feed in feeds for stream in _streams(feed)),
        sockets=sockets,
        headroom={
            name: dict(channel.headroom())
            for name, channel in router.channels.items()
            if isinstance(channel, BudgetedChannel)
        },
        health=router.channel_health(),
    )


def _streams(feed: Feed) -> Iterator[StreamStatus]:
    now = feed.context.clock.monotonic()
    for subscription in list(feed.subscriptions.values()):
        yield StreamStatus(
            topic=subscription.topic,
            channel=subscription.channel,
            is_live=subscription.is_live,
            staleness_s=_staleness_s(subscription, now),
            followers=len(subscription.subscribers.members),
            completeness=feed.context.telemetry.completeness(subscription.state),
        )


def _staleness_s(subscription: Subscription, now: float) -> float:
    """Return how long ago anything proved the data to be fresh: a quiet pair on a living socket is not stale."""
    since = now - subscription.fresh_at
    if subscription.connection is not None and subscription.is_live:
        since = min(since, subscription.connection.detector.silence_s(now))
    return max(0.0, since)
