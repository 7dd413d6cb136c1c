"""The channel ``ccxt-pro``: streams of an exchange, as far as ccxt.pro has them.

What cannot be promised:
    ccxt.pro hides its connections. A life here ends when it reports an error, or when another connection is seen
    to have taken its place; what an exchange sent between two of our questions may be missing without a trace.
    No stamp of a frame is passed on for candles, so a stream alone makes none FINAL: the channel ``ccxt`` does.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NoReturn

from market_backbone import (
    Capabilities,
    DataKind,
    OrderBook,
    Ticker,
    Timeframe,
    Trade,
    UnsupportedRequestError,
)
from market_backbone.domain.request import Topic
from market_backbone.domain.series import CandleSeries

from .exchange import CcxtExchange
from .stream import CcxtStream

METHODS = {DataKind.CANDLE: "watchOHLCV", DataKind.TRADE: "watchTrades", DataKind.ORDERBOOK: "watchOrderBook"}
SILENT_ABOUT = {"upbit": frozenset({Timeframe.S1})}
"""Exchanges of which ccxt declares ``watchOHLCV``, and has it for these timeframes only (ccxt 4.5.90)."""


class CcxtLive:
    """An exchange of ccxt.pro; it answers no single question."""

    def __init__(self, exchange: CcxtExchange) -> None:
        """Open nothing yet."""
        self._exchange = exchange
        follows = frozenset(kind for kind, method in METHODS.items() if exchange.can(method))
        frames = exchange.timeframes & SILENT_ABOUT.get(exchange.options.exchange, exchange.timeframes)
        self._capabilities = Capabilities(
            follows=follows if frames else follows - {DataKind.CANDLE},
            live_timeframes=frames if DataKind.CANDLE in follows else frozenset(),
            calls_are_free=True,
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
        """What ccxt.pro has for this exchange."""
        return self._capabilities

    @asynccontextmanager
    async def open_stream(
        self, topics: Collection[Topic], *, canary: Topic | None = None
    ) -> AsyncGenerator[CcxtStream]:
        """Follow topics until the context ends; each stream has connections of its own.

        Raises:
            UnsupportedRequestError: nothing is to be followed, or something that is not declared.

        """
        self._exchange.check_open()
        wanted = {*topics, *([] if canary is None else [canary])}
        undeclared = [topic for topic in wanted if not self._can_follow(topic)]
        if undeclared or not topics:
            what = ", ".join(map(str, undeclared)) or "nothing"
            raise UnsupportedRequestError(f"channel {self.name!r} cannot follow {what}")
        stream = CcxtStream(self._exchange, wanted)
        task = asyncio.get_running_loop().create_task(stream.run(), name=f"{self.name} stream")
        try:
            yield stream
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _can_follow(self, topic: Topic) -> bool:
        if topic.kind is DataKind.CANDLE and topic.timeframe not in self._capabilities.live_timeframes:
            return False
        return topic.kind in self._capabilities.follows

    def _refuse(self) -> NoReturn:
        self._exchange.check_open()
        raise UnsupportedRequestError(f"channel {self.name!r} streams only; the channel 'ccxt' answers questions")

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Refuse: this channel streams only."""
        _ = symbol, timeframe, count, start, end
        self._refuse()

    async def get_ticker(self, symbol: str) -> Ticker:
        """Refuse: this channel streams only."""
        _ = symbol
        self._refuse()

    async def get_tickers(self, symbols: Sequence[str]) -> Sequence[Ticker]:
        """Refuse: this channel streams only."""
        _ = symbols
        self._refuse()

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Refuse: this channel streams only."""
        _ = symbol, depth
        self._refuse()

    async def get_trades(self, symbol: str, count: int = 100) -> Sequence[Trade]:
        """Refuse: this channel streams only."""
        _ = symbol, count
        self._refuse()

    async def close(self) -> None:
        """Release connections."""
        await self._exchange.close()
