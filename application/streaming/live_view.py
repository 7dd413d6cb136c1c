"""What streams deliver now, for whoever plans or answers: made before the hub, which registers its topics here."""

import asyncio
from collections.abc import Mapping

from attrs import define, field, frozen

from ...domain.capabilities import DataKind
from ...domain.events import MarketEvent
from ...domain.ledger import SeriesKey
from ...domain.ports import Logger
from ...domain.request import Topic
from ...domain.routing import POLL, REFRESH, STREAM, RoutePlan, StepStatus
from ...domain.series import CandleSeries
from ...domain.streaming import LiveValue
from ...domain.timeframe import Timeframe
from ..routing.channel_directory import are_different
from ..runtime.telemetry import NullLogger
from .feeds.feed import Feed
from .topics.candles import CandleTopic
from .topics.topic import TopicState


@frozen
class FeedRoute:
    """Which channel streams and which stands in; either may be missing.

    Attributes:
        made_of: the timeframe that is streamed instead, where the followed one is derived from it.

    """

    live: str | None
    rest: str | None
    made_of: Timeframe | None = None

    @classmethod
    def of(cls, plan: RoutePlan, directory: Mapping[str, str] | None = None) -> "FeedRoute":
        """Read the route out of a plan for a live request; ``directory`` tells whose data each channel brings.

        What stands in for a stream is of the same venue: one series never mixes venues.
        What is skipped for its open circuit stays part of the route: a stream is opened once it may be
        asked again, and a follower lives longer than a circuit.
        """
        usable = [step for step in plan.steps if step.status is not StepStatus.SKIPPED]
        skipped = [step for step in plan.steps if step.status is StepStatus.SKIPPED]
        derived = next((step for step in plan.steps if step.action.startswith(f"{STREAM} ")), None)
        if derived is not None:
            refreshed = next((step.channel for step in (*usable, *skipped) if step.action == REFRESH), None)
            return cls(derived.channel, refreshed, Timeframe(derived.action.removeprefix(f"{STREAM} ")))
        streams = [step.channel for step in (usable[0], *skipped) if step.action == STREAM]
        polled = [step.channel for step in (*usable, *skipped) if step.action == POLL]
        if streams and directory is not None:
            polled = [name for name in polled if not are_different(directory[name], directory[streams[0]])]
        return cls(streams[0] if streams else None, polled[0] if polled else None)

    @property
    def of_what_it_is_made(self) -> "FeedRoute":
        """The route of the timeframe that is streamed, the same for whoever follows that one itself."""
        return FeedRoute(self.live, self.rest)


@define(eq=False)
class RunningFeed:
    """A feed and the task that runs it."""

    feed: Feed
    route: FeedRoute
    task: "asyncio.Task[None] | None" = field(factory=asyncio.current_task)


@define(eq=False)
class LiveView:
    """The topics that are followed and the feeds that carry them, by route.

    Attributes:
        states: every topic that somebody follows.
        feeds: the feeds that run.
        logger: is told when the past of a series has changed.

    """

    states: dict[tuple[FeedRoute, Topic], TopicState] = field(factory=dict[tuple[FeedRoute, Topic], TopicState])
    feeds: list[RunningFeed] = field(factory=list[RunningFeed])
    logger: Logger = field(factory=NullLogger)

    def followed(self, channel: str) -> frozenset[str]:
        """Return the topics that a channel delivers live now, as text."""
        return frozenset(
            str(topic)
            for running in self.feeds
            if running.route.live == channel
            for topic, subscription in running.feed.subscriptions.items()
            if subscription.state.newest is not None and running.feed.is_witnessing(topic)
        )

    def newest(self, channel: str, topic: Topic) -> LiveValue | None:
        """Return the newest value of a topic that a channel delivers live now."""
        for running in self.feeds:
            state = running.feed.state_of(topic)
            if state is not None and running.route.live == channel and running.feed.is_witnessing(topic):
                return state.newest
        return None

    def tip_of(self, key: SeriesKey) -> CandleSeries | None:
        """Return the slots that a live stream holds open now, or None where none is witnessed.

        The question begins where everything before has been delivered FINAL or is known to be empty.
        """
        state = self.witnessed(key)
        return None if state is None else state.tip()

    def witnessed(self, key: SeriesKey) -> CandleTopic | None:
        """Return what a live stream delivers of a series now, or None where none is witnessed."""
        if not self.feeds:
            return None
        topic = Topic(DataKind.CANDLE, key.symbol, key.timeframe)
        for running in self.feeds:
            state = running.feed.state_of(topic)
            if not isinstance(state, CandleTopic) or not running.feed.is_witnessing(topic) or state.newest is None:
                continue
            if state.newest.venue == key.venue:
                return state
        return None

    def remove(self, running: RunningFeed) -> None:
        """Let nobody see a feed any more."""
        self.feeds = [feed for feed in self.feeds if feed is not running]

    def publish(self, key: SeriesKey, event: MarketEvent) -> None:
        """Tell the followers of a series, on whatever route, that its past has changed."""
        self.logger.warning("history_changed", series=str(key), change=type(event).__name__)
        topic = Topic(DataKind.CANDLE, key.symbol, key.timeframe)
        for (_, followed), state in list(self.states.items()):
            if followed == topic:
                state.subscribers.publish((event,))
