"""Follow one request: join a feed, wait until it is live, read history, and go on from there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

from attrs import define, evolve

from ..domain.capabilities import DataKind
from ..domain.coverage import Coverage
from ..domain.events import HistoryLoaded
from ..domain.instants import EPOCH
from ..domain.ports import Clock, MarketDataRepository, ServerTime
from ..domain.request import RealtimeRequest
from ..domain.routing import RoutePlan
from ..domain.series import CandleSeries
from .fetching import check_listed
from .follower import FollowedEvents, Follower
from .hub import FeedRoute, LiveHub
from .router import SmartChannelRouter
from .topics import CandleTopic, QuoteTopic, TopicState


@define(eq=False, kw_only=True)
class Following:
    """Everything that following needs."""

    hub: LiveHub
    router: SmartChannelRouter
    repository: MarketDataRepository
    clock: Clock
    server_time: ServerTime
    capacity: int
    snapshot_timeout_s: float

    @asynccontextmanager
    async def follow(self, request: RealtimeRequest) -> AsyncGenerator[FollowedEvents]:
        """Yield the events of one request until the context ends.

        Raises:
            RequestError: the symbol is not listed, or nothing can follow this.

        """
        plan = self.router.explain(request)
        await check_listed((self.router.channels[name] for name in plan.channels), [request.symbol])
        route = FeedRoute.of(plan)
        is_candle = request.kind is DataKind.CANDLE
        follower = Follower.of(self.capacity, waits_for_history=is_candle)
        state = self.hub.join(request.topic, route, follower)
        try:
            if is_candle:
                await self._open(request, state, follower, plan)
            elif isinstance(state, QuoteTopic):
                follower.greet(state.held())
            yield FollowedEvents(follower.buffer)
        finally:
            await self.hub.leave(state, route, follower)

    async def _open(self, request: RealtimeRequest, state: TopicState, follower: Follower, plan: RoutePlan) -> None:
        """Subscribe first, read afterwards: candle frames are cumulative, so no slot can lie between."""
        await self._wait_until_live(state)
        series = await self._history(request, state, plan)
        promised_from = self._promised_from(series, state)
        tail = state.tail if isinstance(state, CandleTopic) else None
        if tail is not None and promised_from is not None:
            tail.start_at(promised_from, series[-1].source if len(series) else "")
            joint = tail.seams.newest
            series = evolve(series, seams=(*series.seams, joint) if len(series) and joint is not None else series.seams)
        held = tail.held_since(promised_from) if tail is not None and promised_from is not None else []
        follower.open(HistoryLoaded(series), promised_from, held)

    async def _wait_until_live(self, state: TopicState) -> None:
        try:
            async with asyncio.timeout(self.clock.to_real_s(self.snapshot_timeout_s)):
                await state.audience.is_live.wait()
        except TimeoutError:
            return

    async def _history(self, request: RealtimeRequest, state: TopicState, plan: RoutePlan) -> CandleSeries:
        if request.history:
            return await self.repository.get_candles(request.symbol, request.timeframe, request.history)
        at = self._promised_from(None, state) or self.server_time.earliest() or EPOCH
        venue = self.router.channels[plan.channels[0]].venue
        return CandleSeries.of(venue, request.symbol, request.timeframe, (), Coverage.nothing(at))

    def _promised_from(self, series: CandleSeries | None, state: TopicState) -> datetime | None:
        """Return the first slot that is still to be delivered FINAL."""
        if series is not None and len(series):
            open_slots = (candle.opened_at for candle in series if not candle.is_final)
            return next(open_slots, series[-1].closed_at)
        tail = state.tail if isinstance(state, CandleTopic) else None
        if tail is None or tail.frontier is None:
            return None
        return tail.frontier
