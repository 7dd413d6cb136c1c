"""The sandbox's market behind transports in memory: the same bodies and frames, without sockets.

Invariants:
    What one end of a connection sends arrives in its order.
    A round trip is the seed's own constant plus at most ``JITTER_S``, unless the script makes it a straggler.
    While the network is cut, nothing passes; what was under way is lost, and connections that live are silent.
"""

import asyncio
import random
from collections import deque
from contextlib import contextmanager
from types import SimpleNamespace

from attrs import evolve

from market_backbone.domain.errors import ChannelTimeoutError, ChannelUnavailableError, ClosedError
from market_backbone.infrastructure import clock as backbone_clock
from market_backbone.infrastructure.http_transport import Reply
from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig
from market_backbone.infrastructure.sandbox import clock as sandbox_clock
from market_backbone.infrastructure.sandbox.market.sources import SeededSource
from market_backbone.infrastructure.sandbox.number_format import http_date
from market_backbone.infrastructure.sandbox.rest.rest import RestRequest
from market_backbone.infrastructure.sandbox.websocket.session import Close
from market_backbone.infrastructure.websocket_transport import ConnectionLost, UpgradeRefused

JITTER_S = 0.018
ADDRESS, CANARY = "127.0.0.1", "KRW-BTC"
MAX_UNREAD = 50_000


@contextmanager
def simulated_time(loop, drift):
    """Have every part read the loop's time; the server's clock runs faster by ``drift``."""
    ours = SimpleNamespace(monotonic=loop.time, time=loop.time)
    theirs = SimpleNamespace(monotonic=lambda: loop.time() * (1 + drift), time=lambda: loop.time() * (1 + drift))
    kept = backbone_clock.time, sandbox_clock.time
    backbone_clock.time, sandbox_clock.time = ours, theirs
    try:
        yield
    finally:
        backbone_clock.time, sandbox_clock.time = kept


class SimulatedNetwork:
    """One exchange, and the way to it.

    Attributes:
        refused: requests, upgrades and messages that the server counted above its limits.
        stragglers: requests whose way took longer than the jitter that a client has to expect.
        calls: requests that have reached the server.

    """

    def __init__(self, plan, history):
        config = SandboxConfig(seed=plan.market, starts_at=plan.starts_at)
        self.sandbox = Sandbox(config)
        self.sandbox._clock.restart()
        _calm_canary(self.sandbox.market, plan.market)
        self.handlers = self.sandbox._server._handlers
        self.banner = self.sandbox._server._banner
        self.history = history
        self.connections = {}
        self.refused, self.stragglers, self.calls = 0, 0, 0
        self.straggler_share = 0.0
        self.cut_until = 0.0
        self._plan = plan
        self._dice = random.Random(f"{plan.seed}/network")
        self._number = 0
        self._watch_limits()

    def _watch_limits(self):
        limits = self.handlers.rest._limits
        ask = limits.ask

        def counted(address, group, now):
            verdict = ask(address, group, now)
            self.refused += verdict.status in {418, 429}
            return verdict

        limits.ask = counted

    @property
    def now_ms(self):
        """What the server's clock says."""
        return self.sandbox.now_ms()

    @property
    def is_cut(self):
        """Whether nothing passes now."""
        return asyncio.get_running_loop().time() < self.cut_until

    def cut(self, seconds):
        """Let nothing pass for so many seconds."""
        self.cut_until = max(self.cut_until, asyncio.get_running_loop().time() + seconds)

    async def travel(self, *, may_straggle=False):
        """Take one way; what meets a cut network never arrives."""
        delay_s = self.one_way_s()
        if may_straggle and self._dice.random() < self.straggler_share:
            self.stragglers += 1
            delay_s += self._dice.uniform(0.1, 2.5)
        await asyncio.sleep(delay_s)
        if self.is_cut:
            await asyncio.Event().wait()

    def one_way_s(self):
        """Draw how long one way takes."""
        return self._plan.round_trip_s / 2 + self._dice.uniform(0, JITTER_S / 2)

    def stamped(self, headers):
        """Return a reply's headers as the server sends them now."""
        return {**headers, **self.banner, "Date": http_date(self.now_ms)}

    def make_http(self, base_url, limits, clock, tls, name):
        """Make what carries calls; a ``HttpFactory``."""
        return SimulatedHttp(self, limits, clock, name)

    async def connect(self, destination):
        """Open a connection; a ``Connect``."""
        async with asyncio.timeout(destination.connect_timeout_s):
            await self.travel()
            now = self.now_ms
            reply = self.handlers.upgrades.ask(ADDRESS, now, has_origin=False)
            self.history.note("upgrade", reply.status)
            session = self.handlers.upgrades.open(now) if reply.status == 101 else None
            headers = self.stamped(reply.headers)
            if session is None:
                await self.travel()
                raise UpgradeRefused(reply.status, headers, reply.body)
            self._number += 1
            connection = SimulatedConnection(self, self._number, session, headers)
            try:
                await self.travel()
            except BaseException:
                connection.abort()
                raise
            return connection

    def subscribed(self):
        """Return what the server sends at present, as (type, code)."""
        running = [connection.session._running for connection in self.connections.values()]
        return {(each.type, each.code) for one in running if one is not None for each in one.live_from}

    @property
    def open_connections(self):
        """How many connections are alive."""
        return len(self.connections)


