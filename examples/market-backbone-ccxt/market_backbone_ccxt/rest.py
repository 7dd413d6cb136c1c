"""The channel ``ccxt``: candles, books and trades of an exchange, by request.

What may be claimed of candles that come through ccxt:
    A row is the candle of its slot. It is FINAL when it was read a whole slot (an hour at most) and the grace after
    its slot's end: nobody knows how long each of a hundred exchanges goes on changing it.
    A slot without a row is not known. An exchange, or ccxt on the way, may have cut the answer short; the option
    ``complete`` is your word that it does not.
    An empty page is no end of history: a market may stand still for longer than a page. The day candles before it
    tell where to go on, and only where there are none of those either, history is said to begin.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NoReturn

from attrs import evolve, frozen

from market_backbone import (
    Candle,
    Capabilities,
    Coverage,
    DataKind,
    HistoryDepth,
    InvalidRangeError,
    MalformedReplyError,
    Market,
    OrderBook,
    Symbol,
    Ticker,
    Timeframe,
    Trade,
    UnsupportedRequestError,
)
from market_backbone.domain.coverage import PageRead, page_coverage
from market_backbone.domain.finality import judge_rest_row
from market_backbone.domain.request import check_count, check_depth
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.time_range import TimeRange, unite
from market_backbone.domain.timestamps import to_micros, to_utc

from .exchange import CcxtExchange
from .failures import translated
from .values import to_book, to_candle, to_trade

TRADES = 100
MAX_WAIT = timedelta(hours=1)
"""The longest that a candle of a long slot has to be over before it counts as FINAL, besides the grace."""


@frozen
class _Page:
    """One page to ask for: rows with ``span.start <= opened_at < span.end``; without a span the newest."""

    market: str
    symbol: Symbol
    frame: Timeframe
    count: int
    span: TimeRange | None


class CcxtRest:
    """An exchange of ccxt by request."""

    def __init__(self, exchange: CcxtExchange) -> None:
        """Ask nothing yet."""
        self._exchange = exchange
        kinds = {DataKind.CANDLE: "fetchOHLCV", DataKind.ORDERBOOK: "fetchOrderBook", DataKind.TRADE: "fetchTrades"}
        answers = frozenset(kind for kind, method in kinds.items() if exchange.can(method))
        has_candles = DataKind.CANDLE in answers and bool(exchange.timeframes)
        answers = answers if has_candles else answers - {DataKind.CANDLE}
        self._capabilities = Capabilities(
            answers=answers,
            timeframes=exchange.timeframes if has_candles else frozenset(),
            history=HistoryDepth.FULL if has_candles else HistoryDepth.NONE,
            candles_per_call=exchange.candles_per_call if has_candles else 0,
            trades_per_call=TRADES if DataKind.TRADE in answers else 0,
            venue_prefix=exchange.options.exchange,
        )

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._exchange.name

    @property
    def venue(self) -> str:
        """The exchange, or the address that stands in for it."""
        return self._exchange.options.venue

    @property
    def capabilities(self) -> Capabilities:
        """What ccxt has for this exchange; no tickers, whose figures of the UTC day no exchange gives through ccxt."""
        return self._capabilities

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return one page: the newest rows before ``end``, none of them before ``start``.

        Raises:
            UnsupportedRequestError: a timeframe that is not declared, or the *first* rows after a start.

        """
        self._exchange.check_open()
        frame = Timeframe.parse(timeframe)
        if frame not in self._capabilities.timeframes:
            raise UnsupportedRequestError(f"{self._exchange.options.exchange} has no {frame} candles")
        size, bounds = self._checked(frame, count, start, end)
        wanted, market = await self._exchange.market_of(symbol)
        page = _Page(market, wanted, frame, size, self._window(frame, size, *bounds))
        if page.span is not None and not page.span:  # it lies in the future
            return self._series(page, [], Coverage.nothing(page.span.end))
        rows, read_at = await self._rows(page)
        with translated(self.name):
            candles = self._candles(page, rows, read_at)
        if candles or page.span is None:
            return self._series(page, candles, self._coverage(page, candles, read_at))
        return self._series(page, [], await self._coverage_of_nothing(page, page.span))

    def _checked(
        self, frame: Timeframe, count: int | None, start: datetime | None, end: datetime | None
    ) -> tuple[int, tuple[datetime | None, datetime | None]]:
        first = None if start is None else to_utc(start, "start")
        last = None if end is None else to_utc(end, "end")
        most = self._capabilities.candles_per_call
        if None not in (count, first, last):
            raise InvalidRangeError("start, end and count together leave no question open; give at most two of them")
        if count is not None:
            check_count(count, most, "candles per call (the API asks for more in pages)")
        if first is not None and last is None:
            raise UnsupportedRequestError(
                "this channel pages backwards from an end; ask the API for what follows a start"
            )
        if first is None or last is None:
            return most if count is None else count, (first, last)
        return max(1, min(most, frame.count_slots(TimeRange(first, last)))), (first, last)

    def _window(self, frame: Timeframe, size: int, start: datetime | None, end: datetime | None) -> TimeRange | None:
        """Return the slots to ask for; None for the newest."""
        now = self._exchange.server_time.latest()
        if end is None or (now is not None and start is None and end > now):
            return None
        beyond = frame.ceil(end) if now is None else min(frame.ceil(end), frame.next(now))
        first = frame.floor(frame.move(beyond, -size))
        first = first if start is None else max(first, frame.ceil(start))
        return TimeRange(min(first, beyond), beyond)

    async def _rows(self, page: _Page) -> tuple[list[list[object]], datetime]:
        since = None if page.span is None else to_micros(page.span.start) // 1000
        raw, frame = self._exchange.raw, str(page.frame)
        return await self._exchange.ask(lambda: raw.fetch_ohlcv(page.market, frame, since, page.count))

    def _candles(self, page: _Page, rows: list[list[object]], read_at: datetime) -> list[Candle]:
        origin = self._exchange.origin(page.symbol)
        grace = self._exchange.context.grace.of(page.frame) + min(page.frame.nominal_width, MAX_WAIT)
        found: dict[datetime, Candle] = {}
        for row in rows:
            forming = to_candle(row, origin, page.frame, judge_rest_row(read_at, read_at, timedelta(1)))
            finality, sealed_by = judge_rest_row(forming.closed_at, read_at, grace)
            candle = evolve(forming, finality=finality, sealed_by=sealed_by)
            if page.span is not None and candle.opened_at not in page.span:
                continue  # exchanges may answer more than they were asked for
            if found.setdefault(candle.opened_at, candle) != candle:
                raise MalformedReplyError(f"two candles of one slot came: {candle!r}", channel=self.name)
        return [found[opened_at] for opened_at in sorted(found)][-page.count :]

    def _coverage(self, page: _Page, candles: list[Candle], read_at: datetime) -> Coverage:
        """Return what rows prove: their own slots, or with ``complete`` every slot from the first of them on."""
        opened = [candle.opened_at for candle in candles]
        to = None if page.span is None else page.span.end
        read = PageRead(to=to, count=0, read_at=read_at, grace=self._exchange.context.grace.of(page.frame))
        whole = page_coverage(opened, page.frame, read)
        if self._exchange.options.complete or not candles:
            return whole
        proven = unite(TimeRange(candle.opened_at, candle.closed_at) for candle in candles if candle.is_final)
        begin = opened[0] if page.span is None else page.span.start
        return Coverage(asked=TimeRange(begin, whole.asked.end), proven=proven)

    async def _coverage_of_nothing(self, page: _Page, span: TimeRange) -> Coverage:
        """Return how far back nothing is known: to the newest day before that traded, or to the beginning."""
        if page.frame.nominal_width >= Timeframe.D1.nominal_width or Timeframe.D1 not in self._capabilities.timeframes:
            return Coverage(asked=span, claimed_beginning=span.start)
        most = self._capabilities.candles_per_call
        before = TimeRange(Timeframe.D1.floor(Timeframe.D1.move(span.start, -most + 1)), span.start)
        days, read_at = await self._rows(_Page(page.market, page.symbol, Timeframe.D1, most, before))
        with translated(self.name):
            found = self._candles(_Page(page.market, page.symbol, Timeframe.D1, most, before), days, read_at)
        if not found:
            return Coverage(asked=span, claimed_beginning=span.start)
        return Coverage(asked=TimeRange(min(span.start, found[-1].closed_at), span.end))

    def _series(self, page: _Page, candles: list[Candle], coverage: Coverage) -> CandleSeries:
        return CandleSeries.of(self.venue, page.symbol, page.frame, candles, coverage)

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Return the book; as deep as the exchange answers unasked, at most."""
        check_depth(depth)
        self._need(DataKind.ORDERBOOK, "books")
        wanted, market = await self._exchange.market_of(symbol)
        book, read_at = await self._exchange.ask(lambda: self._exchange.raw.fetch_order_book(market))
        with translated(self.name):
            return to_book(book, self._exchange.origin(wanted), depth, read_at)

    async def get_trades(self, symbol: str, count: int = 100) -> Sequence[Trade]:
        """Return the newest trades."""
        check_count(count, TRADES, "trades per call")
        self._need(DataKind.TRADE, "trades")
        wanted, market = await self._exchange.market_of(symbol)
        rows, _ = await self._exchange.ask(lambda: self._exchange.raw.fetch_trades(market, None, count))
        with translated(self.name):
            found = {
                trade.sequential_id: trade for trade in (to_trade(row, self._exchange.origin(wanted)) for row in rows)
            }
        return sorted(found.values(), key=lambda trade: (trade.traded_at, trade.sequential_id))[-count:]

    async def get_ticker(self, symbol: str) -> Ticker:
        """Refuse: see ``capabilities``."""
        self._refuse(f"tickers of {symbol}")

    async def get_tickers(self, symbols: Sequence[str]) -> Sequence[Ticker]:
        """Refuse: see ``capabilities``."""
        self._refuse(f"tickers of {', '.join(symbols)}")

    async def get_markets(self) -> Sequence[Market]:
        """Return every listed market."""
        return await self._exchange.load_markets()

    async def check_symbol(self, symbol: str) -> None:
        """Refuse a symbol that is not listed."""
        await self._exchange.market_of(symbol)

    def _need(self, kind: DataKind, what: str) -> None:
        self._exchange.check_open()
        if kind not in self._capabilities.answers:
            self._refuse(what)

    def _refuse(self, what: str) -> NoReturn:
        self._exchange.check_open()
        raise UnsupportedRequestError(f"channel {self.name!r} has no {what} of {self._exchange.options.exchange}")

    async def close(self) -> None:
        """Release connections."""
        await self._exchange.close()
