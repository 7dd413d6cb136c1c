"""A bench: the whole emulator without sockets, on a clock that tests move by hand."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig
from market_backbone.infrastructure.sandbox.counters import Counters
from market_backbone.infrastructure.sandbox.faults import FaultSchedule
from market_backbone.infrastructure.sandbox.limits import MessageLimits, RateLimits
from market_backbone.infrastructure.sandbox.market.exchange import Exchange
from market_backbone.infrastructure.sandbox.market.sources import seeded_sources
from market_backbone.infrastructure.sandbox.market.symbols import specs
from market_backbone.infrastructure.sandbox.market.tickers import TickerCalculator
from market_backbone.infrastructure.sandbox.rest.endpoints import Endpoints
from market_backbone.infrastructure.sandbox.rest.rest import RestHandler, RestReply, RestRequest
from market_backbone.infrastructure.sandbox.websocket.session import Close, Session
from market_backbone.infrastructure.sandbox.websocket.streams import Streams

START = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
RECORDED = Path(__file__).resolve().parents[4] / "shared" / "recorded"


START_MS = int(START.timestamp() * 1000)


@lru_cache
def known_sources(region):
    """One market per region for all tests: what it remembers changes no answer."""
    return seeded_sources(7, specs(region, START_MS))


class Bench:
    """The handlers of a sandbox, and its clock in ``now``."""

    def __init__(self, region="kr", limits=False, sources=None, json_refusals=False, block_after=30):
        self.now = START_MS
        self.start = self.now
        self.faults = FaultSchedule(7)
        self.korean = region == "kr"
        self.exchange = Exchange(sources or known_sources(region), self.faults, lambda: self.now)
        self.tickers = TickerCalculator(self.exchange)
        self.counters = Counters()
        self.limits = RateLimits(enabled=limits, block_after=block_after)
        self.rest = RestHandler(
            Endpoints(self.exchange, self.tickers, self.faults, korean=self.korean),
            self.limits,
            self.faults,
            self.counters,
            json_refusals=json_refusals,
        )
        self.streams = Streams(self.exchange, self.tickers, self.faults, korean=self.korean)
        self.sessions = 0

    def reply(self, path: str, method="GET", address="1.2.3.4", origin=False, gzipped=False, **query: Any) -> RestReply:
        texts = {name: str(value) for name, value in query.items()}
        request = RestRequest(method, f"/v1/{path}", texts, address, has_origin=origin, accepts_gzip=gzipped)
        return self.rest.answer(request, self.now)

    def get(self, path: str, **query: Any) -> Any:
        reply = self.reply(path, **query)
        assert reply.status == 200, reply
        return json.loads(reply.body)

    def refused(self, path: str, **query: Any) -> tuple[int, Any]:
        reply = self.reply(path, **query)
        return reply.status, json.loads(reply.body)["error"]

    def inject(self, kind, **parameters):
        self.exchange.apply(self.faults.add(Fault(kind, **parameters), self.now))

    def clear(self):
        self.exchange.withdraw(self.faults.clear())

    def session(self, idle_ms=60_000, limits=True, closes_on_excess=True) -> "Wire":
        self.sessions += 1
        name = str(self.sessions)
        session = Session(
            name,
            self.streams,
            self.faults,
            self.now,
            limits=MessageLimits(enabled=limits),
            idle_ms=idle_ms,
            closes_on_excess=closes_on_excess,
        )
        return Wire(self, session)


class Wire:
    """A client's end of a session: what it sent, what came and when."""

    def __init__(self, bench: Bench, session: Session):
        self.bench = bench
        self.session = session
        self.arrived: list[tuple[int, Any]] = []
        self.closed: Close | None = None

    def send(self, *data: Any, shape=None, ticket="t") -> None:
        self.send_text(json.dumps([{"ticket": ticket}, *data, *([{"format": shape}] if shape else [])]))

    def send_text(self, text: str) -> None:
        self.session.receive(text, self.bench.now)

    def run(self, seconds: float, step_ms=20) -> list[Any]:
        """Let time pass and return the frames that came, decoded."""
        before = len(self.arrived)
        until = self.bench.now + int(seconds * 1000)
        while self.bench.now < until and self.closed is None:
            self.bench.now = min(until, self.bench.now + step_ms)
            for outgoing in self.session.due(self.bench.now):
                if isinstance(outgoing, Close):
                    self.closed = outgoing
                else:
                    self.arrived.append((self.bench.now, outgoing))
        return [decoded(body) for _, body in self.arrived[before:]]

    def bodies(self) -> list[bytes]:
        return [body for _, body in self.arrived]


def decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def closable_bench():
    """A bench whose market may be closed: no other test shares it."""
    return Bench(sources=seeded_sources(7, specs("kr", START_MS)))


@pytest.fixture
def make_bench():
    return Bench


@pytest.fixture
async def sandbox():
    async with Sandbox(SandboxConfig(starts_at=START)) as running:
        yield running


@pytest.fixture
async def client():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def recorded():
    """The folder of real captures, which is no part of the project."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recorded Upbit data at {RECORDED}")
    return RECORDED
