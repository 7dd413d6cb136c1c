"""One WebSocket connection to Upbit: open inside the connect limit, send inside the message limit."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

from attrs import frozen

from ...domain.adapter import AdapterContext
from ...domain.errors import ChannelTimeoutError, ChannelUnavailableError
from ...domain.request import Topic
from ..websocket_transport import Connect, Connection, ConnectionLost, Destination, UpgradeRefused
from .errors import explain_upgrade
from .options import UpbitOptions
from .protocol import subscription
from .rate_limits import ConnectBudget, MessageBudget
from .venue_identity import VenueIdentity


class UpbitSocket:
    """An open connection; ``receive`` raises ``ChannelUnavailableError`` once it is lost, however it was lost."""

    def __init__(self, connection: Connection, options: UpbitOptions, context: AdapterContext) -> None:
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
        except ConnectionLost as error:
            raise self._lost(error) from error

    def message_delay_s(self) -> float:
        """Return how many market seconds the next message would have to wait."""
        return max(0.0, self._messages.delay(self._context.clock.monotonic())) if self.is_open else 0.0

    @property
    def is_open(self) -> bool:
        """Whether the connection has not been seen to end."""
        return self._connection.is_open

    async def receive(self) -> list[bytes]:
        """Return the frames that have come since, at least one.

        Raises:
            ChannelUnavailableError: the connection is gone, or was given up; what it still held is dropped.

        """
        try:
            frames = await self._connection.receive()
        except ConnectionLost as error:
            raise self._lost(error) from error
        # Frames that were read before the socket was given up are dropped: they belong to no life.
        if self._cause:
            raise ChannelUnavailableError(self._cause, channel=self._context.name)
        return frames

    def _lost(self, error: ConnectionLost) -> ChannelUnavailableError:
        return ChannelUnavailableError(self._cause or str(error), channel=self._context.name)

    async def keep_alive(self) -> None:
        """Ping every 20 s of market time; a pong that is late by real time ends the connection.

        The exchange closes sockets that are idle for 60 s (probed 2026-09-23; its docs say 120 s).
        """
        while True:
            # The idle rule is the server's, so market time; a late pong is the network's, so real time.
            await self._context.clock.sleep(self._options.ping_interval_s)
            try:
                async with asyncio.timeout(self._options.pong_timeout_s):
                    await self._connection.ping()
            except TimeoutError:
                self.abandon(f"no pong within {self._options.pong_timeout_s:g} s")
                return
            except ConnectionLost:
                return

    def abandon(self, cause: str) -> None:
        """Drop the connection at once; the next ``receive`` says ``cause``."""
        # The first cause stays: what follows is its consequence.
        self._cause = self._cause or cause
        self._connection.abort()


@frozen(eq=False)
class Connector:
    """How sockets to one address are opened."""

    options: UpbitOptions
    context: AdapterContext
    identity: VenueIdentity
    connects: ConnectBudget
    connect: Connect

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[UpbitSocket]:
        """Open one connection, and close it with the context.

        Raises:
            ChannelError: it could not be opened; ``retry_after`` says when the exchange wants to be asked again.

        """
        async with self.connects.acquire() as permit:
            # A connect counts until its upgrade is answered; the permit ends with this block, not with the socket.
            connection = await self._connect()
            permit.answered()
        try:
            self.identity.learn(connection.headers)
            yield UpbitSocket(connection, self.options, self.context)
        finally:
            # No close frame: a server that has stalled would keep us waiting for its answer.
            connection.abort()
            await connection.wait_closed()

    async def _connect(self) -> Connection:
        options, name, address = self.options, self.context.name, self.options.socket_address
        destination = Destination(
            address=address,
            tls=options.tls() if address.startswith("wss") else None,
            connect_timeout_s=options.connect_timeout_s,
            max_frame_bytes=options.max_frame_bytes,
            compression=options.compression,
        )
        try:
            return await self.connect(destination)
        except UpgradeRefused as error:
            self.connects.refused(error.status, error.headers, error.body)
            raise explain_upgrade(error.status, error.headers, error.body, channel=name) from error
        except TimeoutError as error:
            msg = f"no connection to {address} within {options.connect_timeout_s:g} s; check the network"
            raise ChannelTimeoutError(msg, channel=name) from error
        except OSError as error:
            msg = f"cannot reach {address}: {error or type(error).__name__}; run 'market-backbone doctor'"
            raise ChannelUnavailableError(msg, channel=name) from error
