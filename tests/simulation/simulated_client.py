"""A program that uses the backbone in a simulated world: it follows, asks, is slow, dies and comes back."""

import asyncio
from importlib.metadata import entry_points

from attrs import define, field
from dependency_injector import providers

from market_backbone import (
    Backfilled,
    CandleUpdated,
    HistoryLoaded,
    MarketDataError,
    TradeReceived,
    create_candle_request,
    create_realtime_request,
)
from market_backbone.config import load_settings
from market_backbone.domain.timestamps import from_seconds
from market_backbone.infrastructure.bootstrap import wired
from market_backbone.infrastructure.registry import ADAPTERS, Registry
from market_backbone.infrastructure.upbit import UpbitOptions, UpbitRest, UpbitWebSocket

URLS = {"upbit.rest_url": "http://127.0.0.1:1", "upbit.websocket_url": "ws://127.0.0.1:1/websocket/v1"}
BETWEEN_PROCESSES_S = 1.6
"""A new process knows nothing of what the old one has sent: it begins when the server has forgotten, too."""


@define
class Life:
    """What one follower was given in the life of one process, and when by the server's clock."""

    resumed_after: object = None
    events: list = field(factory=list)
    told_ms: list = field(factory=list)
    error: Exception | None = None

    def history(self):
        """Return the candles that came first."""
        return [candle for event in self.events if isinstance(event, HistoryLoaded) for candle in event.series]

    def finals(self):
        """Return the FINAL candles that were delivered in their order; those before a resumed life count as well."""
        live = [event.candle for event in self.events if isinstance(event, CandleUpdated)]
        first = self.history() if self.resumed_after is not None else []
        return [candle for candle in (*first, *live) if candle.is_final]

    def backfilled(self):
        """Return the FINAL candles that came late."""
        return [event.candle for event in self.events if isinstance(event, Backfilled)]

    def trades(self):
        """Return the trades that were delivered."""
        return [event.trade for event in self.events if isinstance(event, TradeReceived)]


@define
class Followed:
    """One thing that is followed, over as many lives as it takes."""

    symbol: str
    kind: str
    lives: list = field(factory=list)

    def resume_point(self):
        """Return what the next life goes on after; None to begin anew."""
        if self.kind == "candle":
            had = [candle for life in self.lives for candle in (*life.history(), *life.finals(), *life.backfilled())]
            finals = [candle for candle in had if candle.is_final]
            return max(finals, key=lambda candle: candle.opened_at, default=None)
        trades = [trade for life in self.lives for trade in life.trades()]
        return max(trades, key=lambda trade: (trade.traded_at, trade.sequential_id), default=None)


class _Point:
    """An entry point that yields one of our channels over the simulated network."""

    dist = None

    def __init__(self, name, factory):
        self.name, self.value, self._factory = name, f"simulation:{name}", factory

    def load(self):
        return self._factory


class Recorder:
    """A logger that counts events by name."""

    def __init__(self, history):
        self._history = history

    def info(self, event, **details):
        self._history.note(f"info {event}")

    def warning(self, event, **details):
        self._history.note(f"warning {event}", *(f"{name}={text}" for name, text in sorted(details.items())))


class Process:
    """One run of the program."""

    def __init__(self, world):
        self._world = world
        self.container = self._wire(world)
        self.api = self.container.api()
        self._tasks = set()

    @staticmethod
    def _wire(world):
        settings = {**URLS, "cache.store": "sqlite", "cache.folder": str(world.folder), "log.level": "CRITICAL"}
        container = wired(load_settings("test", settings), None)
        network = world.network

        def options(context):
            return UpbitOptions.read({**context.section("upbit"), **context.section("budget")})

        ours = {
            "rest": lambda context: UpbitRest(options(context), context, network.make_http),
            "websocket": lambda context: UpbitWebSocket(options(context), context, network.connect),
        }

        def discover(group):
            points = entry_points(group=group)
            return [_Point(p.name, ours[p.name]) if group == ADAPTERS and p.name in ours else p for p in points]

        registry = Registry(("rest", "websocket", "cache"), discover=discover)
        container.registry.override(providers.Object(registry))
        container.logger.override(providers.Object(Recorder(world.history)))
        return container

    def start(self, work):
        """Run a part of the program until it ends or the process does."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self, *, is_abrupt):
        """End: abruptly, every part is cancelled wherever it stands; otherwise followers first."""
        if is_abrupt:
            closing = asyncio.get_running_loop().create_task(self.api.close())
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        await (closing if is_abrupt else self.api.close())

    async def follow(self, followed):
        """Follow one thing for as long as this process lives."""
        point = followed.resume_point() if followed.kind in {"candle", "trade"} else None
        life = Life(resumed_after=point)
        history = 10 if followed.kind == "candle" and point is None else 0
        request = create_realtime_request(followed.symbol, kind=followed.kind, history=history, resume_after=point)
        followed.lives.append(life)
        try:
            async with self.api.follow(request) as events:
                async for event in events:
                    life.events.append(event)
                    life.told_ms.append(self._world.network.now_ms)
                    self._world.history.note("event", followed.symbol, followed.kind, _digest(event))
                    await self._world.dawdle(followed)
        except MarketDataError as error:
            life.error = error

    async def ask(self, line):
        """Ask one question; an answer is judged at once."""
        asked = line.with_
        end = None
        if asked["minutes_ago"]:
            end = from_seconds(self._world.network.now_ms / 1000 - 60 * asked["minutes_ago"])
        request = create_candle_request(asked["symbol"], asked["timeframe"], asked["count"], end=end)
        try:
            async with asyncio.timeout(asked.get("cancelled_after_s")):
                series = await self.api.request_data_sync(request)
        except TimeoutError:
            self._world.history.note("cancelled", str(request))
        except MarketDataError as error:
            self._world.history.note("refused", str(request), type(error).__name__)
        else:
            self._world.history.note("answer", str(request), len(series))
            self._world.judge_answer(request, series)


def _digest(event):
    candle = getattr(event, "candle", None)
    trade = getattr(event, "trade", None)
    if candle is not None:
        return type(event).__name__, str(candle.opened_at), str(candle.finality), str(candle.close), str(candle.volume)
    return type(event).__name__, None if trade is None else trade.sequential_id
