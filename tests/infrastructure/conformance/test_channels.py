"""Our own channels, and the fake that a newcomer would write, keep what the port promises."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from fake_exchange import FakeExchange

from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.finality import Grace
from market_backbone.infrastructure.candle_store import CachedCandles, MemoryCandleStore, SqliteCandleStore
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime
from market_backbone.infrastructure.conformance import ChannelUnderTest, MarketDataRepositoryContract
from market_backbone.infrastructure.conformance.model_market import KEY, page
from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig
from market_backbone.infrastructure.upbit import rest_channel, websocket_channel

SPEED = 60.0


def context_of(name, sandbox, **settings):
    clock = MarketClock(follows_speed=True)
    addresses = {"rest_url": sandbox.rest_url, "websocket_url": sandbox.websocket_url}
    return AdapterContext(
        name=name,
        options={"upbit": {**addresses, **settings}},
        clock=clock,
        server_time=MeasuredServerTime(clock),
        grace=Grace(),
    )


@asynccontextmanager
async def against_the_sandbox(name, factory, *faults, **settings):
    async with Sandbox(SandboxConfig(speed=SPEED)) as sandbox:
        yield ChannelUnderTest(
            factory(context_of(name, sandbox, **settings)),
            symbol="KRW-SOL",  # a market that the sandbox works out quickly
            second_symbol="KRW-ADA",
            now=lambda: datetime.fromtimestamp(sandbox.now_ms() / 1000, UTC),
            break_source=lambda: [sandbox.inject(fault) for fault in faults],
            mend_source=sandbox.clear_faults,
            listen_s=0.2,
        )


class TestRest(MarketDataRepositoryContract):
    @pytest.fixture
    def subject(self):
        return against_the_sandbox("rest", rest_channel, Fault(kind="rest-status", status=503))


class TestWebSocket(MarketDataRepositoryContract):
    @pytest.fixture
    def subject(self, request):
        faults = (Fault(kind="refuse-upgrades", status=503), Fault(kind="drop-sockets"))
        # Of codes that it does not know the exchange says nothing: only there is silence the answer.
        timeout_s = 0.5 if "r36" in request.node.name else 10.0
        return against_the_sandbox("websocket", websocket_channel, *faults, reply_timeout_s=timeout_s)


class TestCacheOnDisk(MarketDataRepositoryContract):
    def store(self, tmp_path):
        return SqliteCandleStore(tmp_path / "candles.sqlite3", report=lambda *told: None)

    @pytest.fixture
    async def subject(self, tmp_path):
        store = self.store(tmp_path)
        await store.write(page(0, 200))
        channel = CachedCandles("cache", store)
        channel.bind_venues(lambda _: KEY.venue)
        return ChannelUnderTest(channel, now=lambda: datetime(2026, 1, 2, tzinfo=UTC))


class TestCacheInMemory(TestCacheOnDisk):
    def store(self, tmp_path):
        return MemoryCandleStore()


class TestTheFake(MarketDataRepositoryContract):
    @pytest.fixture
    def subject(self):
        return FakeExchange("fake").under_test()
