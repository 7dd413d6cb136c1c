"""The channel ``cache``: answers with what is held, and asks nobody."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NoReturn

from attrs import evolve

from ...domain.capabilities import Capabilities, DataKind, HistoryDepth
from ...domain.errors import ChannelUnavailableError, UnsupportedRequestError
from ...domain.ledger import SeriesKey
from ...domain.orderbook import OrderBook
from ...domain.ports import CandleStore
from ...domain.request import DEFAULT_COUNT, LARGEST_COUNT, CandleRequest
from ...domain.series import CandleSeries
from ...domain.ticker import Ticker
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ...domain.timestamps import EPOCH
from ...domain.trade import Trade

CAPABILITIES = Capabilities(
    answers=frozenset({DataKind.CANDLE}),
    timeframes=frozenset(Timeframe),
    history=HistoryDepth.FULL,
    candles_per_call=LARGEST_COUNT,
    calls_are_free=True,
    answers_from_store=True,
)


class CachedCandles:
    """What a store holds, as a channel: FINAL candles, and gaps where nothing is held."""

    def __init__(self, name: str, store: CandleStore) -> None:
        self._name = name
        self._store = store
        self._venue: Callable[[str], str] = lambda _: "none"

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._name

    @property
    def venue(self) -> str:
        """The backbone's own venue; what is held of others is served just as well."""
        return self._venue("")

    @property
    def capabilities(self) -> Capabilities:
        """Candles of any number, for nothing."""
        return CAPABILITIES

    @property
    def store(self) -> CandleStore:
        """What it answers from."""
        return self._store

    def bind_venues(self, venue: Callable[[str], str]) -> None:
        """Answer with what is held of the venue that ``venue`` names for a prefix at the time of the question."""
        self._venue = venue

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return held candles; what is not held inside the question is a gap.

        Raises:
            InvalidRangeError: start, end and count cannot be meant.
            ChannelUnavailableError: nothing is held of the series, or the store failed.

        """
        asked = CandleRequest(symbol=symbol, timeframe=timeframe, count=count, start=start, end=end)
        key = SeriesKey(self._venue(asked.symbol.venue_prefix), asked.symbol, asked.timeframe)
        # The ledger, not the rows: a range that is proven to be empty is held as well.
        ledger = self._store.ledger(key)
        if not ledger.proven:
            msg = f"nothing is held of {key}; ask for it while the exchange can be reached"
            raise ChannelUnavailableError(msg, channel=self._name, retryable=False)
        until = ledger.proven[-1].end if asked.end is None else asked.end
        if asked.start is None:
            return await self._newest(key, asked.count or DEFAULT_COUNT, until)
        series = await self._store.read(key, TimeRange(asked.start, max(asked.start, until)))
        return series if count is None else series[:count]

    async def _newest(self, key: SeriesKey, count: int, until: datetime) -> CandleSeries:
        """Return the newest rows; what lacks to ``count`` is a gap before the oldest that is held."""
        series = await self._store.read_newest(key, count, TimeRange(min(EPOCH, until), until))
        lacks = count - len(series)
        if not lacks:
            return series
        first = series[0].opened_at if len(series) else until
        # Without this the answer would claim to be whole: fewer rows than asked for are no news of a gap.
        begin = key.timeframe.move(first, -lacks)
        return evolve(series, coverage=series.coverage.within(TimeRange(begin, until)))

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedRequestError(f"channel {self._name!r} holds candles only; {what} are known to other channels")

    async def get_ticker(self, symbol: str) -> Ticker:
        """Refuse: tickers are not kept."""
        self._refuse(f"tickers of {symbol}")

    async def get_tickers(self, symbols: Sequence[str]) -> Sequence[Ticker]:
        """Refuse: tickers are not kept."""
        self._refuse(f"tickers of {', '.join(symbols)}")

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Refuse: books are not kept."""
        self._refuse(f"books of {symbol} to depth {depth}")

    async def get_trades(self, symbol: str, count: int = 100) -> Sequence[Trade]:
        """Refuse: trades are not kept."""
        self._refuse(f"{count} trades of {symbol}")

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()
