"""The channel ``websocket``: live streams, and single answers from a SNAPSHOT."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TypeVar, cast

from attrs import evolve

from ...domain.adapter import AdapterContext
from ...domain.candle import Candle
from ...domain.capabilities import Capabilities, DataKind, HistoryDepth
from ...domain.coverage import Coverage
from ...domain.errors import (
    ChannelTimeoutError,
    ClosedError,
    MalformedReplyError,
    RateLimitedError,
    UnsupportedRequestError,
)
from ...domain.finality import Finality
from ...domain.orderbook import OrderBook
from ...domain.ports import LiveStream
from ...domain.request import Topic, check_depth
from ...domain.series import CandleSeries
from ...domain.status import Headroom
from ...domain.streaming import LiveValue, Received, Rejected
from ...domain.symbol import Symbol
from ...domain.ticker import Ticker
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ...domain.trade import Trade
from ..websocket_transport import Connect, connect
from .connection import Connector, UpbitSocket
from .errors import explain_frame_error
from .frames import ControlFrame, FrameOrigin, FrameReader
from .options import UpbitOptions
from .protocol import STREAM_CODES, stream_depth, stream_type
from .rate_limits import ConnectBudget
from .stream import UpbitStream
from .venue_identity import VenueIdentity

Value = TypeVar("Value")

MAX_WAITING = 1
"""Questions that may wait for their turn: a SNAPSHOT takes 170-350 ms, and a new question would replace the old."""
MAX_WAIT_S = 0.3
"""Market seconds that a single answer waits for the socket's message budget before another channel is asked."""

CAPABILITIES = Capabilities(
    answers=frozenset(DataKind),
    follows=frozenset(DataKind),
    timeframes=frozenset(STREAM_CODES),
    live_timeframes=frozenset(STREAM_CODES),
    history=HistoryDepth.TIP,
    candles_per_call=1,
    trades_per_call=1,
    calls_are_free=True,
)


