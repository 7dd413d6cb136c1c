"""UnifiedMarketDataAPI: the one object that a user holds."""

import asyncio
import uuid
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import date, datetime, timedelta
from typing import Any, Self, TypeVar, overload

from attrs import evolve, frozen

from ..domain.coverage_report import CoverageReport
from ..domain.errors import ClosedError, UnsupportedRequestError
from ..domain.events import RequestFailed
from ..domain.finality import Grace
from ..domain.ledger import HeldSeries
from ..domain.market import Market
from ..domain.orderbook import OrderBook
from ..domain.ports import Channel, Clock, RoutingPolicy, ServerTime
from ..domain.request import (
    AnyRequest,
    CandleRequest,
    OrderBookRequest,
    RealtimeRequest,
    TickerRequest,
    TradesRequest,
    create_candle_request,
)
from ..domain.routing import ChannelHealth, RoutePlan, TracedList
from ..domain.series import CandleSeries
from ..domain.status import Status
from ..domain.ticker import Ticker
from ..domain.trade import Trade
from .archive.audit import AuditReport
from .archive.series_download import Downloaded, Progress
from .callbacks import Callback
from .composition import Archive
from .requests.answer_cache import LiveAnswers
from .requests.service import Answering
from .routing.channel_directory import Venues
from .routing.router import SmartChannelRouter
from .runtime.loop_monitor import LoopMonitor
from .runtime.tasks import TaskSupervisor, cancel_and_wait, spawn_shutdown
from .runtime.telemetry import Telemetry
from .scheduling.request_queue import DataRequestQueue
from .status import current_status
from .streaming.delivery.event_buffer import FollowedEvents
from .streaming.delivery.subscriber import closed_stream_error
from .streaming.feeds.context import FRAMES_IN_A_ROW, FeedOptions
from .streaming.follow import Following
from .streaming.hub import LiveHub


class ShortQuestions:
    """Asks by symbol what ``request_data_sync`` asks by request."""

    @overload
    async def request_data_sync(self, request: CandleRequest) -> CandleSeries: ...
    @overload
    async def request_data_sync(self, request: TickerRequest) -> list[Ticker]: ...
    @overload
    async def request_data_sync(self, request: OrderBookRequest) -> OrderBook: ...
    @overload
    async def request_data_sync(self, request: TradesRequest) -> list[Trade]: ...
    @abstractmethod
    async def request_data_sync(
        self, request: CandleRequest | TickerRequest | OrderBookRequest | TradesRequest
    ) -> CandleSeries | list[Ticker] | OrderBook | list[Trade]:
        """Wait for the whole answer."""

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return candles; see :func:`create_candle_request` for the meanings of count, start and end."""
        return await self.request_data_sync(create_candle_request(symbol, timeframe, count, start=start, end=end))

    async def get_ticker(self, symbol: str) -> Ticker:
        """Return the newest ticker of a symbol."""
        found = await self.get_tickers([symbol])
        return evolve(found[0], trace=found.trace if isinstance(found, TracedList) else None)

    async def get_tickers(self, symbols: Sequence[str]) -> list[Ticker]:
        """Return the newest tickers in the order of ``symbols``."""
        return await self.request_data_sync(TickerRequest(symbols=symbols))

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Return the newest book, at most ``depth`` levels a side."""
        return await self.request_data_sync(OrderBookRequest(symbol=symbol, depth=depth))

    async def get_trades(self, symbol: str, count: int = 100) -> list[Trade]:
        """Return the newest trades, oldest first."""
        return await self.request_data_sync(TradesRequest(symbol=symbol, count=count))


