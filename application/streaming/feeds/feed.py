"""One feed: the topics of one route, carried by sockets while they live and by REST while they do not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial

from attrs import define, field

from ....domain.call_context import CallContext, use_call_context
from ....domain.capabilities import DataKind
from ....domain.errors import MarketDataError
from ....domain.ports import Channel, LiveChannel
from ....domain.request import Topic
from ....domain.request_options import Priority
from ....domain.symbol import Symbol
from ..topics.topic import TopicState
from .connection_pool import ConnectionPool
from .context import FeedContext
from .gap_repair import GapRepair
from .poller import Poller
from .rebalancer import ConnectionRebalancer
from .rest_fallback import RestFallback
from .route import FeedRoute
from .subscription import Subscription, Subscriptions
from .watchdog import Watchdog

TICK_S = 0.2
STILL_WITNESSED_S = 2.0
SETTLED_A_TURN = 32
"""Codes that are settled before everybody has a turn: 3 ms, where all 855 at once take 80."""

Job = Callable[[], Awaitable[None]]


@define(eq=False, kw_only=True)
class Feed:
    """Carries topics from ``live`` (or nobody) and ``rest`` (or nobody) to their followers.

    Topics come and go while it runs: each batch gets a socket of its own, and sockets are merged.

    Attributes:
        on_drop: called with each topic that is let go, and the error that its followers get, if any.

    """

    route: FeedRoute
    live: LiveChannel | None
    rest: Channel | None
    context: FeedContext
    on_drop: Callable[["Feed", TopicState, MarketDataError | None], None]
    subscriptions: Subscriptions = field(init=False)
    pool: ConnectionPool | None = field(init=False, default=None)
    _jobs: list[Job] = field(init=False, factory=list[Job])
    _rebalancer: ConnectionRebalancer | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        """Put the parts together."""
        self.subscriptions = Subscriptions(partial(self.on_drop, self))
        poller = None if self.rest is None else self._new_poller(self.rest)
        if self.live is not None:
            self._open_pool(self.live, poller)

    def _new_poller(self, rest: Channel) -> Poller:
        clock, options = self.context.clock, self.context.options
        fallback = RestFallback(rest, self.context.router, clock, self.subscriptions)
        poller = Poller(fallback, clock, self.subscriptions, options.polling_interval_s, options.snapshot_timeout_s)
        repair = GapRepair(fallback, clock, self.context.server_time, self.subscriptions)
        self._jobs += [poller.work, repair.work]
        return poller

    def _open_pool(self, live: LiveChannel, poller: Poller | None) -> None:
        telemetry, timeout_s = self.context.telemetry, self.context.options.snapshot_timeout_s
        self.pool = ConnectionPool(live, self.subscriptions, self.context, _canary_of(live), fallback=poller)
        self._rebalancer = ConnectionRebalancer(self.pool, self.subscriptions, telemetry, timeout_s)
        if self.rest is not None:
            watchdog = Watchdog(self.rest, self.context.clock, telemetry, self.pool, self.subscriptions)
            self._jobs += [watchdog.question_silence, watchdog.compare_codes]

    def add(self, states: Mapping[Topic, TopicState]) -> None:
        """Carry more topics; those that are carried already lose nothing."""
        now = self.context.clock.monotonic()
        added = {topic: Subscription(state, None, now) for topic, state in states.items()}
        self.subscriptions.update(added)
        for topic, state in states.items():
            state.subscribers.on_event.append(self.context.telemetry.listener(topic))
        if self.pool is not None and added:
            self.pool.carry(added.values())

    @property
    def is_wanted(self) -> bool:
        """Whether anybody follows anything."""
        return any(subscription.is_wanted for subscription in self.subscriptions.values())

    @property
    def topics(self) -> Iterable[Topic]:
        """What it carries."""
        return self.subscriptions.keys()

    def state_of(self, topic: Topic) -> TopicState | None:
        """Return the state of a topic, if this feed carries it."""
        subscription = self.subscriptions.get(topic)
        return None if subscription is None else subscription.state

    def is_witnessing(self, topic: Topic) -> bool:
        """Whether a socket brings the topic now, and a frame of the last two seconds proves that it lives."""
        subscription = self.subscriptions.get(topic)
        if subscription is None or subscription.connection is None or not subscription.is_live:
            return False
        return subscription.connection.detector.silence_s(self.context.clock.monotonic()) <= STILL_WITNESSED_S

    def note_fresh(self) -> None:
        """Note that somebody else has just renewed what is delivered."""
        for subscription in self.subscriptions.values():
            subscription.fresh_at = self.context.clock.monotonic()

    async def run(self) -> None:
        """Carry the topics until cancelled."""
        try:
            # all that a feed asks goes before anybody's questions, but for polling
            with use_call_context(CallContext(Priority.REPAIR)):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._keep_time())
                    if self._jobs:
                        tasks.create_task(self._keep_filled(tasks))
                    if self.pool is not None:
                        self.pool.start(tasks)
        finally:
            self.context.telemetry.end()

    async def _keep_time(self) -> None:
        """Close and seal what time has decided, and look after the sockets, whatever REST is busy with."""
        while True:
            await self.context.clock.sleep(TICK_S)
            await self._settle()
            self.context.telemetry.flush()
            if self._rebalancer is not None:
                self._rebalancer.work(self.context.clock.monotonic())

    async def _keep_filled(self, tasks: asyncio.TaskGroup) -> None:
        """Ask REST for what the streams lack, and about their silence; a slow answer to one holds up no other."""
        running: dict[Job, asyncio.Task[None]] = {}
        while True:
            await self.context.clock.sleep(TICK_S)
            for job in self._jobs:
                # a job that still waits for REST is not started twice
                if job not in running or running[job].done():
                    running[job] = tasks.create_task(_finished(job))

    async def _settle(self) -> None:
        """Settle what is not at rest; a minute ends for all codes at once, and frames go on coming meanwhile."""
        server_now, settled = self.context.server_time.earliest(), 0
        if server_now is None:
            return
        # a copy: frames, and with them drops, go on between two codes
        for topic, subscription in list(self.subscriptions.items()):
            if subscription.state.is_at_rest(server_now):
                continue
            if self.subscriptions.get(topic) is subscription:  # it may have been let go meanwhile
                self._settle_one(subscription, server_now)
                settled += 1
                if not settled % SETTLED_A_TURN:
                    await asyncio.sleep(0)

    def _settle_one(self, subscription: Subscription, server_now: datetime) -> None:
        state, connection = subscription.state, subscription.connection
        position = connection.position if connection is not None and subscription.is_live else None
        subscription.subscribers.publish(state.settle(server_now, position))
        self.context.telemetry.measure(state)


async def _finished(job: Job) -> None:
    await job()


def _canary_of(live: LiveChannel) -> Topic | None:
    """Return the venue's busiest book."""
    canary = live.capabilities.canary
    return Topic(DataKind.ORDERBOOK, Symbol(canary)) if canary else None
