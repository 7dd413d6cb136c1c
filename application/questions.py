"""The methods of ``MarketDataRepository``, each a short form of one request."""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import overload

from attrs import evolve

from ..domain.orderbook import OrderBook
from ..domain.request import CandleRequest, OrderBookRequest, TickerRequest, TradesRequest, create_candle_request
from ..domain.series import CandleSeries
from ..domain.ticker import Ticker
from ..domain.traced import TracedList
from ..domain.trade import Trade


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