class HeldCandles:
    """Surveys, fills and checks the candles that outlive a request."""

    _archive: Archive

    @abstractmethod
    def _check_open(self) -> None: ...

    async def coverage(
        self, symbol: str, timeframe: str = "1m", *, start: datetime | None = None, end: datetime | None = None
    ) -> CoverageReport:
        """Return what is held of a series, with the reason of every slot that has no candle; asks nobody."""
        self._check_open()
        return await self._archive.library.coverage(symbol, timeframe, start, end)

    async def download(
        self,
        symbols: Sequence[str],
        timeframe: str = "1m",
        *,
        start: datetime,
        end: datetime | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> list[Downloaded]:
        """Fill the store with ``[start, end)`` of several series; what is held already is not asked for.

        Interrupted anywhere, the same call goes on where it stopped. Without ``end``: as far as candles are final.
        """
        self._check_open()
        return await self._archive.filler.download(symbols, timeframe, (start, end), on_progress)

    def held_parts(
        self, symbol: str, timeframe: str, *, start: datetime, end: datetime
    ) -> AsyncGenerator[CandleSeries]:
        """Yield what is held of a range, oldest first, in parts of bounded size; asks nobody."""
        self._check_open()
        return self._archive.library.parts(symbol, timeframe, start, end)

    async def audit(self, symbol: str, day: date, *, repair: bool = False) -> AuditReport:
        """Compare a UTC day's minutes with its hours and its day candle.

        What is not held is fetched. With ``repair``, what differs is read anew.
        """
        self._check_open()
        return await self._archive.auditor.audit(symbol, day, repair=repair)

    async def inventory(self) -> Sequence[HeldSeries]:
        """Return every series that is held, of whatever venue; what was set aside comes last."""
        self._check_open()
        return await self._archive.library.store.inventory()


Answer = TypeVar("Answer")


@frozen(kw_only=True)
class ApiRules:
    """Everything about the API that settings decide; seconds are market seconds."""

    cool_down_s: float
    queue_capacity: int
    queue_concurrency: int
    event_capacity: int
    polling_interval_s: float
    snapshot_timeout_s: float
    repair_bound_s: float
    stall_after_s: float
    grace: Grace


class UnifiedMarketDataAPI(ShortQuestions, HeldCandles):
    """Market data through one object: it chooses the channel, keeps the limits, and explains itself.

    Use it inside one event loop. After ``close`` every call raises ``ClosedError``.

    Attributes:
        metrics_address: where its metrics can be read; empty where they are not served.

    """

    def __init__(  # noqa: PLR0917 - the container injects by position
        self,
        channels: Mapping[str, Channel],
        policy: RoutingPolicy,
        rules: ApiRules,
        clock: Clock,
        times: Callable[[str], ServerTime],
        telemetry: Telemetry,
        rng: Callable[[], float],
    ) -> None:
        """Take over the channels; they are closed with the API.

        ``times`` returns the clock of each venue by its prefix; ``rng`` draws from [0, 1).
        """
        self._clock = clock
        self._venues = Venues(channels, times)
        self._logger = telemetry
        self._tasks = TaskSupervisor(self._report)
        self._channel_router = SmartChannelRouter(
            channels, policy, clock, cool_down_s=rules.cool_down_s, rng=rng, telemetry=telemetry
        )
        self._queue = DataRequestQueue(rules.queue_capacity, rules.queue_concurrency, self._tasks, clock)
        self._archive = Archive(
            router=self._channel_router,
            queue=self._queue,
            tasks=self._tasks,
            clock=clock,
            venues=self._venues,
            grace=rules.grace,
            logger=telemetry,
        )
        self._hub = self._new_hub(rules)
        self._archive.open(self._hub, self.request_data_sync)
        self._channel_router.watch_followed(self._hub.followed)
        live = LiveAnswers(
            router=self._channel_router, hub=self._hub, archive=self._archive, clock=clock, venues=self._venues
        )
        self._answering = Answering(
            router=self._channel_router,
            queue=self._queue,
            hub=self._hub,
            archive=self._archive,
            clock=clock,
            venues=self._venues,
            logger=telemetry,
            live=live,
        )
        self._following = self._new_following(rules, LoopMonitor(clock, self._tasks, telemetry))
        self._running: dict[str, Any] = {}
        self.metrics_address = ""
        self._resources = AsyncExitStack()
        self._ending: asyncio.Task[None] | None = None
        self._is_closed = False

    def _new_hub(self, rules: ApiRules) -> LiveHub:
        feed_rules = FeedOptions(
            polling_interval_s=rules.polling_interval_s,
            stall_after_s=rules.stall_after_s,
            snapshot_timeout_s=rules.snapshot_timeout_s,
            hold_bound_s=rules.repair_bound_s,
            frames_in_a_row=max(1, min(FRAMES_IN_A_ROW, rules.event_capacity // 2)),
        )
        return LiveHub(
            router=self._channel_router,
            clock=self._clock,
            venues=self._venues,
            grace=rules.grace,
            repair_bound=timedelta(seconds=rules.repair_bound_s),
            rules=feed_rules,
            tasks=self._tasks,
            keeper=self._archive.keeper,
        )

    def _new_following(self, rules: ApiRules, watch: LoopMonitor) -> Following:
        return Following(
            hub=self._hub,
            router=self._channel_router,
            repository=self,
            clock=self._clock,
            venues=self._venues,
            capacity=rules.event_capacity,
            snapshot_timeout_s=rules.snapshot_timeout_s,
            watch=watch,
        )

    def closes_with(self, resources: AsyncExitStack) -> None:
        """Close these too when the API is closed."""
        self._resources = resources

    def _report(self, task: str, error: Exception) -> None:
        self._logger.warning("task_failed", task=task, error=f"{type(error).__name__}: {error}")

    def _check_open(self) -> None:
        if self._is_closed:
            msg = "the API is closed; create a new one with create_unified_api()"
            raise ClosedError(msg)

    # --- one answer ---------------------------------------------------------------------------

    @overload
    async def request_data_sync(self, request: CandleRequest) -> CandleSeries: ...
    @overload
    async def request_data_sync(self, request: TickerRequest) -> list[Ticker]: ...
    @overload
    async def request_data_sync(self, request: OrderBookRequest) -> OrderBook: ...
    @overload
    async def request_data_sync(self, request: TradesRequest) -> list[Trade]: ...
    async def request_data_sync(
        self, request: CandleRequest | TickerRequest | OrderBookRequest | TradesRequest
    ) -> CandleSeries | list[Ticker] | OrderBook | list[Trade]:
        """Wait for the whole answer: a series, a list of tickers or trades, or a book.

        Raises:
            RequestError: the request is wrong.
            AllChannelsFailedError: no channel could serve it; one cause per channel.
            DeadlineExceededError: the request's deadline passed.
            QueueFullError: too many requests wait already.

        """
        self._check_open()
        return await self._answering.answer(request)

    # --- the venue ------------------------------------------------------------------------------

    async def get_markets(self, venue_prefix: str = "") -> list[Market]:
        """Return every listed market of the backbone's own venue, or of the one whose symbols begin so.

        Raises:
            UnsupportedRequestError: no channel knows what is listed.

        """
        self._check_open()
        directory = self._venues.directory_of(venue_prefix)
        if directory is None:
            whose = f" of symbols that begin with {venue_prefix}:" if venue_prefix else ""
            msg = f"no installed channel knows the market list{whose}"
            raise UnsupportedRequestError(msg)
        return list(await directory.get_markets())

    # --- live --------------------------------------------------------------------------------

    def follow(self, request: RealtimeRequest) -> AbstractAsyncContextManager[FollowedEvents]:
        """Follow a request live: ``async with api.follow(request) as events: async for event in events``.

        Candle streams begin with ``HistoryLoaded``; after it every slot that traded is FINAL exactly once,
        in order, and every trade arrives exactly once, whatever happens to the channels.
        """
        self._check_open()
        return self._following.follow(request)

    # --- answers by callback -------------------------------------------------------------------

    async def request_data(self, request: AnyRequest) -> str:
        """Return a request id at once; the answer, or each live event, goes to ``request.data_callback``.

        A request that ends with an error gives ``RequestFailed`` to the callback. What the callback
        itself raises is reported in the log, and the stream goes on.

        Raises:
            UnsupportedRequestError: the request has no callback.

        """
        self._check_open()
        if request.data_callback is None:
            msg = f"{str(request)!r} has no data_callback to receive the answer; give one, or use request_data_sync"
            raise UnsupportedRequestError(msg)
        if isinstance(request, RealtimeRequest):
            self._channel_router.explain(request)
        request_id = uuid.uuid4().hex
        self._running[request_id] = self._tasks.start(self._answer(request_id, request), f"request {request_id}")
        return request_id

    async def _answer(self, request_id: str, request: AnyRequest) -> None:
        if request.data_callback is None:
            return
        callback = Callback(request.data_callback, request_id, self._logger, self._clock)
        try:
            if isinstance(request, RealtimeRequest):
                async with self.follow(request) as events:
                    async for event in events:
                        await callback.give(event)
                        if request_id not in self._running:  # cancelled by the callback: what waits is not given
                            break
            else:
                await callback.give(await self.request_data_sync(request))
        except Exception as error:  # noqa: BLE001 - every end of a request reaches its callback
            await callback.give(RequestFailed(request_id, error))
        finally:
            self._running.pop(request_id, None)

    async def cancel_request(self, request_id: str) -> bool:
        """End a request; answers whether it was still running."""
        self._check_open()
        task = self._running.pop(request_id, None)
        await cancel_and_wait(task)
        return task is not None

    # --- explanations --------------------------------------------------------------------------

    def explain(self, request: AnyRequest) -> RoutePlan:
        """Return the plan that the request would get now; asks nobody and changes nothing."""
        self._check_open()
        return self._channel_router.explain(request)

    def channel_health(self) -> dict[str, ChannelHealth]:
        """Return latency percentiles, success rate and circuit state of each channel."""
        self._check_open()
        return self._channel_router.channel_health()

    def status(self) -> Status:
        """Return a snapshot: queue, streams and their staleness, sockets, budget and health; asks nobody."""
        self._check_open()
        return current_status(self._queue, self._hub, self._channel_router)

    def update_channel_performance(self, channel: str, latency_ms: float, success: bool) -> None:  # noqa: FBT001 - the public signature
        """Report an outcome from outside; a failure keeps the channel out of plans for one cool-down."""
        self._check_open()
        self._channel_router.update_channel_performance(channel, latency_ms, success)

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The installed channels by name."""
        return self._channel_router.channels

    @property
    def venue(self) -> str:
        """Whose data answers about plain symbols are, as far as the channels know now."""
        return self.venue_of("")

    def venue_of(self, venue_prefix: str) -> str:
        """Return whose data answers about symbols of a prefix are, as far as the channels know now."""
        return self._venues.venue_of(venue_prefix)

    # --- the end -----------------------------------------------------------------------------

    async def close(self) -> None:
        """End every stream and request, and release the channels; idempotent."""
        if self._ending is None:
            self._is_closed = True
            self._ending = spawn_shutdown(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        async with AsyncExitStack() as steps:
            steps.push_async_callback(self._resources.aclose)
            for channel in self._channel_router.channels.values():
                steps.push_async_callback(channel.close)
            steps.push_async_callback(self._archive.keeper.flush)
            steps.push_async_callback(self._tasks.close)
            self._hub.end_all(closed_stream_error())
            self._queue.close()

    async def __aenter__(self) -> Self:
        """Use the API for the length of a block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()
