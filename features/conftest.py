"""What all features share: the loop of a scenario, a market on loopback, and the desk that works with it."""

import asyncio
import inspect
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import pytest
from attrs import define, field
from pytest_bdd import given, parsers, then, when

from market_backbone import (
    CandleSeries,
    CandleUpdated,
    ChannelSwitched,
    MarketEvent,
    OrderBookUpdated,
    TickerUpdated,
    TradeReceived,
    UnifiedMarketDataAPI,
    create_candle_request,
    create_orderbook_request,
    create_realtime_request,
    create_ticker_request,
    create_trades_request,
    create_unified_api,
)
from market_backbone.infrastructure.registry import Registry
from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig

ROOT = Path(__file__).resolve().parents[1]
STEPS = Path(__file__).resolve().parent / "steps"
SPEED = 40.0
PATIENCE_S = 45.0

ASKED = {
    "500 candles of a minute": create_candle_request("KRW-BTC", "1m", 500),
    "10 candles of an hour": create_candle_request("KRW-BTC", "1h", 10),
    "the newest candle": create_candle_request("KRW-BTC", "1m", 1),
    "the price": create_ticker_request("KRW-BTC"),
    "the order book": create_orderbook_request("KRW-BTC"),
    "the last 300 trades": create_trades_request("KRW-BTC", 300),
}
FOLLOWED = {
    "candles of a minute": create_realtime_request("KRW-BTC", "1m"),
    "candles of a day": create_realtime_request("KRW-BTC", "1d"),
    "prices": create_realtime_request("KRW-BTC", kind="ticker"),
    "trades": create_realtime_request("KRW-BTC", kind="trade"),
    "order books": create_realtime_request("KRW-BTC", kind="orderbook"),
}


class PlainRoot:
    """Have pytest see a plain folder in the repository root, as in tests/conftest.py, which says why."""

    @staticmethod
    def pytest_collect_directory(path, parent):
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None

    @staticmethod
    def pytest_collection_modifyitems(config, items):
        for item in items if config.pluginmanager.hasplugin("rerunfailures") else ():
            item.add_marker(pytest.mark.flaky(reruns=2))


def pytest_configure(config):
    if not config.pluginmanager.has_plugin("plain-root"):
        config.pluginmanager.register(PlainRoot(), "plain-root")


def pytest_bdd_before_step_call(step_func):
    """Refuse what would pass without having run: pytest-bdd never awaits a step."""
    assert not inspect.iscoroutinefunction(step_func), f"{step_func.__name__} must be a plain function"


@pytest.fixture(autouse=True)
def no_environment_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("MARKET_BACKBONE_ENV", "test")
    monkeypatch.delenv("MARKET_BACKBONE_CONFIG", raising=False)
    monkeypatch.setenv("MARKET_BACKBONE__CACHE__FOLDER", str(tmp_path / "cache"))


