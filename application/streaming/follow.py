"""Follow one request: join a feed, wait until it is live, read history, and go on from there."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import count

from attrs import define, frozen

from ...domain.backoff import Backoff
from ...domain.capabilities import DataKind
from ...domain.coverage import Coverage
from ...domain.errors import (
    AllChannelsFailedError,
    ChannelError,
    ChannelUnavailableError,
    DeadlineExceededError,
    MarketDataError,
    QueueFullError,
    SlowConsumerError,
)
from ...domain.events import Degraded
from ...domain.ports import Channel, Clock, MarketDirectory
from ...domain.request import CandleRequest, RealtimeRequest, Topic, create_candle_request
from ...domain.routing import INCOMPLETE, STALE, RoutePlan
from ...domain.series import CandleSeries
from ...domain.telemetry_events import FollowerLost
from ...domain.timestamps import EPOCH
from ...domain.trade import Trade
from ..paging.readers import TradeReader
from ..routing.channel_directory import ChannelDirectory, are_different, check_listed, directory_among
from ..routing.router import SmartChannelRouter
from ..runtime.loop_monitor import LoopMonitor
from ..runtime.tasks import TaskSupervisor, cancel_and_wait
from .delivery.event_buffer import FollowedEvents
from .delivery.reorder_buffer import ReorderBuffer
from .delivery.subscriber import Subscriber
from .feeds.route import FeedRoute
from .hub import LiveHub
from .resume import Resumed, TradeResumption
from .topics.topic import TopicState
from .topics.trades import TradeTopic

NOT_ALL = (STALE, INCOMPLETE)
"""How the notes of an answer begin that lacks what nobody could be asked for."""


@define(eq=False, kw_only=True)
class FollowService:
    """Everything that following needs."""

    hub: LiveHub
    router: SmartChannelRouter
    history: Callable[[CandleRequest], Awaitable[CandleSeries]]
    clock: Clock
    directory: ChannelDirectory
    capacity: int
    snapshot_timeout_s: float
    monitor: LoopMonitor

    @asynccontextmanager
    async def follow(self, request: RealtimeRequest) -> AsyncGenerator[FollowedEvents]:
        """Yield the events of one request until the context ends.

        History that no channel can give now is asked for again until it comes: the follower is told
        ``Degraded``, and what happens live waits behind it.

        Raises:
            RequestError: the symbol is not listed, or nothing can follow this.

        """
        plan = self.router.explain(request)
        await check_listed(self._directory_for(request, plan), [request.symbol])
        route = FeedRoute.of(plan, {name: channel.venue for name, channel in self.router.channels.items()})
        is_candle = request.kind is DataKind.CANDLE
        is_resumed = request.resume_after is not None
        subscriber = Subscriber.of(
            self.capacity,
            waits_for_history=is_candle or is_resumed,
            on_fail=partial(self._tell_failed, request.topic),
            reorder=ReorderBuffer(request.reorder_s, self.clock) if request.reorder_s else None,
        )
        state = self.hub.join(request.topic, route, subscriber)
        resumed = _resumed(request, state, subscriber)
        try:
            async with self.monitor.watching(), self._in_order(request, subscriber):
                if is_candle:
                    attempt = partial(self._open, request, state, subscriber, plan)
                elif resumed is not None:
                    attempt = partial(self._resume, resumed, route)
                else:
                    attempt = partial(_greet, state, subscriber)
                loader = HistoryLoader(
                    subscriber=subscriber,
                    attempt=attempt,
                    channel=route.rest or plan.channels[0],
                    clock=self.clock,
                    tasks=self.hub.tasks,
                    name=f"open {request.topic}",
                )
                async with loader.retrying():
                    yield FollowedEvents(subscriber.buffer)
        finally:
            subscriber.buffer.leave()
            await self.hub.leave(state, route, subscriber)

    def _directory_for(self, request: RealtimeRequest, plan: RoutePlan) -> MarketDirectory | None:
        """Return who knows whether the symbol is listed: a channel of the plan, or of the venue that it names."""
        planned = directory_among(self.router.channels[name] for name in plan.channels)
        prefix = request.symbol.venue_prefix
        return self.directory.directory_of(prefix) if planned is None and prefix else planned

    def _tell_failed(self, topic: Topic, error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            self.router.telemetry.observe(FollowerLost(topic=topic))
            self.router.telemetry.warning("follower_too_slow", topic=str(topic), error=str(error))

    @asynccontextmanager
    async def _in_order(self, request: RealtimeRequest, subscriber: Subscriber) -> AsyncGenerator[None]:
        """Put trades in order, if that was asked for."""
        if not request.reorder_s:
            yield
            return
        task = self.hub.tasks.start(subscriber.keep_order(), f"order {request.topic}")
        try:
            yield
        finally:
            await cancel_and_wait(task)

    async def _resume(self, resumed: Resumed, route: FeedRoute) -> None:
        """Subscribe first, read afterwards: what comes live meanwhile waits."""
        await resumed.topic.subscribers.wait_until_live(self.clock.to_real_s(self.snapshot_timeout_s))
        rest = self.router.channels[route.rest] if route.rest is not None else None
        server_time = self.directory.server_time_of(resumed.topic.topic.symbol.venue_prefix)
        await TradeResumption(TradeReader(self.clock, server_time)).open(resumed, rest)

    async def _open(self, request: RealtimeRequest, state: TopicState, subscriber: Subscriber, plan: RoutePlan) -> None:
        """Subscribe first, read afterwards: candle frames are cumulative, so no slot can lie between."""
        await state.subscribers.wait_until_live(self.clock.to_real_s(self.snapshot_timeout_s))
        state.open_for(subscriber, await self._history(request, state, plan), request.first_missed)

    async def _history(self, request: RealtimeRequest, state: TopicState, plan: RoutePlan) -> CandleSeries:
        live = self.router.channels[plan.channels[0]]
        if request.history:
            asked = create_candle_request(request.symbol, request.timeframe, request.history)
            series = await self.history(asked)
            _check_complete(series, request.history, live.name)
            return _of_one_venue(series, live)
        if request.first_missed is not None:
            asked = create_candle_request(request.symbol, request.timeframe, start=request.first_missed)
            return _of_one_venue(await self.history(asked), live)
        server_time = self.directory.server_time_of(request.symbol.venue_prefix)
        at = state.frontier or server_time.earliest() or EPOCH
        return CandleSeries.of(live.venue, request.symbol, request.timeframe, (), Coverage.nothing(at))


def _check_complete(series: CandleSeries, count: int, channel: str) -> None:
    """Refuse what is less than was asked for because nobody could be asked for the rest.

    Raises:
        ChannelUnavailableError: there may be more once a channel is back.

    """
    notes = () if series.trace is None else series.trace.notes
    if len(series) < count and any(note.startswith(NOT_ALL) for note in notes):
        msg = f"{len(series)} of {count} candles of history are held, and nobody can be asked for the others"
        raise ChannelUnavailableError(msg, channel=channel)


def _of_one_venue(series: CandleSeries, live: Channel) -> CandleSeries:
    """Refuse a past of another venue than the one that is followed.

    Raises:
        ChannelUnavailableError: whoever stood in for the channels of the followed venue has answered.

    """
    if are_different(series.venue, live.venue):
        msg = f"the history that can be had now is of {series.venue}, and {live.venue} is followed"
        raise ChannelUnavailableError(msg, channel=live.name)
    return series


async def _greet(state: TopicState, subscriber: Subscriber) -> None:
    subscriber.deliver_snapshot(state.snapshot())


def _resumed(request: RealtimeRequest, state: TopicState, subscriber: Subscriber) -> Resumed | None:
    after = request.resume_after
    if not isinstance(state, TradeTopic) or not isinstance(after, Trade | int):
        return None
    return Resumed(after=after, topic=state, subscriber=subscriber, before=state.newest)


BACKOFF = Backoff(first_s=1.0, longest_s=30.0)
NOT_NOW = (AllChannelsFailedError, ChannelError, DeadlineExceededError, QueueFullError)


@frozen(eq=False, kw_only=True)
class HistoryLoader:
    """Opens one follower, and goes on trying while the channels cannot give what it is owed.

    Invariant: what comes live meanwhile waits, conflated, behind what is owed; only the state is told before.

    Attributes:
        attempt: reads what is owed and opens the follower; changes nothing when it fails.
        channel: who is asked for it.

    """

    subscriber: Subscriber
    attempt: Callable[[], Awaitable[None]]
    channel: str
    clock: Clock
    tasks: TaskSupervisor
    name: str

    @asynccontextmanager
    async def retrying(self) -> AsyncGenerator[None]:
        """Try once, and if that fails, in the background until the context ends.

        Raises:
            RequestError: what is owed cannot be asked for.

        """
        began_at = self.clock.monotonic()
        try:
            await self.attempt()
        except NOT_NOW as error:
            waited_s = self.clock.monotonic() - began_at
            reason = f"what comes before the live events cannot be read yet: {error}"
            self.subscriber.report_waiting(Degraded(self.channel, waited_s, reason))
        else:
            yield
            return
        task = self.tasks.start(self._try_again(), self.name)
        try:
            yield
        finally:
            await cancel_and_wait(task)

    async def _try_again(self) -> None:
        """Try until it succeeds, or the follower has ended for another reason."""
        for failures in count():
            await self.clock.sleep(BACKOFF.delay_s(failures))
            if self.subscriber.buffer.has_failed:
                return
            try:
                await self.attempt()
            except NOT_NOW:
                continue
            except Exception as error:  # a supervisor: the follower must hear of any end
                self.subscriber.buffer.fail(error)
                if not isinstance(error, MarketDataError):
                    raise
            return