def _calm_canary(market, seed):
    """Let the busiest book change twice a second instead of ten times: it is read for its time only."""
    spec = evolve(market.view(CANARY).source.spec, book_grid_ms=500)
    market._sources[CANARY] = SeededSource(seed, spec)
    market._plain[CANARY] = evolve(market._plain[CANARY], source=market._sources[CANARY])


class SimulatedHttp:
    """Calls to the simulated exchange, with the errors of the real transport."""

    def __init__(self, network, limits, clock, name):
        self._network, self._limits, self._clock, self._name = network, limits, clock, name
        self._is_closed = False

    async def get(self, path, query, hooks=None):
        if self._is_closed:
            raise ClosedError(f"the channel {self._name!r} is closed; create a new API object")
        try:
            async with asyncio.timeout(self._limits.reply_timeout_s):
                return await self._exchange(path, query, hooks)
        except TimeoutError as error:
            raise ChannelTimeoutError("no answer in time", channel=self._name) from error
        except ConnectionError as error:
            raise ChannelUnavailableError(f"cannot reach it: {error}", channel=self._name) from error

    async def _exchange(self, path, query, hooks):
        network, sent = self._network, self._clock.monotonic()
        if hooks is not None:
            hooks.written()
        await network.travel(may_straggle=True)
        network.calls += 1
        reply = network.handlers.rest.answer(RestRequest("GET", path, dict(query), ADDRESS), network.now_ms)
        network.history.note("call", path, sorted(query.items()), reply.status)
        await asyncio.sleep(reply.delay_s)
        headers = network.stamped(reply.headers)
        await network.travel()
        if hooks is not None:
            hooks.answered()
        received = self._clock.monotonic()
        return Reply(status=reply.status, headers=headers, body=reply.body, sent=sent, received=received)

    async def close(self):
        self._is_closed = True


class SimulatedConnection:
    """One socket: a session of the sandbox at one end, the port ``Connection`` at the other."""

    def __init__(self, network, number, session, headers):
        self.headers = headers
        self._network, self._number, self.session = network, number, session
        self._inbox = deque()
        self._arrived = asyncio.Event()
        self._how = ""
        self._sent_until = 0.0
        network.connections[number] = self
        self._pump = asyncio.get_running_loop().create_task(self._send_what_is_due())

    @property
    def is_open(self):
        return not self._how

    async def send(self, text):
        self._check()
        loop = asyncio.get_running_loop()
        self._sent_until = max(self._sent_until, loop.time(), self._network.cut_until) + self._network.one_way_s()
        loop.call_at(self._sent_until, self._take, text)

    def _take(self, text):
        if self.is_open:
            self.session.receive(text, self._network.now_ms)

    async def receive(self):
        while not self._inbox:
            self._check()
            self._arrived.clear()
            await self._arrived.wait()
        came = [frame.encode() if isinstance(frame, str) else frame for frame in self._inbox]
        self._inbox.clear()
        return came

    async def ping(self):
        self._check()
        await self._network.travel()
        if self.is_open and self.session.answers_pings(self._network.now_ms):
            self.session.touch(self._network.now_ms)
            await self._network.travel()
        else:
            while self.is_open:
                await self._arrived.wait()
                await asyncio.sleep(1)
        self._check()

    def abort(self):
        self._inbox.clear()
        self._end("connection lost without a close frame")

    async def wait_closed(self):
        await asyncio.wait([self._pump])

    def _check(self):
        if self._how:
            raise ConnectionLost(self._how)

    def _end(self, how):
        self._how = self._how or how
        self._network.connections.pop(self._number, None)
        self._arrived.set()
        self._pump.cancel()

    async def _send_what_is_due(self):
        while True:
            await asyncio.sleep(self._network._plan.pump_s)
            if self._network.is_cut:
                continue
            for outgoing in self.session.due(self._network.now_ms):
                if isinstance(outgoing, Close):
                    closed = None if outgoing.code is None else f"closed with {outgoing.code}"
                    self._end(closed or "connection lost without a close frame")
                    return
                self._inbox.append(outgoing)
                self._network.history.frame(outgoing)
            if len(self._inbox) > MAX_UNREAD:
                self._end("the server gave up: nobody reads")
                return
            if self._inbox:
                self._arrived.set()
