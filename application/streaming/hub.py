"""Who follows what: topics are gathered into feeds, one a route, and a feed ends with its last follower."""

import asyncio
from collections.abc import Collection
from datetime import timedelta

from attrs import define, evolve, field

from ...domain.capabilities import DataKind
from ...domain.errors import ChannelError, MarketDataError
from ...domain.finality import Grace
from ...domain.ports import Channel, Clock, LiveChannel, TradeHistory
from ...domain.request import Topic
from ..cache.write_behind import WriteBehind
from ..paging.readers import TradeReader
from ..routing.channel_directory import ChannelDirectory
from ..routing.router import SmartChannelRouter
from ..runtime.tasks import TaskSupervisor, cancel_and_wait, root_cause
from .delivery.subscriber import Subscriber
from .feeds.context import FeedContext, FeedOptions
from .feeds.feed import Feed
from .feeds.feed_telemetry import FeedTelemetry
from .feeds.route import FeedRoute
from .live_view import LiveView
from .topics.aggregator import TIMEFRAMES
from .topics.candle_tracker import CandleTracker, TrackerOptions
from .topics.candles import CandleTopic
from .topics.derived_candles import REFRESH_S, DerivedCandleFeed, DerivedCandleTopic
from .topics.quotes import QuoteTopic
from .topics.topic import Subscribers, TopicState
from .topics.trades import TradeTopic

GATHER_S = 0.25
MINUTE_EVENTS = 10_000


