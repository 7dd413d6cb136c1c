"""The sockets: aiohttp around the sans-I/O handlers, and nothing else."""

import asyncio
import contextlib
from collections.abc import Mapping

import attrs
from aiohttp import WSMsgType, web

from .clock import SandboxClock
from .config import SandboxConfig
from .counters import Counters
from .number_format import http_date
from .rest.admin import AdminHandler
from .rest.rest import RestHandler, RestReply, RestRequest
from .websocket.session import Close, Session
from .websocket.upgrades import UpgradeHandler

_POLL_S = 0.01
_IDLE_POLL_S = 0.04
_SHUTDOWN_S = 0.2
_LARGEST_MESSAGE = 1 << 20
_WEBSOCKET_PATH = "/websocket/v1"
_SWITCHING_PROTOCOLS = 101


@attrs.frozen
class Handlers:
    """What the server asks."""

    rest: RestHandler
    upgrades: UpgradeHandler
    admin: AdminHandler
    counters: Counters


class Server:
    """One listening port for REST, WebSocket and the admin endpoint."""

    def __init__(self, config: SandboxConfig, clock: SandboxClock, handlers: Handlers, dataset: str) -> None:
        self._config = config
        self._clock = clock
        self._handlers = handlers
        self._banner = {"X-Market-Sandbox": f"dataset={dataset}; speed={clock.speed:g}"}
        self._runner: web.AppRunner | None = None
        self._sockets: dict[int, web.Request] = {}
        self._connections = 0

    async def start(self) -> int:
        """Listen and return the port."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, self._config.host, self._config.port).start()
        except OSError:
            await self.stop()
            raise
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Drop every connection and free the port."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for request in tuple(self._sockets.values()):
            _drop(request)
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/sandbox"):
            return await self._answer_admin(request)
        if request.path.rstrip("/") == _WEBSOCKET_PATH:
            return await self._answer_upgrade(request)
        headers = request.headers
        reply = self._handlers.rest.answer(
            RestRequest(
                request.method,
                request.path,
                request.query,
                request.remote or "",
                "Origin" in headers,
                "gzip" in headers.get("Accept-Encoding", ""),
            ),
            self._clock.now_ms(),
        )
        if reply.delay_s:
            await asyncio.sleep(self._clock.real_s(reply.delay_s))
        return self._response(reply)

    def _response(self, reply: RestReply) -> web.Response:
        return web.Response(status=reply.status, body=reply.body, headers=self._stamped(reply.headers))

    def _stamped(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {**headers, **self._banner, "Date": http_date(self._clock.now_ms())}

    async def _answer_admin(self, request: web.Request) -> web.Response:
        body = await request.read()
        return self._response(self._handlers.admin.answer(request.method, request.path, body))

    async def _answer_upgrade(self, request: web.Request) -> web.StreamResponse:
        now, upgrades = self._clock.now_ms(), self._handlers.upgrades
        reply = upgrades.ask(request.remote or "", now, has_origin="Origin" in request.headers)
        if reply.status != _SWITCHING_PROTOCOLS:
            return self._response(reply)
        socket = web.WebSocketResponse(autoping=False, max_msg_size=_LARGEST_MESSAGE, compress=True)
        if not socket.can_prepare(request).ok:
            return self._response(RestReply(400, b"Expected a WebSocket upgrade.", reply.headers))
        socket.headers.update(self._stamped(reply.headers))
        await socket.prepare(request)
        await self._serve_socket(request, socket, upgrades.open(now))
        return socket

    async def _serve_socket(self, request: web.Request, socket: web.WebSocketResponse, session: Session) -> None:
        self._connections += 1
        number = self._connections
        self._sockets[number] = request
        try:
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(self._pump(request, socket, session))
                with contextlib.suppress(ConnectionError):  # a pong to a client that has just gone
                    await self._read(socket, session)
                # The reader ends first: only it sees the client go, and a pump without a client would wait for ever.
                pump.cancel()
        finally:
            del self._sockets[number]

    async def _read(self, socket: web.WebSocketResponse, session: Session) -> None:
        """Take messages until the connection ends."""
        while True:
            message = await socket.receive()
            now = self._clock.now_ms()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._handlers.counters.messages += 1
                data = message.data
                session.receive(data if isinstance(data, str) else bytes(data).decode(errors="replace"), now)
                if session.is_subscribed:
                    self._clock.release()
            elif message.type is WSMsgType.PING:
                session.touch(now)
                if session.answers_pings(now):
                    await socket.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                return

    async def _pump(self, request: web.Request, socket: web.WebSocketResponse, session: Session) -> None:
        """Send what is due, until the session ends the connection."""
        try:
            async with asyncio.timeout(None) as patience:
                while True:
                    patience.reschedule(None)
                    await asyncio.sleep(_POLL_S if session.is_subscribed else _IDLE_POLL_S)
                    # Only while sending: what waits here is a client that does not read.
                    patience.reschedule(asyncio.get_running_loop().time() + self._config.slow_reader_s)
                    for outgoing in session.due(self._clock.now_ms()):
                        if isinstance(outgoing, Close):
                            await _close(request, socket, outgoing)
                            return
                        await socket.send_bytes(outgoing)
                        self._handlers.counters.frames += 1
        except (ConnectionError, TimeoutError):
            # The client is gone, or reads too slowly to be served.
            _drop(request)


async def _close(request: web.Request, socket: web.WebSocketResponse, close: Close) -> None:
    if close.code is None:
        _drop(request)
    else:
        await socket.close(code=close.code)


def _drop(request: web.Request) -> None:
    """Cut the connection without a close frame."""
    if request.transport is not None:
        request.transport.abort()
