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
from .connection_pool import Carriers
from .context import FeedRules, FeedTools
from .feed_telemetry import FeedReport
from .gap_repair import Mending
from .poller import Polling
from .rebalancer import Merging
from .rest_fallback import RestDesk
from .subscription import Serving
from .watchdog import Vigilance

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
    rules: FeedRules
    on_drop: Callable[[TopicState, MarketDataError | None], None] = _keep
    servings: dict[Topic, Serving] = field(init=False, factory=dict[Topic, Serving])
    carriers: Carriers | None = field(init=False, default=None)
    report: FeedReport = field(init=False)
    _jobs: list[Job] = field(init=False, factory=list[Job])
    _merging: Merging | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        """Put the parts together."""
        self.report = FeedReport(self.router.telemetry, self.clock)
        tools = FeedTools(
            router=self.router,
            clock=self.clock,
            server_time=self.server_time,
            rules=self.rules,
            report=self.report,
        )
        desk = None if self.rest is None else RestDesk(rest=self.rest, tools=tools, drop=self._drop)
        polling = None if desk is None else Polling(desk, self.servings, self.rules.polling_interval_s)
        if desk is not None and polling is not None:
            self._jobs += [polling.work, Mending(desk, self.servings).work]
        if self.live is not None:
            self.carriers = Carriers(
                live=self.live,
                servings=self.servings,
                tools=tools,
                stands_in="" if self.rest is None else self.rest.name,
                canary=_canary_of(self.live),
                drop=self._drop,
                on_lost=_nothing if polling is None else polling.hurry,
            )
            self._merging = Merging(self.carriers)
            if desk is not None:
                vigilance = Vigilance(desk, self.carriers, self._merging, self.servings)
                self._jobs += [vigilance.question_silence, vigilance.compare_codes]
        self.add(self.states)

    def add(self, states: Mapping[Topic, TopicState]) -> None:
        """Carry more topics; those that are carried already lose nothing."""
        now = self.clock.monotonic()
        added = {topic: Serving(state, None, now) for topic, state in states.items()}
        self.servings.update(added)
        for topic, state in states.items():
            state.audience.listeners.append(self.report.listener(topic))
        if self.carriers is not None and added:
            self.carriers.carry(added.values())

    def _drop(self, serving: Serving, error: MarketDataError | None) -> None:
        state = serving.state
        if self.servings.get(state.topic) is serving:
            del self.servings[state.topic]
        if error is not None:
            state.audience.fail(error)
        self.on_drop(state, error)

    @property
    def is_wanted(self) -> bool:
        """Whether anybody follows anything."""
        return any(serving.is_wanted for serving in self.servings.values())

    def state_of(self, topic: Topic) -> TopicState | None:
        """Return the state of a topic, if this feed carries it."""
        serving = self.servings.get(topic)
        return None if serving is None else serving.state

    def is_witnessing(self, topic: Topic) -> bool:
        """Whether a socket brings the topic now, and a frame of the last two seconds proves that it lives."""
        serving = self.servings.get(topic)
        if serving is None or serving.carrier is None or not serving.is_live:
            return False
        return serving.carrier.watch.silence_s(self.clock.monotonic()) <= STILL_WITNESSED_S

    def note_fresh(self) -> None:
        """Note that somebody else has just renewed what is delivered."""
        for serving in self.servings.values():
            serving.fresh_at = self.clock.monotonic()

    async def run(self) -> None:
        """Carry the topics until cancelled."""
        try:
            with use_call_context(CallContext(Priority.REPAIR)):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._keep_time())
                    if self._jobs:
                        tasks.create_task(self._keep_filled(tasks))
                    if self.carriers is not None:
                        self.carriers.start(tasks)
        finally:
            self.report.end()

    async def _keep_time(self) -> None:
        """Close and seal what time has decided, and look after the sockets, whatever REST is busy with."""
        while True:
            await self.clock.sleep(TICK_S)
            await self._settle()
            self.report.flush()
            if self._merging is not None:
                self._merging.work(self.clock.monotonic())

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
        for topic, serving in list(self.servings.items()):
            state = serving.state
            if not isinstance(state, CandleTopic) or state.tail.is_at_rest(server_now):
                continue
            if self.servings.get(topic) is serving:  # it may have been let go meanwhile
                self._settle_one(serving, state, server_now)
                settled += 1
                if not settled % SETTLED_A_TURN:
                    await asyncio.sleep(0)

    def _settle_one(self, serving: Serving, state: CandleTopic, server_now: datetime) -> None:
        position = serving.carrier.position if serving.carrier is not None and serving.is_live else None
        if position is not None:
            state.tail.witness(position)
        state.audience.publish(state.settle(server_now))
        self.report.measure(state)


async def _finished(job: Job) -> None:
    await job()


def _nothing() -> None:
    """Nobody has to hurry."""


def _canary_of(live: LiveChannel) -> Topic | None:
    """Return the venue's busiest book."""
    canary = live.capabilities.canary
    return Topic(DataKind.ORDERBOOK, Symbol(canary)) if canary else None
