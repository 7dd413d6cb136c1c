"""Small servers on loopback that say exactly what a test tells them to."""

import asyncio
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
from aiohttp import web
from attrs import define, field
from websockets.asyncio.server import serve

from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.finality import Grace
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime
from market_backbone.infrastructure.upbit import UpbitOptions, UpbitRest, UpbitWebSocket

EXCHANGE_S = 1_773_240_059  # 2026-03-11T14:40:59Z


@define
class ScriptedRest:
    """Answers each path with what was scripted last; remembers every request."""

    url: str = ""
    script: dict = field(factory=dict)
    requests: list = field(factory=list)

    def on(self, path, *answers):
        """Answer ``path`` with these, one after the other; the last one stays."""
        self.script[path] = list(answers)

    async def handle(self, request):
        self.requests.append(request)
        answers = self.script[request.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answer(request) if callable(answer) else answer_of(*answer)

    def asked(self, path):
        return [request for request in self.requests if request.path == path]


def answer_of(body, status=200, headers=None, *, date=True):
    given = {"Content-Type": "application/json;charset=UTF-8", "Remaining-Req": "group=candles; min=600; sec=9"}
    given |= {"Date": formatdate(EXCHANGE_S, usegmt=True)} if date else {"Date": ""}
    given |= headers or {}
    content = body if isinstance(body, bytes) else body.encode()
    return web.Response(body=content, status=status, headers={name: text for name, text in given.items() if text})


@asynccontextmanager
async def serving(handle, tls=None):
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def context_of(name, speed):
    clock = MarketClock(follows_speed=True)
    clock.follow_speed(speed)
    return AdapterContext(name=name, options={}, clock=clock, server_time=MeasuredServerTime(clock), grace=Grace())


@pytest.fixture
async def scripted():
    """A server of scripted answers."""
    rest = ScriptedRest()
    async with serving(rest.handle) as rest.url:
        yield rest


@pytest.fixture
def serve_http():
    """Serve with any aiohttp handler, also over TLS."""
    return serving


@pytest.fixture
def answer():
    return answer_of


@pytest.fixture
async def make_rest():
    """Build REST channels and close them at the end."""
    made = []

    def make(url, *, speed=1.0, **options):
        channel = UpbitRest(UpbitOptions(rest_url=url, **options), context_of("rest", speed))
        made.append(channel)
        return channel

    yield make
    for channel in made:
        await channel.close()


@pytest.fixture
async def raw_server():
    """Answer every connection with raw bytes, or with what a coroutine writes."""
    servers = []

    async def start(answer):
        async def connected(reader, writer):
            try:
                await reader.readuntil(b"\r\n\r\n")
                if callable(answer):
                    await answer(reader, writer)
                else:
                    writer.write(answer)
                    await writer.drain()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()


@define
class ScriptedSocket:
    """A WebSocket server: one script per connection, the last one stays."""

    scripts: list
    port: int = 0
    upgrades: list = field(factory=list)
    subscriptions: list = field(factory=list)
    refusals: list = field(factory=list)
    server: object = None

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    async def start(self, port=0):
        self.server = await serve(
            self.connected, "127.0.0.1", port, process_request=self.admit, ping_interval=None, max_size=None
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self):
        if self.server is not None:
            self.server.close()
            await self.server.wait_closed()
            self.server = None

    def admit(self, connection, request):
        self.upgrades.append(request.headers)
        if not self.refusals:
            return None
        status, text, *headers = self.refusals.pop(0)
        response = connection.respond(status, text)
        response.headers.update(*headers)
        return response

    async def connected(self, connection):
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        await script(self, connection)


@pytest.fixture
async def make_socket():
    """Build WebSocket servers of scripts, started unless told otherwise."""
    made = []

    async def make(*scripts, refusals=(), start=True):
        scripted = ScriptedSocket(list(scripts), refusals=list(refusals))
        made.append(scripted)
        if start:
            await scripted.start()
        return scripted

    yield make
    for scripted in made:
        await scripted.stop()


@pytest.fixture
async def make_websocket():
    """Build WebSocket channels and close them at the end, when nothing of them may be left."""
    before = asyncio.all_tasks()
    made = []

    def make(url, *, speed=50.0, **options):
        channel = UpbitWebSocket(UpbitOptions(websocket_url=url, **options), context_of("websocket", speed))
        made.append(channel)
        return channel

    yield make
    for channel in made:
        await channel.close()
    left = {task for task in asyncio.all_tasks() - before if "keep_alive" in repr(task) and not task.done()}
    assert not left
