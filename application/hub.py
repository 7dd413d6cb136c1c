"""Who follows what: topics are gathered into feeds, and a feed ends with its last follower."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from attrs import define, field, frozen

from ..domain.capabilities import DataKind
from ..domain.finality import Grace
from ..domain.ports import Channel, Clock, LiveChannel, ServerTime
from ..domain.request import Topic
from ..domain.routing import RoutePlan, StepStatus
from ..domain.streaming import LiveValue
from .candle_tail import CandleTail, TailRules
from .feed import Feed, FeedRules
from .follower import Follower
from .router import SmartChannelRouter
from .tasks import TaskOwner, end_task
from .topics import CandleTopic, QuoteTopic, TopicState, TradeTopic

GATHER_S = 0.25


@frozen
class FeedRoute:
    """Which channel streams and which stands in; either may be missing."""

    live: str | None
    rest: str | None

    @classmethod
    def of(cls, plan: RoutePlan) -> "FeedRoute":
        """Read the route out of a plan for a live request.

        A stream that is skipped for its open circuit stays part of the route: REST stands in until it may
        be asked again.
        """
        usable = [step for step in plan.steps if step.status is not StepStatus.SKIPPED]
        skipped = [step for step in plan.steps if step.status is StepStatus.SKIPPED]
        streams = [step.channel for step in (usable[0], *skipped) if step.action == "stream"]
        polled = next((step.channel for step in usable if step.action == "poll"), None)
        return cls(streams[0] if streams else None, polled)


@define(eq=False)
class RunningFeed:
    """A feed and the task that runs it."""

    feed: Feed
    task: "asyncio.Task[None]"
    route: FeedRoute


@define(eq=False, kw_only=True)
class LiveHub:
    """All feeds of one API.

    Invariant: one topic on one route is carried by one feed, whatever the number of followers; topics
    asked for within a quarter of a second share a socket, whose subscription then never changes.
    """

    router: SmartChannelRouter
    clock: Clock
    server_time: ServerTime
    grace: Grace
    repair_bound: timedelta
    rules: FeedRules
    tasks: TaskOwner
    _states: dict[tuple[FeedRoute, Topic], TopicState] = field(factory=dict[tuple[FeedRoute, Topic], TopicState])
    _feeds: list[RunningFeed] = field(factory=list[RunningFeed])
    _gathering: dict[FeedRoute, dict[Topic, TopicState]] = field(factory=dict[FeedRoute, dict[Topic, TopicState]])

    def join(self, topic: Topic, route: FeedRoute, follower: Follower) -> TopicState:
        """Add a follower, and a feed if nobody follows the topic yet."""
        state = self._states.get((route, topic))
        if state is None:
            state = self._states[route, topic] = self._new_state(topic)
            if route not in self._gathering:
                self._gathering[route] = {}
                self.tasks.start(self._gather(route), f"gather {route.live or route.rest}")
            self._gathering[route][topic] = state
        state.audience.followers.add(follower)
        return state

    def _new_state(self, topic: Topic) -> TopicState:
        if topic.timeframe is not None:
            grace = self.grace.of(topic.timeframe)
            rules = TailRules(timeframe=topic.timeframe, grace=grace, repair_bound=self.repair_bound)
            return CandleTopic(topic, CandleTail(rules))
        return TradeTopic(topic) if topic.kind is DataKind.TRADE else QuoteTopic(topic)

    async def _gather(self, route: FeedRoute) -> None:
        await self.clock.sleep(GATHER_S)
        states = {topic: state for topic, state in self._gathering.pop(route).items() if state.audience.followers}
        if not states:
            return
        feed = Feed(
            states=states,
            live=self._live(route.live),
            rest=self._channel(route.rest),
            router=self.router,
            clock=self.clock,
            server_time=self.server_time,
            rules=self.rules,
        )
        task = self.tasks.start(feed.run(), f"feed of {len(states)} topics")
        running = RunningFeed(feed, task, route)
        self._feeds.append(running)
        task.add_done_callback(lambda _: self._forget(running))

    def _live(self, name: str | None) -> LiveChannel | None:
        channel = self._channel(name)
        return channel if isinstance(channel, LiveChannel) else None

    def _channel(self, name: str | None) -> Channel | None:
        return self.router.channels[name] if name is not None else None

    def _forget(self, running: RunningFeed) -> None:
        if running in self._feeds:
            self._feeds.remove(running)
        for topic, state in running.feed.states.items():
            if self._states.get((running.route, topic)) is state:
                del self._states[running.route, topic]

    async def leave(self, state: TopicState, route: FeedRoute, follower: Follower) -> None:
        """Remove a follower; a feed without followers ends."""
        state.audience.followers.discard(follower)
        if state.audience.followers:
            return
        running = next((feed for feed in self._feeds if state in feed.feed.states.values()), None)
        if running is None:
            self._gathering.get(route, {}).pop(state.topic, None)
            self._states.pop((route, state.topic), None)
        elif not any(other.audience.followers for other in running.feed.states.values()):
            self._forget(running)
            await end_task(running.task)

    def followed(self, channel: str) -> frozenset[str]:
        """Return the topics that a channel delivers live now, as text."""
        return frozenset(
            str(topic)
            for running in self._feeds
            if running.route.live == channel and running.feed.is_delivering_live
            for topic, state in running.feed.states.items()
            if state.newest is not None
        )

    def newest(self, channel: str, topic: Topic) -> LiveValue | None:
        """Return the newest value of a topic that a channel delivers live now."""
        for running in self._feeds:
            state = running.feed.states.get(topic)
            if state is not None and running.route.live == channel and running.feed.is_delivering_live:
                return state.newest
        return None

    def each_follower(self, act: Callable[[Follower], None]) -> None:
        """Do something with every follower."""
        for state in list(self._states.values()):
            for follower in list(state.audience.followers):
                act(follower)
