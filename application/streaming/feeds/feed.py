"""One feed: the topics of one route, carried by sockets while they live and by REST while they do not."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from attrs import define, field

from ....domain.call_context import CallContext, use_call_context
from ....domain.capabilities import DataKind
from ....domain.errors import MarketDataError
from ....domain.ports import Channel, Clock, LiveChannel, ServerTime
from ....domain.request import Topic
from ....domain.request_options import Priority
from ....domain.symbol import Symbol
from ...routing.router import SmartChannelRouter
from ..topics.candles import CandleTopic
from ..topics.topic import TopicState
from .connection_pool import ConnectionPool
from .context import FeedContext, FeedOptions
from .feed_telemetry import FeedTelemetry
from .gap_repair import GapRepair
from .poller import Poller
from .rebalancer import ConnectionRebalancer
from .rest_fallback import RestFallback
from .subscription import Subscription
from .watchdog import Watchdog

TICK_S = 0.2
STILL_WITNESSED_S = 2.0
SETTLED_A_TURN = 32
"""Codes that are settled before everybody has a turn: 3 ms, where all 855 at once take 80."""

Job = Callable[[], Awaitable[None]]


def _keep(_: TopicState, __: MarketDataError | None) -> None:
    """Do nothing: whoever owns the feed knows."""


@define(eq=False, kw_only=True)
class Feed:
    """Carries topics from ``live`` (or nobody) and ``rest`` (or nobody) to their followers.

    Topics come and go while it runs: each batch gets a socket of its own, and sockets are merged.

    Attributes:
        states: the topics to begin with.
        on_drop: told of each topic that is let go, with the error that its followers get, if any.

    """

    states: Mapping[Topic, TopicState]
    live: LiveChannel | None
    rest: Channel | None
    router: SmartChannelRouter
    clock: Clock
    server_time: ServerTime
    rules: FeedOptions
    on_drop: Callable[[TopicState, MarketDataError | None], None] = _keep
    subscriptions: dict[Topic, Subscription] = field(init=False, factory=dict[Topic, Subscription])
    pool: ConnectionPool | None = field(init=False, default=None)
    telemetry: FeedTelemetry = field(init=False)
    _jobs: list[Job] = field(init=False, factory=list[Job])
    _rebalancer: ConnectionRebalancer | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        """Put the parts together."""
        self.telemetry = FeedTelemetry(self.router.telemetry, self.clock)
        context = FeedContext(
            router=self.router,
            clock=self.clock,
            server_time=self.server_time,
            rules=self.rules,
            telemetry=self.telemetry,
        )
        rest = None if self.rest is None else RestFallback(channel=self.rest, context=context, drop=self._drop)
        poller = None if rest is None else Poller(rest, self.subscriptions, self.rules.polling_interval_s)
        if rest is not None and poller is not None:
            self._jobs += [poller.work, GapRepair(rest, self.subscriptions).work]
        if self.live is not None:
            self.pool = ConnectionPool(
                live=self.live,
                subscriptions=self.subscriptions,
                context=context,
                fallback="" if self.rest is None else self.rest.name,
                canary=_canary_of(self.live),
                drop=self._drop,
                on_lost=_nothing if poller is None else poller.poll_now,
            )
            self._rebalancer = ConnectionRebalancer(self.pool)
            if rest is not None:
                watchdog = Watchdog(rest, self.pool, self._rebalancer, self.subscriptions)
                self._jobs += [watchdog.question_silence, watchdog.compare_codes]
        self.add(self.states)

    def add(self, states: Mapping[Topic, TopicState]) -> None:
        """Carry more topics; those that are carried already lose nothing."""
        now = self.clock.monotonic()
        added = {topic: Subscription(state, None, now) for topic, state in states.items()}
        self.subscriptions.update(added)
        for topic, state in states.items():
            state.subscribers.on_event.append(self.telemetry.listener(topic))
        if self.pool is not None and added:
            self.pool.carry(added.values())

    def _drop(self, subscription: Subscription, error: MarketDataError | None) -> None:
        state = subscription.state
        if self.subscriptions.get(state.topic) is subscription:
            del self.subscriptions[state.topic]
        if error is not None:
            state.subscribers.fail(error)
        self.on_drop(state, error)

    @property
    def is_wanted(self) -> bool:
        """Whether anybody follows anything."""
        return any(subscription.is_wanted for subscription in self.subscriptions.values())

    def state_of(self, topic: Topic) -> TopicState | None:
        """Return the state of a topic, if this feed carries it."""
        subscription = self.subscriptions.get(topic)
        return None if subscription is None else subscription.state

    def is_witnessing(self, topic: Topic) -> bool:
        """Whether a socket brings the topic now, and a frame of the last two seconds proves that it lives."""
        subscription = self.subscriptions.get(topic)
        if subscription is None or subscription.connection is None or not subscription.is_live:
            return False
        return subscription.connection.detector.silence_s(self.clock.monotonic()) <= STILL_WITNESSED_S

    def note_fresh(self) -> None:
        """Note that somebody else has just renewed what is delivered."""
        for subscription in self.subscriptions.values():
            subscription.fresh_at = self.clock.monotonic()

    async def run(self) -> None:
        """Carry the topics until cancelled."""
        try:
            with use_call_context(CallContext(Priority.REPAIR)):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._keep_time())
                    if self._jobs:
                        tasks.create_task(self._keep_filled(tasks))
                    if self.pool is not None:
                        self.pool.start(tasks)
        finally:
            self.telemetry.end()

    async def _keep_time(self) -> None:
        """Close and seal what time has decided, and look after the sockets, whatever REST is busy with."""
        while True:
            await self.clock.sleep(TICK_S)
            await self._settle()
            self.telemetry.flush()
            if self._rebalancer is not None:
                self._rebalancer.work(self.clock.monotonic())

    async def _keep_filled(self, tasks: asyncio.TaskGroup) -> None:
        """Ask REST for what the streams lack, and about their silence; a slow answer to one holds up no other."""
        running: dict[Job, asyncio.Task[None]] = {}
        while True:
            await self.clock.sleep(TICK_S)
            for job in self._jobs:
                if job not in running or running[job].done():
                    running[job] = tasks.create_task(_finished(job))

    async def _settle(self) -> None:
        """Settle what is not at rest; a minute ends for all codes at once, and frames go on coming meanwhile."""
        server_now, settled = self.server_time.earliest(), 0
        if server_now is None:
            return
        for topic, subscription in list(self.subscriptions.items()):
            state = subscription.state
            if not isinstance(state, CandleTopic) or state.tracker.is_at_rest(server_now):
                continue
            if self.subscriptions.get(topic) is subscription:  # it may have been let go meanwhile
                self._settle_one(subscription, state, server_now)
                settled += 1
                if not settled % SETTLED_A_TURN:
                    await asyncio.sleep(0)

    def _settle_one(self, subscription: Subscription, state: CandleTopic, server_now: datetime) -> None:
        position = (
            subscription.connection.position if subscription.connection is not None and subscription.is_live else None
        )
        if position is not None:
            state.tracker.witness(position)
        state.subscribers.publish(state.settle(server_now))
        self.telemetry.measure(state)


async def _finished(job: Job) -> None:
    await job()


def _nothing() -> None:
    """Nobody has to hurry."""


def _canary_of(live: LiveChannel) -> Topic | None:
    """Return the venue's busiest book."""
    canary = live.capabilities.canary
    return Topic(DataKind.ORDERBOOK, Symbol(canary)) if canary else None
