"""UnifiedMarketDataAPI: the one object that a user holds."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import date, datetime
from typing import Any, Self, overload

from attrs import evolve, frozen

from ..domain.coverage_report import CoverageReport
from ..domain.errors import ClosedError, UnsupportedRequestError
from ..domain.events import RequestFailed
from ..domain.ledger import HeldSeries
from ..domain.market import Market
from ..domain.orderbook import OrderBook
from ..domain.ports import Channel
from ..domain.request import (
    AnyRequest,
    CandleRequest,
    OrderBookRequest,
    RealtimeRequest,
    TickerRequest,
    TradesRequest,
    create_candle_request,
    create_orderbook_request,
    create_trades_request,
)
from ..domain.routing import ChannelHealth, RoutePlan, TracedList
from ..domain.series import CandleSeries
from ..domain.status import Status
from ..domain.ticker import Ticker
from ..domain.trade import Trade
from .archive.audit import Auditor, AuditReport
from .archive.downloader import Downloader
from .archive.series_download import DownloadResult, Progress
from .callbacks import Callback
from .requests.service import RequestService
from .runtime.tasks import TaskSupervisor, cancel_and_wait, spawn_shutdown
from .runtime.telemetry import Telemetry
from .status import current_status
from .streaming.delivery.event_buffer import FollowedEvents
from .streaming.delivery.subscriber import closed_stream_error
from .streaming.follow import FollowService
from .streaming.hub import LiveHub


@frozen(eq=False)
class ApiParts:
    """What the API is made of; see :mod:`.composition`, which makes it."""

    requests: RequestService
    hub: LiveHub
    follow: FollowService
    downloader: Downloader
    auditor: Auditor
    tasks: TaskSupervisor
    telemetry: Telemetry


class UnifiedMarketDataAPI:
    """Market data through one object: it chooses the channel, keeps the limits, and explains itself.

    Use it inside one event loop. After ``close`` every call raises ``ClosedError``.

    Attributes:
        metrics_address: where its metrics can be read; empty where they are not served.

    """

    def __init__(self, parts: ApiParts) -> None:
        """Take over the parts, and with them the channels; they are closed with the API."""
        self._parts = parts
        self._channel_router = parts.requests.router  # this name is a promise, the idea's own document writes it
        self._running: dict[str, Any] = {}
        self.metrics_address = ""
        self._resources = AsyncExitStack()
        self._ending: asyncio.Task[None] | None = None
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._disowned = ""

    def closes_with(self, resources: AsyncExitStack) -> None:
        """Close these too when the API is closed; the loop in which it is opened is its own."""
        self._resources = resources
        self._loop = asyncio.get_running_loop()

    def disown(self, reason: str) -> None:
        """Refuse every further call with this reason: this is a copy, in a process that did not make it."""
        self._disowned = reason

    def _check_open(self) -> None:
        if self._is_closed:
            msg = "the API is closed; create a new one with create_unified_api()"
            raise ClosedError(msg)
        self._check_owner()

    def _check_owner(self) -> None:
        """Refuse another event loop and another process: what the API waits for would never come there.

        Raises:
            UnsupportedRequestError: with the way out.

        """
        if self._disowned:
            raise UnsupportedRequestError(self._disowned)
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:  # what asks nobody, such as explain(), may be called while no loop runs
            return
        self._loop = self._loop or running
        if running is not self._loop:
            msg = (
                "this API belongs to another event loop; call it there with asyncio.run_coroutine_threadsafe(...), "
                "or create one API for each loop"
            )
            raise UnsupportedRequestError(msg)

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
        return await self._parts.requests.answer(request)

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
        return await self.request_data_sync(create_orderbook_request(symbol, depth))

    async def get_trades(self, symbol: str, count: int = 100) -> list[Trade]:
        """Return the newest trades, oldest first."""
        return await self.request_data_sync(create_trades_request(symbol, count))

    # --- the venue ------------------------------------------------------------------------------

    async def get_markets(self, venue_prefix: str = "") -> list[Market]:
        """Return every listed market of the backbone's own venue, or of the one whose symbols begin so.

        Raises:
            UnsupportedRequestError: no channel knows what is listed.

        """
        self._check_open()
        directory = self._parts.requests.cache.directory.directory_of(venue_prefix)
        if directory is None:
            whose = f" of symbols that begin with {venue_prefix}:" if venue_prefix else ""
            msg = f"no installed channel knows the market list{whose}"
            raise UnsupportedRequestError(msg)
        return list(await directory.get_markets())

    # --- what is held ---------------------------------------------------------------------------

    async def coverage(
        self, symbol: str, timeframe: str = "1m", *, start: datetime | None = None, end: datetime | None = None
    ) -> CoverageReport:
        """Return what is held of a series, with the reason of every slot that has no candle; asks nobody."""
        self._check_open()
        return await self._parts.downloader.catalog.coverage(symbol, timeframe, start, end)

    async def download(
        self,
        symbols: Sequence[str],
        timeframe: str = "1m",
        *,
        start: datetime,
        end: datetime | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> list[DownloadResult]:
        """Fill the store with ``[start, end)`` of several series; what is held already is not asked for.

        Interrupted anywhere, the same call goes on where it stopped. Without ``end``: as far as candles are final.
        """
        self._check_open()
        return await self._parts.downloader.download(symbols, timeframe, (start, end), on_progress)

    def held_parts(
        self, symbol: str, timeframe: str, *, start: datetime, end: datetime
    ) -> AsyncGenerator[CandleSeries]:
        """Yield what is held of a range, oldest first, in parts of bounded size; asks nobody."""
        self._check_open()
        return self._parts.downloader.catalog.parts(symbol, timeframe, start, end)

    async def audit(self, symbol: str, day: date, *, repair: bool = False) -> AuditReport:
        """Compare a UTC day's minutes with its hours and its day candle.

        What is not held is fetched. With ``repair``, what differs is read anew.
        """
        self._check_open()
        return await self._parts.auditor.audit(symbol, day, repair=repair)

    async def inventory(self) -> Sequence[HeldSeries]:
        """Return every series that is held, of whatever venue; what was set aside comes last."""
        self._check_open()
        return await self._parts.downloader.catalog.store.inventory()

    # --- live --------------------------------------------------------------------------------

    def follow(self, request: RealtimeRequest) -> AbstractAsyncContextManager[FollowedEvents]:
        """Follow a request live: ``async with api.follow(request) as events: async for event in events``.

        Candle streams begin with ``HistoryLoaded``; after it every slot that traded is FINAL exactly once,
        in order, and every trade arrives exactly once, whatever happens to the channels.
        """
        self._check_open()
        return self._parts.follow.follow(request)

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
        self._running[request_id] = self._parts.tasks.start(self._answer(request_id, request), f"request {request_id}")
        return request_id

    async def _answer(self, request_id: str, request: AnyRequest) -> None:
        if request.data_callback is None:
            return
        callback = Callback(request.data_callback, request_id, self._parts.telemetry, self._parts.requests.clock)
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
        return current_status(self._parts.requests.queue, self._parts.hub.feeds, self._channel_router)

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
        return self._parts.requests.cache.directory.venue_of(venue_prefix)

    # --- the end -----------------------------------------------------------------------------

    async def close(self) -> None:
        """End every stream and request, and release the channels; idempotent.

        Raises:
            UnsupportedRequestError: from another event loop; a copy in a forked process leaves the original alone.

        """
        if self._disowned or (self._ending is not None and self._ending.done()):
            return
        self._check_owner()
        if self._ending is None:
            self._is_closed = True
            self._ending = spawn_shutdown(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        async with AsyncExitStack() as steps:
            steps.push_async_callback(self._resources.aclose)
            for channel in self._channel_router.channels.values():
                steps.push_async_callback(channel.close)
            steps.push_async_callback(self._parts.hub.write_behind.flush)
            steps.push_async_callback(self._parts.tasks.close)
            self._parts.hub.end_all(closed_stream_error())
            self._parts.requests.queue.close()

    async def __aenter__(self) -> Self:
        """Use the API for the length of a block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()
