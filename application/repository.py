"""The API as the port that an application injects."""

from collections.abc import Sequence
from datetime import datetime

from ..domain.orderbook import OrderBook
from ..domain.series import CandleSeries
from ..domain.ticker import Ticker
from ..domain.trade import Trade
from .api import UnifiedMarketDataAPI


class UnifiedMarketDataRepository:
    """``MarketDataRepository`` over the API: what stands behind it is nobody's concern.

    It has the port's methods and nothing else, so an application cannot come to depend on more.
    """

    def __init__(self, api: UnifiedMarketDataAPI) -> None:
        """Use an API that somebody else opens and closes."""
        self._api = api

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return candles, oldest first, unique, with their coverage."""
        return await self._api.get_candles(symbol, timeframe, count, start=start, end=end)

    async def get_ticker(self, symbol: str) -> Ticker:
        """Return the newest ticker of a symbol."""
        return await self._api.get_ticker(symbol)

    async def get_tickers(self, symbols: Sequence[str]) -> Sequence[Ticker]:
        """Return the newest tickers in the order of ``symbols``."""
        return await self._api.get_tickers(symbols)

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Return the newest book, at most ``depth`` levels a side."""
        return await self._api.get_orderbook(symbol, depth)

    async def get_trades(self, symbol: str, count: int = 100) -> Sequence[Trade]:
        """Return the newest trades, oldest first."""
        return await self._api.get_trades(symbol, count)