class UpbitWebSocket:
    """Upbit's public socket. Single answers come from SNAPSHOTs on one socket that is kept for them."""

    def __init__(self, options: UpbitOptions, context: AdapterContext, connect: Connect = connect) -> None:
        """Open nothing yet; ``connect`` opens the connections."""
        self._options = options
        self._context = context
        self._capabilities = evolve(CAPABILITIES, canary=options.site.canary)
        self.identity = VenueIdentity(options.socket_address, options, context.clock)
        self._connects = ConnectBudget.of(options, context)
        self._connector = Connector(options, context, self.identity, self._connects, connect)
        self._asking = asyncio.Lock()
        self._waiting = 0
        self._kept: UpbitSocket | None = None
        self._resources = AsyncExitStack()
        self._is_closed = False

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._context.name

    @property
    def venue(self) -> str:
        """Whose data this is, as far as the address and the upgrade say."""
        return self.identity.venue

    @property
    def capabilities(self) -> Capabilities:
        """Live everything, and the newest value of everything."""
        return self._capabilities

    def headroom(self) -> dict[str, Headroom]:
        """Return what the limit of connects leaves."""
        return self._connects.headroom()

    @asynccontextmanager
    async def open_stream(
        self, topics: Collection[Topic], *, canary: Topic | None = None
    ) -> AsyncGenerator[LiveStream]:
        """Follow ``topics`` until the context ends; see :class:`~market_backbone.domain.ports.LiveChannel`.

        Raises:
            UnsupportedRequestError: Upbit streams no such thing, or nothing was named.

        """
        self._check_open()
        for topic in topics:
            stream_type(topic)
        if not topics:
            raise UnsupportedRequestError("nothing to follow: name at least one topic")
        stream = UpbitStream(topics, self._connector, canary=canary)
        try:
            yield stream
        finally:
            await stream.close()

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return the newest candle only, from a SNAPSHOT.

        Raises:
            UnsupportedRequestError: more than the newest candle was asked for.

        """
        if count not in {None, 1} or start is not None or end is not None:
            msg = "the socket knows the newest candle only; ask the API, which takes the rest from REST"
            raise UnsupportedRequestError(msg)
        market, frame = Symbol(symbol), Timeframe.parse(timeframe)
        candle = await self._snapshot(Topic(DataKind.CANDLE, market, frame), Candle)
        candle = evolve(candle, finality=self._judge(candle))
        span = TimeRange(candle.opened_at, candle.closed_at)
        return CandleSeries.of(candle.venue, market, frame, [candle], Coverage(asked=span))

    def _judge(self, candle: Candle) -> Finality:
        # A SNAPSHOT may be of a slot that has ended: without a trade in the present one it is the newest there is.
        earliest = self._context.server_time.earliest()
        return Finality.CLOSED if earliest is not None and earliest >= candle.closed_at else Finality.FORMING

    async def get_ticker(self, symbol: str) -> Ticker:
        """Return the ticker of one symbol, from a SNAPSHOT."""
        return await self._snapshot(Topic(DataKind.TICKER, Symbol(symbol)), Ticker)

    async def get_tickers(self, symbols: Sequence[str]) -> Sequence[Ticker]:
        """Return tickers in the order of ``symbols``, from the SNAPSHOTs of one request."""
        topics = [Topic(DataKind.TICKER, Symbol(symbol)) for symbol in symbols]
        if not topics:
            return []
        found = await self._ask(topics)
        return [_as(found[topic], Ticker) for topic in topics]

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Return the book of one symbol, from a SNAPSHOT."""
        check_depth(depth)
        topic = Topic(DataKind.ORDERBOOK, Symbol(symbol))
        found = await self._ask([topic], depth=stream_depth(depth))
        return _as(found[topic], OrderBook).to_depth(depth)

    async def get_trades(self, symbol: str, count: int = 1) -> Sequence[Trade]:
        """Return the last trade only, from a SNAPSHOT.

        Raises:
            UnsupportedRequestError: more than the last trade was asked for.

        """
        if count != 1:
            msg = "the socket knows the last trade only; ask the API, which takes the rest from REST"
            raise UnsupportedRequestError(msg)
        return [await self._snapshot(Topic(DataKind.TRADE, Symbol(symbol)), Trade)]

    async def _snapshot(self, topic: Topic, kind: type[Value]) -> Value:
        return _as((await self._ask([topic]))[topic], kind)

    async def _ask(self, topics: Sequence[Topic], *, depth: int | None = None) -> dict[Topic, LiveValue]:
        """Return the SNAPSHOT of every topic; one request at a time, since a new one replaces the old."""
        for topic in topics:
            stream_type(topic)
        if self._waiting > MAX_WAITING:
            msg = f"{self._waiting} questions wait for this socket already; another channel can answer at once"
            raise RateLimitedError(msg, channel=self.name, retryable=False, is_fault=False)
        self._waiting += 1
        try:
            # The wait for the lock counts, too: the caller has one deadline, however many ask.
            async with asyncio.timeout(self._options.reply_timeout_s), self._asking:
                return await self._ask_alone(topics, depth)
        except TimeoutError as error:
            msg = (
                f"no snapshot of {' '.join(map(str, topics))} within {self._options.reply_timeout_s:g} s; "
                "the exchange says nothing about codes that it does not know"
            )
            raise ChannelTimeoutError(msg, channel=self.name) from error
        finally:
            self._waiting -= 1

    async def _ask_alone(self, topics: Sequence[Topic], depth: int | None) -> dict[Topic, LiveValue]:
        # 5 messages a second and 100 a minute a connection (docs 2026-10-07): beyond that another channel is sooner.
        if self._kept is not None and (waits_s := self._kept.message_delay_s()) > MAX_WAIT_S:
            msg = f"the socket may send its next message in {waits_s:.1f} s only; another channel can answer at once"
            raise RateLimitedError(msg, channel=self.name, retryable=False, retry_after=waits_s, is_fault=False)
        try:
            socket = await self._kept_socket()
            await socket.subscribe(uuid.uuid4().hex, topics, depth=depth, snapshot_only=True)
            return await self._collect(socket, set(topics))
        except BaseException:  # late, lost or cancelled half-way: what the socket still sends belongs to nobody
            await self._drop_kept()
            raise

    async def _collect(self, socket: UpbitSocket, missing: set[Topic]) -> dict[Topic, LiveValue]:
        found: dict[Topic, LiveValue] = {}
        # Without topics: 0-2 stray frames of the request before (seen 2026-09-23) are read and passed over.
        reader, origin = FrameReader(self._options.frame_format), FrameOrigin(self.identity.venue, self.name)
        while missing:
            for item in [item for frame in await socket.receive() for item in reader.read(frame, origin)]:
                if isinstance(item, Received) and item.topic in missing and item.is_snapshot:
                    missing.discard(item.topic)
                    found[item.topic] = item.value
                elif isinstance(item, ControlFrame) and item.error is not None:
                    raise explain_frame_error(item.error, channel=self.name)
                elif isinstance(item, Rejected):
                    msg = f"instead of a snapshot came {item.excerpt!r}: {item.reason}"
                    raise MalformedReplyError(msg, channel=self.name)
        return found

    async def _kept_socket(self) -> UpbitSocket:
        self._check_open()
        # An idle socket is closed after 60 s without a close frame (probed 2026-09-23); nobody reads it meanwhile.
        if self._kept is not None and not self._kept.is_open:
            await self._drop_kept()
        if self._kept is None:
            resources = self._resources
            socket = await resources.enter_async_context(self._connector.open())
            if self._is_closed:  # while it was connecting: nobody else will close it
                await resources.aclose()
            self._check_open()
            self._kept = socket
        return self._kept

    async def _drop_kept(self) -> None:
        self._kept = None
        # Exchanged before the await: a second caller must not close the same socket.
        resources, self._resources = self._resources, AsyncExitStack()
        await resources.aclose()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError(f"the channel {self.name!r} is closed; create a new API object")

    async def close(self) -> None:
        """Close the kept socket, and share the budget no longer; idempotent."""
        self._is_closed = True
        self._connects.close()
        await self._drop_kept()


def _as(value: LiveValue, _: type[Value]) -> Value:
    """Narrow a value to the type that its topic carries; the frame reader pairs the two."""
    return cast("Value", value)
