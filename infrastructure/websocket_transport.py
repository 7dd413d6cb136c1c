"""WebSocket connections behind one small port: what a stream needs, whichever library carries it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, cast

import websockets
from attrs import field, frozen
from multidict import CIMultiDict
from websockets.asyncio import client
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import Event, State

from .frame_splitter import FrameSplitter
from .http_transport import USER_AGENT
from .sanitize import excerpt

CLOSING_S = 1.0
"""Real seconds in which a server that said good-bye has to hang up."""

MAX_PIECES = 1024
"""Pieces of one message; empty ones cost us memory and the server next to nothing."""

MAX_UNREAD = 1 << 20
"""Bytes of messages that nobody has read; the server has to wait then."""

MAX_HELD = 1 << 25
"""Bytes that one reading may unpack to: a few bytes can stand for megabytes, again and again."""

END_OF_HEAD = b"\r\n\r\n"
MAX_UNSENT = 1 << 20
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

    async def receive(self) -> list[bytes]:
        """Return every message that has come since, oldest first; wait for at least one."""
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


Connect = Callable[[Destination], Awaitable[Connection]]
"""Opens a connection, or raises ``UpgradeRefused``, ``TimeoutError`` or ``OSError``."""


class _Connection:
    """One connection of the package ``websockets``."""

    def __init__(self, connection: "_CuttingConnection") -> None:
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

    async def receive(self) -> list[bytes]:
        try:
            return await self._connection.messages()
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


class _CuttingConnection(client.ClientConnection):
    """Hands over all messages that have come at once; the package reads what is not one plain frame.

    Ends when the server makes us keep more and more without sending a message, or breaks the rules. The
    package asks such a server to hang up, and listens until it does: for ever, if only we listen.
    """

    def __init__(self, max_size: int, protocol: ClientProtocol, **options: Any) -> None:  # noqa: ANN401 - passed through
        super().__init__(protocol, **options)
        self._messages: list[bytes] = []
        self._pieces: list[bytes] = []
        self._unread = 0
        self._is_paused = self._is_ending = False
        self._waiter: asyncio.Future[None] | None = None
        self._head_ended_with = b""
        self._splitter = FrameSplitter(max_size, self._messages.append, self._judge)

    def _judge(self, data: bytes) -> None:
        """Have the package take what is no plain frame; where it breaks the rules, what follows counts no more."""
        super().data_received(data)
        if self.protocol.close_expected():
            self._splitter.give_up()

    def data_received(self, data: bytes) -> None:
        """Take some bytes; once there is nothing more to expect, see to it that the connection ends."""
        # The head may come with the first frames behind it, and the splitter reads frames only.
        if self.protocol.state is State.CONNECTING:
            data = self._shake_hands(data)
        self._unread += len(data)
        self._splitter.feed(data)
        if self._messages:
            self._wake()
            if self._unread > MAX_UNREAD and not self._is_paused:
                self._is_paused = True
                # TCP does the rest: the server's buffer fills, and it decides what to do with a slow reader.
                self.transport.pause_reading()
        if self.protocol.close_expected() and not self._is_ending:
            self._is_ending = True
            # After its close frame a server hangs up itself (Upbit: 150-180 ms, 2026-09-23); else it need not.
            is_orderly = self.protocol.close_rcvd is not None
            self.loop.call_later(CLOSING_S if is_orderly else 0.0, self.transport.abort)

    def _shake_hands(self, data: bytes) -> bytes:
        """Give the answer to the upgrade to the package; return what follows it, where it was accepted."""
        known = self._head_ended_with
        end = (known + data).find(END_OF_HEAD)
        cut = len(data) if end < 0 else end + len(END_OF_HEAD) - len(known)
        # Three bytes are enough: the end of the head may be cut between two readings.
        self._head_ended_with = (known + data)[1 - len(END_OF_HEAD) :]
        super().data_received(data[:cut])
        if self.protocol.state is State.OPEN or cut == len(data):
            return data[cut:]
        super().data_received(data[cut:])
        return b""

    def process_event(self, event: Event) -> None:
        """Take one frame that the package has read."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
        else:
            # The package's type allows a view of its buffer, and a message has to outlive that.
            self._pieces.append(bytes(event.data))
            self._unread += len(event.data)
            if event.fin:
                self._messages.append(b"".join(self._pieces))
                self._pieces.clear()
        # Looked at with every frame: each ping of the server makes us owe a pong.
        is_unread = isinstance(event, Frame) and self.transport.get_write_buffer_size() > MAX_UNSENT
        if is_unread or len(self._pieces) > MAX_PIECES or self._unread > MAX_HELD:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for a message."""
        # First, so that whoever is woken finds the state CLOSED.
        super().connection_lost(exc)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def messages(self) -> list[bytes]:
        """Return what has come; wait for at least one message.

        Raises:
            ConnectionClosed: nothing more will come.

        """
        # Messages before the end: what came with the close frame is still delivered.
        while not self._messages:
            if self.protocol.state is State.CLOSED:
                raise self.protocol.close_exc
            self._waiter = self.loop.create_future()
            await self._waiter
        # A copy and clear(): the splitter holds this very list's append.
        came = self._messages.copy()
        self._messages.clear()
        self._unread = 0
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        return came


class _ConnectHere(client.connect):
    """Connects to the address it was given and to no other: a redirect is a refusal."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow nothing."""
        return exc


async def connect(destination: Destination) -> Connection:
    """Open a connection with the package ``websockets``.

    Raises:
        UpgradeRefused: the server answered something else.
        TimeoutError: no answer in time.
        OSError: no connection, or not a WebSocket server.

    """
    try:
        connection = await _ConnectHere(
            destination.address,
            ssl=destination.tls,
            compression="deflate" if destination.compression else None,
            open_timeout=destination.connect_timeout_s,
            # UpbitSocket pings, by market time, and judges a late pong by real time.
            ping_interval=None,
            close_timeout=CLOSING_S,
            max_size=destination.max_frame_bytes,
            user_agent_header=USER_AGENT,
            # A proxy of the environment would change whose address the limits count.
            proxy=None,
            create_connection=partial(_CuttingConnection, destination.max_frame_bytes),  # pyright: ignore[reportArgumentType] - called only
        )
        return _Connection(cast("_CuttingConnection", connection))
    except websockets.InvalidStatus as error:
        response = error.response
        raise UpgradeRefused(response.status_code, _plain(response.headers), response.body or b"") from error
    except (websockets.WebSocketException, EOFError) as error:
        raise ConnectionError(excerpt(str(error)) or type(error).__name__) from error
