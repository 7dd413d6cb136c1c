"""WebSocket connections behind one small port: what a stream needs, whichever library carries it."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import websockets
from attrs import field, frozen
from multidict import CIMultiDict
from websockets.asyncio.client import ClientConnection, connect
from websockets.datastructures import Headers
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event, State

from .printable import excerpt
from .transport import USER_AGENT

CLOSING_S = 1.0
"""Real seconds in which a server that said good-bye has to hang up."""
MOST_PIECES = 1024
"""Pieces of one message; empty ones cost us memory and the server next to nothing."""
MOST_UNSENT = 1 << 20
"""Bytes of pongs that wait for a server which pings and does not read."""


class ConnectionLost(Exception):  # noqa: N818 - what happened, in the words of who is told
    """The connection has ended; the text says how."""


class UpgradeRefused(Exception):  # noqa: N818 - as above
    """The server answered the upgrade with another status than 101."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the whole answer: it may say for how long it is meant."""
        super().__init__(f"the upgrade was refused with {status}")
        self.status = status
        self.headers = headers
        self.body = body


@frozen(kw_only=True)
class Destination:
    """Where to connect to, and within which bounds; seconds are real seconds."""

    address: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    connect_timeout_s: float = 5.0
    max_frame_bytes: int = 4 << 20
    compression: bool = True


class Connection(Protocol):
    """An open connection.

    Everything but ``abort`` raises ``ConnectionLost`` once the connection has ended.
    """

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer to the upgrade."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the connection has not been seen to end."""
        ...

    async def send(self, text: str) -> None:
        """Send one message."""
        ...

    async def receive(self) -> bytes | str:
        """Return the next message."""
        ...

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""
        ...

    def abort(self) -> None:
        """Cut the connection at once, without a word; idempotent."""
        ...

    async def wait_closed(self) -> None:
        """Return when nothing of the connection is left."""
        ...


Dial = Callable[[Destination], Awaitable[Connection]]
"""Opens a connection, or raises ``UpgradeRefused``, ``TimeoutError`` or ``OSError``."""


class _Connection:
    """One connection of the package ``websockets``."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        response = connection.response
        self.headers: Mapping[str, str] = {} if response is None else _plain(response.headers)

    @property
    def is_open(self) -> bool:
        return self._connection.state is State.OPEN

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except websockets.ConnectionClosed as error:
            raise _lost(error) from error

    async def receive(self) -> bytes | str:
        try:
            return await self._connection.recv(decode=False)
        except websockets.ConnectionClosed as error:
            raise _lost(error) from error

    async def ping(self) -> None:
        try:
            await (await self._connection.ping())
        except websockets.ConnectionClosed as error:
            raise _lost(error) from error

    def abort(self) -> None:
        self._connection.transport.abort()

    async def wait_closed(self) -> None:
        await self._connection.wait_closed()


def _lost(error: websockets.ConnectionClosed) -> ConnectionLost:
    closed = error.rcvd or error.sent
    if closed is None:
        return ConnectionLost("connection lost without a close frame")
    return ConnectionLost(f"closed with {closed.code} {excerpt(closed.reason)}".strip())


def _plain(headers: Headers) -> Mapping[str, str]:
    """Return headers of which each name answers, be it there twice."""
    return CIMultiDict(headers.raw_items())


class _GuardedConnection(ClientConnection):
    """Ends when the server makes us keep more and more without sending a message, or breaks the rules.

    The package asks such a server to hang up, and listens until it does: for ever, if only we listen.
    """

    _pieces = 0
    _is_ending = False

    def data_received(self, data: bytes) -> None:
        """Take some bytes; once there is nothing more to expect, see to it that the connection ends."""
        super().data_received(data)
        if self.protocol.close_expected() and not self._is_ending:
            self._is_ending = True
            is_orderly = self.protocol.close_rcvd is not None
            self.loop.call_later(CLOSING_S if is_orderly else 0.0, self.transport.abort)

    def process_event(self, event: Event) -> None:
        """Take one frame."""
        super().process_event(event)
        if not isinstance(event, Frame):
            return
        if event.opcode in DATA_OPCODES:
            self._pieces = 0 if event.fin else self._pieces + 1
        is_unread = event.opcode is Opcode.PING and self.transport.get_write_buffer_size() > MOST_UNSENT
        if is_unread or self._pieces > MOST_PIECES:
            self.transport.abort()


class _ConnectHere(connect):
    """Connects to the address it was given and to no other: a redirect is a refusal."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow nothing."""
        return exc


async def dial(destination: Destination) -> Connection:
    """Open a connection with the package ``websockets``.

    Raises:
        UpgradeRefused: the server answered something else.
        TimeoutError: no answer in time.
        OSError: no connection, or not a WebSocket server.

    """
    try:
        return _Connection(
            await _ConnectHere(
                destination.address,
                ssl=destination.tls,
                compression="deflate" if destination.compression else None,
                open_timeout=destination.connect_timeout_s,
                ping_interval=None,
                close_timeout=CLOSING_S,
                max_size=destination.max_frame_bytes,
                user_agent_header=USER_AGENT,
                proxy=None,
                create_connection=_GuardedConnection,
            )
        )
    except websockets.InvalidStatus as error:
        response = error.response
        raise UpgradeRefused(response.status_code, _plain(response.headers), response.body or b"") from error
    except (websockets.WebSocketException, EOFError) as error:
        raise ConnectionError(excerpt(str(error)) or type(error).__name__) from error