@define(eq=False)
class Desk:
    """Whoever works with the market in a scenario; what happened to it is kept here.

    Steps are plain functions (pytest-bdd never awaits an ``async def``), so the desk owns the loop and
    runs every coroutine to its end. Streams go on reading in the background of that loop.
    """

    run: Callable
    resources: AsyncExitStack
    sandbox: Sandbox | None = None
    api: UnifiedMarketDataAPI | None = None
    request: object = None
    plan: object = None
    answer: object = None
    error: Exception | None = None
    events: list[MarketEvent] = field(factory=list)
    ended_by: Exception | None = None
    mark: int = 0
    first_quiet: datetime | None = None
    other: object = None
    registry: Registry | None = None
    readings: list[asyncio.Task] = field(factory=list)

    def open_market(self, **config):
        """Start a sandbox, and settings that lead to it."""

        async def opened():
            return await self.resources.enter_async_context(Sandbox(SandboxConfig(**{"speed": SPEED, **config})))

        self.sandbox = self.run(opened())

    @property
    def settings(self):
        addresses = {"upbit.rest_url": self.sandbox.rest_url, "upbit.websocket_url": self.sandbox.websocket_url}
        return {**addresses, "log.level": "CRITICAL"}

    def open(self, policy=None):
        """Open the API on the market, as any user does."""

        async def opened():
            return await self.resources.enter_async_context(create_unified_api("test", self.settings, policy))

        self.api = self.run(opened())

    def close(self):
        """Close the API; what was followed ends with it, and that is no failure."""

        async def closing():
            await self.api.close()
            await asyncio.gather(*self.readings)

        self.run(closing())
        self.ended_by = None

    def ask(self, request):
        """Ask, and keep the plan, and the answer or the error."""
        self.request, self.plan = request, self.api.explain(request)
        try:
            self.answer = self.run(self.api.request_data_sync(request))
        except Exception as error:  # noqa: BLE001 - the scenario says which it wants
            self.error = error

    def follow(self, request):
        """Follow in the background; events gather in ``events``."""
        self.request, self.plan = request, self.api.explain(request)

        async def read():
            try:
                async with self.api.follow(request) as events:
                    async for event in events:
                        self.events.append(event)
            except Exception as error:  # noqa: BLE001 - the scenario asks how it ended
                self.ended_by = error

        async def begin():
            reading = asyncio.get_running_loop().create_task(read())
            self.readings.append(reading)
            self.resources.push_async_callback(_end, reading)

        self.run(begin())

    def wait_until(self, has_come: Callable[[list[MarketEvent]], bool], *, since: int = 0):
        """Let the market run until the events after number ``since`` are enough."""

        async def waiting():
            async with asyncio.timeout(PATIENCE_S):
                while not has_come(self.events[since:]):
                    if self.ended_by is not None:
                        raise self.ended_by
                    await asyncio.sleep(0.02)

        self.run(waiting())

    def have(self, kind, since=0):
        return [event for event in self.events[since:] if isinstance(event, kind)]

    @property
    def switches(self):
        return [(event.old, event.new) for event in self.have(ChannelSwitched)]


async def _end(reading):
    reading.cancel()
    await asyncio.wait([reading])


DATA = (CandleUpdated, OrderBookUpdated, TickerUpdated, TradeReceived)


def item_of(event):
    """The candle, price, trade or book that an event carries; None for other events."""
    for name in ("candle", "ticker", "trade", "orderbook"):
        if hasattr(event, name):
            return getattr(event, name)
    return None


def brings(source, in_a_row=3):
    """Whether the newest pieces of data all came from a channel.

    REST may bridge the moment in which the socket is opening, and its last answer may come a little later.
    """

    def enough(events):
        newest = [item_of(event).source for event in events if isinstance(event, DATA)][-in_a_row:]
        return newest == [source] * in_a_row

    return enough


@pytest.fixture
def run():
    """Run a coroutine to its end on the loop of this scenario."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def desk(run):
    resources = AsyncExitStack()
    yield Desk(run, resources)
    run(resources.aclose())


@pytest.fixture
def strangers_installed(monkeypatch):
    """Make the modules of features/steps importable, as an installed package's are."""
    monkeypatch.syspath_prepend(str(STEPS))
    yield
    sys.modules.pop("stranger_archive", None)


@given("a desk at an open market")
def an_open_market(desk):
    desk.open_market()
    desk.open()


@given(parsers.parse("the desk follows the {what} of KRW-BTC"))
@when(parsers.parse("the desk follows the {what} of KRW-BTC"))
def follow(desk, what):
    desk.follow(FOLLOWED[what])
    desk.wait_until(lambda events: any(isinstance(event, DATA) for event in events))


@given(parsers.parse("the desk already receives the {what} of KRW-BTC through the {channel}"))
def already_follow(desk, what, channel):
    desk.follow(FOLLOWED[what])
    desk.wait_until(brings(channel))


@when(parsers.parse("the desk asks for {what} of KRW-BTC"))
def ask(desk, what):
    desk.ask(ASKED[what])


@given("REST is down")
def rest_is_down(desk):
    desk.sandbox.inject(Fault("rest-status", status=500))


@given("the socket cannot be opened")
def socket_refused(desk):
    desk.sandbox.inject(Fault("refuse-upgrades", status=503))
    desk.sandbox.inject(Fault("drop-sockets"))


@then(parsers.parse("the answer comes from {channel}"))
def answered_by(desk, channel):
    assert desk.error is None, desk.error
    items = desk.answer if isinstance(desk.answer, list | CandleSeries) else [desk.answer]
    assert {item.source for item in items} == {channel}


@then(parsers.parse("the data comes from {channel}"))
def delivered_by(desk, channel):
    desk.wait_until(brings(channel))