@define(eq=False, kw_only=True)
class LiveHub:
    """All feeds of one API.

    Invariant: one topic on one route is carried by one feed, whatever the number of followers; topics
    asked for within a quarter of a second share a socket, whose subscription then never changes. What is
    derived has a feed of its own.
    """

    router: SmartChannelRouter
    clock: Clock
    directory: ChannelDirectory
    grace: Grace
    options: FeedOptions
    tasks: TaskSupervisor
    write_behind: WriteBehind
    live_view: LiveView = field(factory=LiveView)
    _tasks_of_feeds: dict[Feed, "asyncio.Task[None] | None"] = field(factory=dict[Feed, "asyncio.Task[None] | None"])
    _gathering: dict[FeedRoute, dict[Topic, TopicState]] = field(factory=dict[FeedRoute, dict[Topic, TopicState]])

    def join(self, topic: Topic, route: FeedRoute, subscriber: Subscriber) -> TopicState:
        """Add a follower, and a feed if nobody follows the topic yet."""
        state = self.live_view.states.get((route, topic))
        if state is None:
            state = self.live_view.states[route, topic] = self._new_state(topic, route)
            if route not in self._gathering:
                self._gathering[route] = {}
                self.tasks.start(self._gather(route), f"gather {route.live or route.rest}")
            self._gathering[route][topic] = state
        state.subscribers.members.add(subscriber)
        return state

    def _new_state(self, topic: Topic, route: FeedRoute) -> TopicState:
        if topic.timeframe is not None:
            grace = self.grace.of(topic.timeframe)
            options = TrackerOptions(
                timeframe=topic.timeframe, grace=grace, repair_bound=timedelta(seconds=self.options.hold_bound_s)
            )
            kind = CandleTopic if route.made_of is None else DerivedCandleTopic
            subscribers = Subscribers(
                on_event=[self.write_behind.listener(topic)], on_page=[self.write_behind.take_page]
            )
            return kind(topic, CandleTracker(options), subscribers=subscribers)
        if topic.kind is DataKind.TRADE:
            reader = TradeReader(self.clock, self.directory.server_time_of(topic.symbol.venue_prefix))
            can_fill = isinstance(self._channel(route.rest), TradeHistory)
            return TradeTopic(topic, reader, can_fill=can_fill, hold_bound_s=self.options.hold_bound_s)
        return QuoteTopic(topic)

    async def _gather(self, route: FeedRoute) -> None:
        await self.clock.sleep(GATHER_S)
        gathered = self._gathering.pop(route)
        states = {topic: state for topic, state in gathered.items() if state.subscribers.members}
        feed = next((feed for feed in self.feeds if feed.route == route), None)
        if route.made_of is not None:  # nothing of theirs is shared: each ends with its own last follower
            for topic, state in states.items():
                self.tasks.start(self._carry({topic: state}, route), f"derive {topic}")
        elif states and feed is not None:
            feed.add(states)
        elif states:
            await self._carry(states, route)

    async def _carry(self, states: dict[Topic, TopicState], route: FeedRoute) -> None:
        """Run a feed until it ends; whatever ends it, no follower is left waiting and nobody joins the dead."""
        feed: Feed | None = None
        try:
            feed = self._new_feed(states, route)
            self._tasks_of_feeds[feed] = asyncio.current_task()
            self.live_view.feeds.append(feed)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(feed.run())
                for state in states.values():
                    if isinstance(state, DerivedCandleTopic):
                        tasks.create_task(self._derive(state, feed))
        except Exception as error:  # noqa: BLE001 - a supervisor: followers must hear of any end
            carried = self._end(states, route, feed)
            cause = root_cause(error)
            for state in carried.values():
                state.subscribers.fail(_as_market_error(cause))
            if not isinstance(cause, MarketDataError):
                raise cause from None
        finally:
            self._end(states, route, feed)

    async def _derive(self, state: DerivedCandleTopic, feed: Feed) -> None:
        """Follow the minutes as any follower does, so that they are subscribed once for all."""
        route, rest = feed.route.of_what_it_is_made, feed.rest
        subscriber = Subscriber.of(MINUTE_EVENTS, waits_for_history=False)
        minutes = self.join(Topic(DataKind.CANDLE, state.topic.symbol, feed.route.made_of), route, subscriber)
        try:
            if rest is not None:
                deriving = DerivedCandleFeed(
                    topic=state,
                    minutes=minutes,
                    subscriber=subscriber,
                    rest=rest,
                    clock=self.clock,
                    server_time=feed.context.server_time,
                    timeout_s=self.options.snapshot_timeout_s,
                    settled_after=max(self.grace.of(timeframe) for timeframe in TIMEFRAMES),
                    on_minute=feed.note_fresh,
                )
                await deriving.run()
        finally:
            await self.leave(minutes, route, subscriber)

    def _new_feed(self, states: dict[Topic, TopicState], route: FeedRoute) -> Feed:
        if route.made_of is None:
            live, options = self._live(route.live), self.options
        else:
            live, options = (
                None,
                evolve(self.options, polling_interval_s=max(REFRESH_S, self.options.polling_interval_s)),
            )
        feed = Feed(
            route=route,
            live=live,
            rest=self._channel(route.rest),
            context=FeedContext(
                router=self.router,
                clock=self.clock,
                server_time=self.directory.server_time_of(next(iter(states)).symbol.venue_prefix),
                options=options,
                telemetry=FeedTelemetry(self.router.telemetry, self.clock),
            ),
            on_drop=self._drop,
        )
        feed.add(states)
        return feed

    def _live(self, name: str | None) -> LiveChannel | None:
        channel = self._channel(name)
        return channel if isinstance(channel, LiveChannel) else None

    def _channel(self, name: str | None) -> Channel | None:
        return self.router.channels[name] if name is not None else None

    def _forget(self, state: TopicState, route: FeedRoute) -> None:
        if self.live_view.states.get((route, state.topic)) is state:
            del self.live_view.states[route, state.topic]
            self._gathering.get(route, {}).pop(state.topic, None)

    def _end(self, states: dict[Topic, TopicState], route: FeedRoute, feed: Feed | None) -> dict[Topic, TopicState]:
        """Let nobody join a feed any more; answers what it carried."""
        carried = dict(states)
        if feed is not None:
            carried = {topic: subscription.state for topic, subscription in feed.subscriptions.items()}
            self.live_view.feeds[:] = [other for other in self.live_view.feeds if other is not feed]
            self._tasks_of_feeds.pop(feed, None)
        for state in carried.values():
            self._forget(state, route)
        return carried

    def _drop(self, feed: Feed, state: TopicState, error: MarketDataError | None) -> None:
        """Let go of a topic that a feed carries no more; a feed that has failed for all its followers ends."""
        self._forget(state, feed.route)
        task = self._tasks_of_feeds.get(feed)
        if error is not None and task is not None and not feed.is_wanted:
            self._end({}, feed.route, feed)
            task.cancel()

    async def leave(self, state: TopicState, route: FeedRoute, subscriber: Subscriber) -> None:
        """Remove a follower; a feed without followers ends."""
        state.subscribers.members.discard(subscriber)
        if state.subscribers.members:
            return
        feed = next((feed for feed in self.feeds if feed.state_of(state.topic) is state), None)
        if feed is None:
            self._forget(state, route)
        elif not feed.is_wanted:
            task = self._tasks_of_feeds.get(feed)
            self._end({}, route, feed)
            await cancel_and_wait(task)
        else:
            state.reset()

    @property
    def feeds(self) -> Collection[Feed]:
        """The feeds that run."""
        return self._tasks_of_feeds.keys()

    def end_all(self, error: Exception) -> None:
        """End every follower with an error, also one that waits for its first sign."""
        for state in list(self.live_view.states.values()):
            state.subscribers.fail(error)


def _as_market_error(cause: Exception) -> MarketDataError:
    if isinstance(cause, MarketDataError):
        return cause
    message = f"this stream ended by a fault of its own: {type(cause).__name__}: {cause}; follow again, and report it"
    return ChannelError(message, channel="feed", retryable=True)
