"""One WebSocket connection to Upbit: open inside the connect limit, send inside the message limit."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.protocol import State

from ...domain.adapter import AdapterContext
from ...domain.errors import ChannelTimeoutError, ChannelUnavailableError
from ...domain.request import Topic
from ..transport import USER_AGENT
from .failures import explain_upgrade
from .identity import VenueIdentity
from .limits import ConnectBudget, MessageBudget
from .options import UpbitOptions
from .protocol import subscription


class UpbitSocket:
    """An open connection; ``receive`` raises ``ChannelUnavailableError`` once it is lost, however it was lost."""

    def __init__(self, connection: ClientConnection, options: UpbitOptions, context: AdapterContext) -> None:
        """Take over an open connection."""
        self._connection = connection
        self._options = options
        self._context = context
        self._messages = MessageBudget.of(options)
        self._cause = ""

    async def subscribe(self, ticket: str, topics: Collection[Topic], **spelling: object) -> None:
        """Send one request; it replaces what the socket carried."""
        while (delay := self._messages.delay(self._context.clock.monotonic())) > 0:
            await self._context.clock.sleep(delay)
        self._messages.record(self._context.clock.monotonic())
        text = subscription(ticket, topics, frame_format=self._options.frame_format, **spelling)  # pyright: ignore[reportArgumentType] - passed through
        try:
            await self._connection.send(text)
        except websockets.ConnectionClosed as error:
            raise self._lost(error) from error

    def message_delay_s(self) -> float:
        """Return how many market seconds the next message would have to wait."""
        return max(0.0, self._messages.delay(self._context.clock.monotonic())) if self.is_open else 0.0

    @property
    def is_open(self) -> bool:
        """Whether the connection has not been seen to end."""
        return self._connection.state is State.OPEN

    async def receive(self) -> bytes | str:
        """Return the next frame.

        Raises:
            ChannelUnavailableError: the connection is gone, or was given up; what it still held is dropped.

        """
        try:
            frame = await self._connection.recv()
        except websockets.ConnectionClosed as error:
            raise self._lost(error) from error
        if self._cause:
            raise ChannelUnavailableError(self._cause, channel=self._context.name)
        return frame

    def _lost(self, error: websockets.ConnectionClosed) -> ChannelUnavailableError:
        closed = error.rcvd or error.sent
        how = (
            f"closed with {closed.code} {closed.reason}".strip() if closed else "connection lost without a close frame"
        )
        return ChannelUnavailableError(self._cause or how, channel=self._context.name)

    async def keep_alive(self) -> None:
        """Ping every 20 s of market time; a pong that is late by real time ends the connection.

        The exchange closes sockets that are idle for 60 s (probed 2026-09-23; its docs say 120 s).
        """
        while True:
            await self._context.clock.sleep(self._options.ping_interval_s)
            try:
                async with asyncio.timeout(self._options.pong_timeout_s):
                    await (await self._connection.ping())
            except TimeoutError:
                self.abandon(f"no pong within {self._options.pong_timeout_s:g} s")
                return
            except websockets.ConnectionClosed:
                return

    def abandon(self, cause: str) -> None:
        """Drop the connection at once; the next ``receive`` says ``cause``."""
        self._cause = self._cause or cause
        self._connection.transport.abort()


@asynccontextmanager
async def open_socket(
    options: UpbitOptions, context: AdapterContext, identity: VenueIdentity, connects: ConnectBudget
) -> AsyncGenerator[UpbitSocket]:
    """Open one connection, and close it with the context.

    Raises:
        ChannelError: it could not be opened; ``retry_after`` says when the exchange wants to be asked again.

    """
    async with connects.turn() as turn:
        connection = await _connect(options, context.name, connects)
        turn.answered()
    try:
        if connection.response is not None:
            identity.learn(connection.response.headers)
        yield UpbitSocket(connection, options, context)
    finally:
        connection.transport.abort()
        await connection.wait_closed()


class _ConnectHere(connect):
    """Connects to the address it was given and to no other: a redirect is a refusal."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow nothing."""
        return exc


async def _connect(options: UpbitOptions, name: str, connects: ConnectBudget) -> ClientConnection:
    address = options.socket_address
    try:
        return await _ConnectHere(
            address,
            ssl=options.tls() if address.startswith("wss") else None,
            compression="deflate" if options.compression else None,
            open_timeout=options.connect_timeout_s,
            ping_interval=None,
            max_size=options.max_frame_bytes,
            user_agent_header=USER_AGENT,
            proxy=None,
        )
    except websockets.InvalidStatus as error:
        response = error.response
        connects.refused(response.status_code, response.headers, response.body or b"")
        raise explain_upgrade(response.status_code, response.headers, response.body or b"", channel=name) from error
    except TimeoutError as error:
        msg = f"no connection to {address} within {options.connect_timeout_s:g} s; check the network"
        raise ChannelTimeoutError(msg, channel=name) from error
    except (OSError, websockets.WebSocketException, EOFError) as error:
        msg = f"cannot reach {address}: {error or type(error).__name__}; run 'market-backbone doctor'"
        raise ChannelUnavailableError(msg, channel=name) from error
