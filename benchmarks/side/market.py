"""An Upbit on loopback for measurements: the sandbox answers REST, and frames come as fast as anybody reads.

Run: python benchmarks/side/market.py [--no-limits] [--whole-market]; it prints its address.
``POST /bench/plan`` says what the next sockets get, ``GET /bench/report`` what they got, and ``POST /bench/start`` lets
everything flow.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from aiohttp import WSMsgType, web
from attrs import define, evolve, field

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from side.flows import Flows, Line, Plan, Tally, Wanted
from side.listing import ORIGINAL, codes, markets, repeated, trades, under

from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig
from market_backbone.infrastructure.sandbox.number_format import http_date
from market_backbone.infrastructure.sandbox.rest.rest import RestHandler, RestReply, RestRequest

GENEROUS = "group={}; min=60000000; sec=999999"
BUFFER = 1 << 20
REQUEST = msgspec.json.Decoder(tuple[Wanted, ...])


@define(eq=False)
class Market:
    """One listening port.

    Attributes:
        has_limits: whether the sandbox's limits hold; without them each reply says that a million calls a second are
            allowed, and answers about the past are kept, so that the clients are measured and not the sandbox.
        is_whole: whether there are as many markets as at the exchange.

    """

    has_limits: bool
    is_whole: bool
    sandbox: Sandbox = field(init=False)
    handler: RestHandler = field(init=False)
    banner: dict[str, str] = field(init=False)
    flows: Flows = field(init=False)
    asked: Counter[str] = field(factory=Counter)
    refused: int = 0
    began_ns: int = 0
    _kept: dict[tuple[object, ...], RestReply] = field(factory=dict)
    _flow: "asyncio.Task[None] | None" = None

    def __attrs_post_init__(self) -> None:
        """Build the sandbox; it does not listen itself."""
        self.sandbox = Sandbox(SandboxConfig(limits=self.has_limits))
        self.flows = Flows(self.sandbox.now_ms)
        self.handler = self.sandbox._handlers().rest
        self.banner = {"X-Market-Sandbox": f"dataset={self.sandbox.dataset}; speed=1"}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever is asked."""
        if request.path.startswith("/bench/"):
            return await self._conduct(request)
        if request.path.rstrip("/") == "/websocket/v1":
            return await self._upgrade(request)
        self.asked[request.path] += 1
        reply = self._whole_market(request) if self.is_whole else self._reply(request.path, request.query, request)
        self.refused += reply.status in {418, 429}
        headers = {**reply.headers, **self.banner, "Date": http_date(self.sandbox.now_ms())}
        if not self.has_limits and "Remaining-Req" in headers:
            group = headers["Remaining-Req"].partition(";")[0].removeprefix("group=")
            headers["Remaining-Req"] = GENEROUS.format(group)
        if self.flows.plan.rest_delay_s:
            await asyncio.sleep(self.flows.plan.rest_delay_s)
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    def _reply(self, path: str, query: Mapping[str, str], request: web.Request, *, zips: bool = True) -> RestReply:
        is_zipped = zips and "gzip" in request.headers.get("Accept-Encoding", "")
        key = (path, *sorted(query.items()), is_zipped)
        if key in self._kept:
            return self._kept[key]
        asked = RestRequest(request.method, path, query, "127.0.0.1", "Origin" in request.headers, is_zipped)
        reply = self.handler.answer(asked, self.sandbox.now_ms())
        if "to" in query and not self.has_limits:
            self._kept[key] = reply
        return reply

    def _whole_market(self, request: web.Request) -> RestReply:
        """Answer for each code what the sandbox knows of one."""
        query, path = dict(request.query), request.path
        wanted = query.get("markets", query.get("market", ORIGINAL)).split(",")
        if path == "/v1/ticker/all":
            path, query, wanted = "/v1/ticker", {}, codes()
        reply = self._reply(path, query | {"market": ORIGINAL, "markets": ORIGINAL}, request, zips=False)
        if path == "/v1/market/all":
            return evolve(reply, body=markets())
        if path == "/v1/trades/ticks":
            return evolve(reply, body=trades(self.flows.recent.get(wanted[0], ()), wanted[0], query))
        return evolve(reply, body=repeated(reply.body, wanted) if len(wanted) > 1 else under(reply.body, wanted[0]))

    async def _conduct(self, request: web.Request) -> web.Response:
        if request.path == "/bench/plan":
            self.flows.follow_plan(msgspec.json.decode(await request.read(), type=Plan))
            self.asked.clear()
            self.refused = 0
        elif request.path == "/bench/start":
            self._start(msgspec.json.decode(await request.read(), type=Plan))
        tally, asked = self.flows.tally, {"asked": self.asked, "refused": self.refused, "began_ns": self.began_ns}
        return web.json_response({"sent": tally.frames, "seconds": tally.seconds, **asked})

    def _start(self, plan: Plan) -> None:
        """Begin a flow of everything, whoever listens, instead of the one that runs."""
        if self._flow is not None:
            self._flow.cancel()
        self.flows.tally, self.began_ns = Tally(), time.monotonic_ns()
        pairs = [(kind, code) for code in codes() for kind in ("trade", "orderbook", "candle.1m")]
        random.Random(1).shuffle(pairs)  # no code waits for all others
        self._flow = asyncio.create_task(self.flows.pace(pairs, plan))

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        socket.headers.update({**self.banner, "Remaining-Req": GENEROUS.format("websocket")})
        socket.headers["Date"] = http_date(self.sandbox.now_ms())
        await socket.prepare(request)
        request.transport.set_write_buffer_limits(BUFFER)
        line = Line(request.transport.write, request.protocol._drain_helper)
        self.flows.lines.append(line)
        try:
            await self._listen(socket, line)
        finally:
            self.flows.lines.remove(line)
        return socket

    async def _listen(self, socket: web.WebSocketResponse, line: Line) -> None:
        """Take subscriptions; the latest one counts."""
        task: asyncio.Task[None] | None = None
        async for message in socket:
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY} and message.data != "PING":
                if task is not None:
                    task.cancel()
                task = asyncio.create_task(self._serve(line, list(REQUEST.decode(message.data))))
        if task is not None:
            task.cancel()

    async def _serve(self, line: Line, request: list[Wanted]) -> None:
        with suppress(ConnectionError):
            await self.flows.serve(line, request)


async def main() -> None:
    """Serve until the standard input ends."""
    market = Market("--no-limits" not in sys.argv, "--whole-market" in sys.argv)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", market.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
