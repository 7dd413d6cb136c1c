"""The channel ``rest``: everything that Upbit answers to a GET."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from attrs import evolve

from ...domain.adapter import AdapterContext
from ...domain.capabilities import Capabilities, DataKind, HistoryDepth
from ...domain.coverage import Coverage, PageRead, coverage_between
from ...domain.errors import ChannelUnavailableError, InvalidRangeError, MalformedReplyError, UnsupportedRequestError
from ...domain.market import Instrument, Market
from ...domain.orderbook import OrderBook
from ...domain.request import CandleRequest, check_count, check_depth
from ...domain.series import CandleSeries
from ...domain.status import Headroom
from ...domain.symbol import Symbol
from ...domain.ticker import Ticker
from ...domain.time_range import TimeRange, subtract
from ...domain.timeframe import Timeframe
from ...domain.timestamps import from_micros, to_micros
from ...domain.trade import Trade
from ..budget import CONNECTS
from ..http_transport import HttpFactory, HttpTransport
from . import protocol, rest_decoding
from .options import UpbitOptions
from .rest_client import Answer, UpbitRestClient

Found = TypeVar("Found")

CAPABILITIES = Capabilities(
    answers=frozenset(DataKind),
    timeframes=frozenset(protocol.CANDLE_PATHS),
    history=HistoryDepth.FULL,
    candles_per_call=protocol.CANDLES_PER_CALL,
    trades_per_call=protocol.TRADES_PER_CALL,
)


class UpbitRest:
    """Upbit over HTTP; each ``get_candles`` is one page of at most 200 rows."""

    def __init__(self, options: UpbitOptions, context: AdapterContext, make_http: HttpFactory = HttpTransport) -> None:
        """Open nothing yet; ``make_http`` makes what carries the calls."""
        self._context = context
        self._options = options
        self._capabilities = evolve(
            CAPABILITIES, references=options.site.references, calls_per_s=float(options.requests_per_s)
        )
        self.client = UpbitRestClient(options, context, make_http)

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._context.name

    @property
    def venue(self) -> str:
        """Whose data this is, as far as the address and the replies say."""
        return self.client.identity.venue

    @property
    def capabilities(self) -> Capabilities:
        """Everything but following."""
        return self._capabilities

    def headroom(self) -> dict[str, Headroom]:
        """Return what each group of REST calls has left."""
        return {name: left for name, left in self.client.budget.headroom().items() if name != CONNECTS}

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
            InvalidRangeError: start, end and count cannot be meant, or more than 200 rows are asked for.
            UnsupportedRequestError: the *first* rows after a start: the API pages.

        """
        asked = CandleRequest(symbol=symbol, timeframe=timeframe, count=count, start=start, end=end)
        market, frame, start, end = asked.symbol, asked.timeframe, asked.start, asked.end
        size = self._page_size(asked)
        answer = await self.client.call(protocol.candles_call(market, frame, size, end), (market,))
        with rest_decoding.reading(self.name):
            page = rest_decoding.to_candle_page(answer.body, market, frame, self._origin(answer), self._context.grace)
        self._check_page(page, end)
        columns = page.columns
        read = PageRead(to=end, count=size, read_at=answer.read_at, grace=self._context.grace.of(frame))
        ends = (from_micros(columns.opened[0]), from_micros(columns.opened[-1])) if len(columns) else None
        is_short = len(columns) + page.lost < size  # a row that was rejected is no sign of a short page
        coverage = coverage_between(ends, frame, read, is_short=is_short)
        if start is not None:
            # Cut after the coverage is known: rows before the start prove that nothing lies between them and it.
            columns = columns.slice(bisect_left(columns.opened, to_micros(start)), len(columns))
        return CandleSeries(columns, _narrowed(coverage, page, frame, start))

    def _page_size(self, asked: CandleRequest) -> int:
        if asked.start is not None and asked.end is None:
            msg = "this channel pages backwards from an end; ask the API for the first candles after a start"
            raise UnsupportedRequestError(msg)
        if asked.start is not None and asked.end is not None:
            # Upbit knows no start: a page is bounded by its count, and slots without trades have no row.
            slots = asked.timeframe.count_slots(TimeRange(asked.start, asked.end))
            return max(1, min(protocol.CANDLES_PER_CALL, slots))
        rows = protocol.CANDLES_PER_CALL if asked.count is None else asked.count
        check_count(rows, protocol.CANDLES_PER_CALL, "candles per call (the API asks for more in pages)")
        return rows

    def _check_page(self, page: rest_decoding.CandlePage, end: datetime | None) -> None:
        newest = from_micros(page.columns.opened[-1]) if len(page.columns) else None
        # `to` is exclusive; a server that thinks otherwise would make pages overlap.
        if end is not None and newest is not None and newest >= end:
            msg = f"asked for candles before {end.isoformat()}, got one of {newest.isoformat()}"
            raise MalformedReplyError(msg, channel=self.name)
        if page.rejections and newest is None:
            msg = f"every row of the page is impossible, the first: {page.rejections[0]}"
            raise MalformedReplyError(msg, channel=self.name)

    def _origin(self, answer: Answer) -> rest_decoding.Origin:
        return rest_decoding.Origin(
            venue=answer.venue,
            read_at=answer.read_at,
            source=self.name,
            received_by=self._context.server_time.latest(answer.reply.received),
        )

    async def get_tickers(self, symbols: Sequence[str]) -> Sequence[Ticker]:
        """Return tickers in the order of ``symbols``, by one call."""
        wanted = [Symbol(symbol) for symbol in symbols]
        if not wanted:
            return []
        answer = await self.client.call(protocol.tickers_call(dict.fromkeys(wanted)), wanted)
        found = self._tickers(answer)
        return [self._found(found, symbol) for symbol in wanted]

    async def get_ticker(self, symbol: str) -> Ticker:
        """Return the ticker of one symbol."""
        return (await self.get_tickers([symbol]))[0]

    async def get_all_tickers(self, quotes: Collection[str]) -> Sequence[Ticker]:
        """Return every ticker of these quote currencies, by one call."""
        return list(self._tickers(await self.client.call(protocol.all_tickers_call(quotes))).values())

    def _tickers(self, answer: Answer) -> dict[Symbol, Ticker]:
        origin = self._origin(answer)
        with rest_decoding.reading(self.name):
            tickers = [rest_decoding.to_ticker(row, origin) for row in rest_decoding.decode_tickers(answer.body)]
        return {ticker.symbol: ticker for ticker in tickers}

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Return the book of one symbol."""
        return (await self.get_orderbooks([symbol], depth))[0]

    async def get_orderbooks(
        self, symbols: Sequence[str], depth: int = 15, *, level: Decimal | None = None
    ) -> Sequence[OrderBook]:
        """Return books in the order of ``symbols``, by one call; ``level`` groups prices (Korea only).

        Raises:
            UnsupportedRequestError: this site, or this market, offers no such grouping.

        """
        check_depth(depth)
        wanted = [Symbol(symbol) for symbol in symbols]
        if not wanted:
            return []
        if level is not None and not self._options.site.has_book_level:
            raise UnsupportedRequestError(f"Upbit {self._options.region} groups no order books; leave level out")
        spelled = None if level is None else f"{level.normalize():f}"
        call = protocol.orderbooks_call(dict.fromkeys(wanted), count=depth, level=spelled)
        answer = await self.client.call(call, wanted)
        origin = self._origin(answer)
        with rest_decoding.reading(self.name):
            rows = [rest_decoding.to_orderbook(row, origin) for row in rest_decoding.decode_books(answer.body)]
        books = {book.symbol: book for book in rows}
        if not books and level is not None:
            msg = f"no grouping of {level:f} for {' '.join(wanted)}; get_instruments tells which exist"
            raise UnsupportedRequestError(msg)
        return [self._found(books, symbol).to_depth(depth) for symbol in wanted]

    async def get_instruments(self, symbols: Sequence[str]) -> Sequence[Instrument]:
        """Return tick sizes and book groupings in the order of ``symbols``."""
        wanted = [Symbol(symbol) for symbol in symbols]
        if not wanted:
            return []
        answer = await self.client.call(protocol.instruments_call(dict.fromkeys(wanted)), wanted)
        with rest_decoding.reading(self.name):
            rows = [rest_decoding.to_instrument(row) for row in rest_decoding.decode_instruments(answer.body)]
        found = {instrument.symbol: instrument for instrument in rows}
        return [self._found(found, symbol) for symbol in wanted]

    async def get_trades(self, symbol: str, count: int = 100) -> Sequence[Trade]:
        """Return the newest trades of the running UTC day, at most 500, oldest first."""
        return await self.get_trade_page(symbol, count)

    async def get_trade_page(
        self, symbol: str, count: int, *, before_id: int | None = None, days_ago: int | None = None
    ) -> Sequence[Trade]:
        """Return trades of one UTC day, those before ``before_id``, oldest first."""
        check_count(count, protocol.TRADES_PER_CALL, "trades per call (the API asks for more in pages)")
        if days_ago is not None and not 1 <= days_ago <= protocol.TRADE_DAYS:
            msg = f"days_ago must be from 1 to {protocol.TRADE_DAYS}, or left out for today; got {days_ago}"
            raise InvalidRangeError(msg)
        market = Symbol(symbol)
        call = protocol.trades_call(market, count, before_id=before_id, days_ago=days_ago)
        answer = await self.client.call(call, (market,))
        origin = self._origin(answer)
        with rest_decoding.reading(self.name):
            trades = {
                row.sequential_id: rest_decoding.to_trade(row, origin)
                for row in rest_decoding.decode_trades(answer.body)
            }
        if strangers := {trade.symbol for trade in trades.values()} - {market}:
            msg = f"asked for trades of {market}, got some of {' '.join(sorted(strangers))}"
            raise MalformedReplyError(msg, channel=self.name)
        return sorted(trades.values(), key=lambda trade: (trade.traded_at, trade.sequential_id))

    async def get_markets(self) -> Sequence[Market]:
        """Return every listed market with its warnings (at most one call in 10 s)."""
        return await self.client.load_markets()

    async def check_symbol(self, symbol: str) -> None:
        """Refuse a symbol that is not listed.

        Raises:
            UnknownSymbolError: never listed.
            SymbolDelistedError: no longer listed.

        """
        wanted = Symbol(symbol)
        if self.client.markets.is_listed(wanted):
            return
        await self.client.load_markets()
        if not self.client.markets.is_listed(wanted):
            raise self.client.markets.explain_missing(wanted, channel=self.name)

    def _found(self, found: dict[Symbol, Found], symbol: Symbol) -> Found:
        if symbol not in found:
            raise ChannelUnavailableError(f"the answer lacks {symbol}, which was asked for", channel=self.name)
        return found[symbol]

    async def close(self) -> None:
        """Release connections."""
        await self.client.close()


def _narrowed(coverage: Coverage, page: rest_decoding.CandlePage, frame: Timeframe, start: datetime | None) -> Coverage:
    """Leave out what the caller did not ask for, and what a rejected row leaves unknown."""
    if start is None and not page.rejected_slots:
        return coverage
    unknown = [TimeRange(opened_at, frame.next(opened_at)) for opened_at in page.rejected_slots]
    proven = tuple(part for span in coverage.proven for part in subtract(span, unknown))
    if start is None or not coverage.asked:
        return evolve(coverage, proven=proven)
    begin = min(max(start, coverage.asked.start), coverage.asked.end)
    return evolve(coverage, proven=proven, asked=TimeRange(begin, coverage.asked.end))
