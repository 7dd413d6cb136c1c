"""One question, one answer: through the queue, along a plan, told once in the log."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from attrs import define, evolve

from ...domain.capabilities import DataKind
from ...domain.errors import (
    AllChannelsFailedError,
    ChannelError,
    IntegrityError,
    MalformedReplyError,
    MarketDataError,
    RequestError,
    UnsupportedRequestError,
)
from ...domain.ledger import SeriesKey
from ...domain.orderbook import OrderBook
from ...domain.ports import Channel, Clock, MarketDirectory, ServerTime, TradeHistory
from ...domain.request import CandleRequest, OneShotRequest, OrderBookRequest, TickerRequest, Topic, TradesRequest
from ...domain.request_options import Priority
from ...domain.routing import RoutePlan, TracedList
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.telemetry_events import OK, RequestEnded, SeriesAnswered
from ...domain.ticker import Ticker
from ...domain.trade import Trade
from ..archive.catalog import CandleCatalog
from ..archive.verification import StoreVerifier
from ..cache.series_cache import SeriesCache
from ..paging.readers import TradeReader
from ..paging.trade_pager import TradePager
from ..routing.attempts import Attempts, FetchResult
from ..routing.channel_directory import check_listed, prefix_of
from ..routing.router import SmartChannelRouter
from ..scheduling.coalescing import AnyAnswer, covers, extract
from ..scheduling.request_queue import DataRequestQueue
from ..streaming.live_view import LiveView
from .answer_cache import AnswerCache
from .candle_fetch import CandleFetcher


@define(eq=False, kw_only=True)
class RequestService:
    """Answers questions; equal and contained ones in flight share one fetch."""

    router: SmartChannelRouter
    queue: DataRequestQueue
    live_view: LiveView
    cache: SeriesCache
    catalog: CandleCatalog
    verifier: StoreVerifier
    clock: Clock
    answers: AnswerCache

    async def answer(self, request: OneShotRequest) -> AnyAnswer:
        """Return the answer; what it took is in the log, and in the answer's trace.

        Raises:
            MarketDataError: see ``request_data_sync``.

        """
        started = self.clock.monotonic()
        key = self.answers.key_for(request)
        again = await self.answers.get(request, key, started)
        if again is not None and again.trace is not None:
            self._report_answered(request, again.trace, started)
            self._report_completeness(again)
            return again
        work = self._work(request)
        try:
            answer, trace = await self._submit(request, work)
        except MarketDataError as error:
            self._report_failed(request, error, round((self.clock.monotonic() - started) * 1000, 1))
            raise
        self._report_answered(request, trace, started)
        match answer:
            case CandleSeries():
                finished = await self._finish(CandleSeries(answer.columns, answer.coverage, answer.seams, trace))
                self._report_completeness(finished)
                self.answers.put(request, key, finished)
                return finished
            case OrderBook():
                return evolve(answer, trace=trace)
            case _:
                return cast("AnyAnswer", TracedList(answer, trace))

    async def get_candles(self, request: CandleRequest) -> CandleSeries:
        """Return candles; what it raises is what ``answer`` does."""
        return cast("CandleSeries", await self.answer(request))

    async def _finish(self, series: CandleSeries) -> CandleSeries:
        """Return an answer with outages told; what was used is compared with the venue again if that is due."""
        channels = self.cache.directory.serving(series.symbol.venue_prefix)
        source = next((one for one in channels if self.cache.keeps(one) and one.venue == series.venue), None)
        await self.verifier.verify_if_due(SeriesKey(series.venue, series.symbol, series.timeframe), source)
        return await self.catalog.label(series)

    def _work(self, request: OneShotRequest) -> Callable[[], Awaitable[tuple[AnyAnswer, RoutePlan]]]:
        match request:
            case CandleRequest():
                return CandleFetcher(request, self.clock, self._server_time(request), self.cache, self.router).fetch
            case TickerRequest() | OrderBookRequest() | TradesRequest():
                return partial(self._fetch, request)
            case _:  # pyright: ignore[reportUnnecessaryComparison] - callers may be untyped
                kind = type(request).__name__
                msg = f"expected a request made by create_…_request, got {kind}; follow() takes live ones"
                raise UnsupportedRequestError(msg)

    def _server_time(self, request: OneShotRequest) -> ServerTime:
        return self.cache.directory.server_time_of(prefix_of(request))

    async def _fetch(self, request: TickerRequest | OrderBookRequest | TradesRequest) -> tuple[AnyAnswer, RoutePlan]:
        """Ask one channel after another, as the router says."""
        attempts = Attempts(self.router, request)
        async for attempt in attempts:
            with attempt:
                match request:
                    case TickerRequest():
                        answer, result = await self._tickers(request, attempt.channel)
                    case OrderBookRequest():
                        answer, result = await self._orderbook(request, attempt.channel)
                    case TradesRequest():
                        answer, result = await self._trades(request, attempt.channel)
                return answer, attempt.served(result)
        raise attempts.failure()

    async def _submit(
        self, request: OneShotRequest, work: Callable[[], Awaitable[tuple[AnyAnswer, RoutePlan]]]
    ) -> tuple[AnyAnswer, RoutePlan]:
        """Wait for an equal or larger question that is being asked already, or ask.

        What fails a larger question may be about what was not asked for here: then this one is asked itself.
        """
        key: Any = _asked_by_anybody(request)
        larger: Any = self._larger(request) or key
        asking: Mapping[str, Any] = {"priority": request.priority, "caller": request.caller}
        began, deadline = self.clock.monotonic(), request.deadline
        if larger != key:
            try:
                answer, trace = await self.queue.submit(larger, work, **asking, deadline_s=deadline)
            except (RequestError, ChannelError, AllChannelsFailedError, IntegrityError):
                deadline = None if deadline is None else max(0.0, deadline - (self.clock.monotonic() - began))
            else:
                return extract(answer, request), trace.with_note(f"part of the answer to: {larger}")
        return await self.queue.submit(key, work, **asking, deadline_s=deadline)

    def _larger(self, request: OneShotRequest) -> Hashable | None:
        """Return a question that is being asked already, and whose answer holds this one's."""
        if not len(self.queue):
            return None
        rows_per_page = self.cache.directory.page_size_of(prefix_of(request))
        return self.queue.find(lambda other: covers(other, request, rows_per_page))

    def _report_answered(self, request: OneShotRequest, trace: RoutePlan, started: float) -> None:
        calls, rows, waited_ms = trace.calls, 0, 0.0
        retries, latency_ms = 0, 0.0
        for step in trace.steps:
            rows += step.rows
            retries += step.retries
            waited_ms += step.waited_ms
            latency_ms += step.latency_ms
        self.router.telemetry.info(
            "request_served",
            request=trace.request,
            policy=trace.policy,
            rule=trace.rule,
            served_by=list(trace.served_by),
            calls=calls,
            retries=retries,
            rows=rows,
            waited_ms=round(waited_ms, 1),
            latency_ms=round(latency_ms, 1),
            seams=[f"{seam.older}|{seam.newer} {seam.verdict}" for seam in trace.seams],
        )
        ended = RequestEnded(
            kind=_kind_of(request),
            rule=trace.rule,
            outcome=OK,
            latency_s=self.clock.monotonic() - started,
            calls=calls,
            rows=rows,
            waited_s=waited_ms / 1000,
        )
        self.router.telemetry.observe(ended)

    def _report_failed(self, request: OneShotRequest, error: MarketDataError, latency_ms: float) -> None:
        rule = error.rule if isinstance(error, AllChannelsFailedError) else ""
        outcome = type(error).__name__
        message = f"{outcome}: {error}"
        self.router.telemetry.info("request_failed", request=str(request), error=message, latency_ms=latency_ms)
        ended = RequestEnded(kind=_kind_of(request), rule=rule, outcome=outcome, latency_s=latency_ms / 1000)
        self.router.telemetry.observe(ended)

    def _report_completeness(self, series: CandleSeries) -> None:
        if self.router.telemetry.has_observers:
            known = series.completeness()
            answered = SeriesAnswered(symbol=series.symbol, timeframe=series.timeframe, completeness=known)
            self.router.telemetry.observe(answered)

    async def _tickers(self, request: TickerRequest, channel: Channel) -> tuple[list[Ticker], FetchResult]:
        topics = [Topic(DataKind.TICKER, symbol) for symbol in request.symbols]
        held = [self.live_view.newest(channel.name, topic) for topic in topics]
        known = [value for value in held if isinstance(value, Ticker)]
        if len(known) == len(topics):
            return known, FetchResult(len(known), calls=0)
        await self._check_listed(channel, request.symbols)
        tickers = list(await channel.get_tickers(request.symbols))
        check_identity(channel, request.symbols, [ticker.symbol for ticker in tickers])
        return tickers, _one_call(channel, len(tickers))

    async def _orderbook(self, request: OrderBookRequest, channel: Channel) -> tuple[OrderBook, FetchResult]:
        held = self.live_view.newest(channel.name, Topic(DataKind.ORDERBOOK, request.symbol))
        if isinstance(held, OrderBook):
            return held.to_depth(request.depth), FetchResult(1, calls=0)
        await self._check_listed(channel, [request.symbol])
        book = await channel.get_orderbook(request.symbol, request.depth)
        check_identity(channel, [request.symbol], [book.symbol])
        return book, _one_call(channel, 1)

    async def _trades(self, request: TradesRequest, channel: Channel) -> tuple[list[Trade], FetchResult]:
        """Return the newest trades of one channel, across UTC days where the channel keeps them."""
        if not isinstance(channel, TradeHistory):
            trades = list(await channel.get_trades(request.symbol, request.count))
            return trades, FetchResult(len(trades))
        pager = TradePager(channel.capabilities.trades_per_call, request.count)
        await TradeReader(self.clock, self._server_time(request)).read(channel, request.symbol, pager)
        return pager.trades, FetchResult(len(pager.trades), pager.calls)

    async def _check_listed(self, channel: Channel, symbols: Sequence[str]) -> None:
        """A channel that knows the market list answers for itself; the others say nothing about unknown codes."""
        if not isinstance(channel, MarketDirectory):
            await check_listed(self.cache.directory.directory_of(Symbol(symbols[0]).venue_prefix), symbols)


def _asked_by_anybody(request: OneShotRequest) -> OneShotRequest:
    """Return the question itself, without how urgent it is and who waits for the answer; mostly it is just that."""
    if (request.priority, request.deadline, request.data_callback) == (Priority.INTERACTIVE, None, None):
        return request
    return evolve(request, priority=Priority.INTERACTIVE, deadline=None, data_callback=None)


def _kind_of(request: OneShotRequest) -> DataKind:
    match request:
        case CandleRequest():
            return DataKind.CANDLE
        case TickerRequest():
            return DataKind.TICKER
        case OrderBookRequest():
            return DataKind.ORDERBOOK
        case TradesRequest():
            return DataKind.TRADE


def check_identity(channel: Channel, asked: Sequence[str], answered: Sequence[str]) -> None:
    """Refuse an answer about something else, or about less, than was asked for.

    Raises:
        MalformedReplyError: so that the next channel is asked.

    """
    if list(asked) != list(answered):
        msg = f"asked for {' '.join(asked)}, got {' '.join(answered) or 'nothing'}"
        raise MalformedReplyError(msg, channel=channel.name)


def _one_call(channel: Channel, rows: int) -> FetchResult:
    return FetchResult(rows, calls=0 if channel.capabilities.calls_are_free else 1)
