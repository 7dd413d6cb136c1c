"""A stream of ccxt.pro, life after life: each life has a ccxt object, and so connections, of its own."""

import asyncio
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from market_backbone import (
    Candle,
    ChannelError,
    ChannelUnavailableError,
    DataKind,
    Finality,
    MarketDataError,
    OrderBook,
    RequestError,
    Trade,
)
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import LifeBegan, LifeEnded, Received, StreamItem
from market_backbone.domain.timestamps import EPOCH

from .exchange import CcxtExchange
from .failures import translated
from .values import Origin, to_book, to_candle, to_trade

MAX_ITEMS = 10_000
BOOK_DEPTH = 30
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 30.0


class CcxtStream:
    """The items of some topics.

    Invariant: between ``LifeEnded`` and the next ``LifeBegan`` nothing is delivered. A life begins with its first
    value, because ccxt.pro does not tell when a subscription has been sent.
    """

    def __init__(self, exchange: CcxtExchange, topics: Collection[Topic]) -> None:
        """Open nothing yet."""
        self._exchange = exchange
        self._topics = topics
        self._items: asyncio.Queue[StreamItem | MarketDataError] = asyncio.Queue(MAX_ITEMS)
        self._given_up = asyncio.Event()
        self._cause = ""
        self._life = 0
        self._is_alive = False
        self._shown: set[Topic] = set()
        self._sockets: tuple[Any, ...] = ()

    def __aiter__(self) -> "CcxtStream":
        """Iterate over the items."""
        return self

    async def __anext__(self) -> StreamItem:
        """Return the next item.

        Raises:
            RequestError: something that is followed cannot be; no retry can help.

        """
        item = await self._items.get()
        if isinstance(item, MarketDataError):
            raise item
        return item

    def abandon(self, cause: str) -> None:
        """Give up the present life, and begin another."""
        self._cause = cause
        self._given_up.set()

    async def run(self) -> None:
        """Live, life after life, until cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            error = await self._live_until_it_ends()
            if isinstance(error, RequestError):
                await self._items.put(error)
                return
            pause_s = FIRST_PAUSE_S if self._is_alive else min(MAX_PAUSE_S, pause_s * 2)
            self._is_alive = False
            await self._items.put(LifeEnded(self._life, str(error)))
            await self._exchange.context.clock.sleep(pause_s)

    async def _live_until_it_ends(self) -> MarketDataError:
        """Return why a life has ended; whatever it was, the stream goes on or says so."""
        try:
            await self._live()
        except (ExceptionGroup, MarketDataError) as failure:
            return _first(failure, self._exchange.name)
        return ChannelUnavailableError("nothing is watched any more", channel=self._exchange.name)

    async def _live(self) -> None:
        """Watch every topic until the first failure, which ends the life for all of them."""
        names = {topic: (await self._exchange.market_of(topic.symbol))[1] for topic in self._topics}
        shared, raw = self._exchange.raw, self._exchange.make()
        raw.set_markets(shared.markets, shared.currencies)
        self._given_up.clear()
        self._shown, self._sockets = set(), ()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._wait_until_given_up())
                for topic, name in names.items():
                    tasks.create_task(self._watch(raw, topic, name))
        finally:
            await raw.close()

    async def _wait_until_given_up(self) -> None:
        await self._given_up.wait()
        raise ChannelUnavailableError(self._cause, channel=self._exchange.name)

    async def _watch(self, raw: Any, topic: Topic, name: str) -> None:
        origin = self._exchange.origin(topic.symbol)
        while True:
            with translated(self._exchange.name):
                values = list(await self._next_values(raw, topic, name, origin))
            self._check_sockets(raw)
            for value in values:
                await self._deliver(topic, value)

    async def _next_values(
        self, raw: Any, topic: Topic, name: str, origin: Origin
    ) -> Iterable[Candle | Trade | OrderBook]:
        match topic.kind:
            case DataKind.TRADE:
                return [to_trade(row, origin) for row in await raw.watch_trades(name)]
            case DataKind.ORDERBOOK:
                book, now = await raw.watch_order_book(name), self._exchange.server_time.earliest()
                return [to_book(book, origin, BOOK_DEPTH, now or EPOCH)]
            case _:
                frame = topic.timeframe
                rows = await raw.watch_ohlcv(name, str(frame))
                rows = rows if not rows or isinstance(rows[0], list) else [rows]  # Upbit's comes alone
                return [to_candle(row, origin, frame, (Finality.FORMING, None)) for row in rows if self._has_begun(row)]

    def _has_begun(self, row: list[Any]) -> bool:
        latest: datetime | None = self._exchange.server_time.latest()
        return latest is None or row[0] <= latest.timestamp() * 1000

    def _check_sockets(self, raw: Any) -> None:
        """End the life when ccxt has replaced a connection on the quiet."""
        now = tuple(raw.clients.values())
        if any(all(one is not other for other in now) for one in self._sockets):
            raise ChannelUnavailableError("ccxt.pro has opened another connection", channel=self._exchange.name)
        self._sockets = now

    async def _deliver(self, topic: Topic, value: Candle | Trade | OrderBook) -> None:
        if not self._is_alive:
            self._life += 1
            self._is_alive = True
            await self._items.put(LifeBegan(self._life))
        received_at = self._exchange.context.clock.monotonic()
        is_first = topic not in self._shown
        self._shown.add(topic)
        item = Received(topic=topic, value=value, life=self._life, is_snapshot=is_first, received_at=received_at)
        await self._items.put(item)


def _first(failure: Exception, channel: str) -> MarketDataError:
    """Return the first failure of a life; the others follow from it."""
    error = failure
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return (
        error
        if isinstance(error, MarketDataError)
        else ChannelError(f"{type(error).__name__}: {error}", channel=channel)
    )
