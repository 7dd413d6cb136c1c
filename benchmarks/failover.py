"""How soon data goes on when a socket is cut or falls silent, and whether a trade is lost or comes twice.

Run: python benchmarks/failover.py [times each] [speed]

Seconds are the market's. Four large markets are followed, trades and prices of each. ``told`` is when the
followers hear that REST delivers, ``data`` when the first value read from REST arrives: a price that has not
changed is no new value, so a quiet second shows here as waiting.
"""

import asyncio
import statistics
import sys
from contextlib import suppress

from attrs import define, field

from market_backbone import (
    ChannelSwitched,
    ClosedError,
    MarketEvent,
    TickerUpdated,
    TradeReceived,
    UnifiedMarketDataAPI,
    create_realtime_request,
    create_unified_api,
)
from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig

SYMBOLS = ("KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL")
SETTLED_MS = 4_000
PATIENCE_S = 60.0


@define
class Told:
    """Everything that happened, with the market's time of its arrival."""

    sandbox: Sandbox
    events: list[tuple[int, MarketEvent]] = field(factory=list[tuple[int, MarketEvent]])
    news: asyncio.Event = field(factory=asyncio.Event)

    async def follow(self, api: UnifiedMarketDataAPI, symbol: str, kind: str) -> None:
        """Keep what a follower hears."""
        with suppress(ClosedError):
            async with api.follow(create_realtime_request(symbol, kind=kind)) as events:
                async for event in events:
                    self.events.append((self.sandbox.now_ms(), event))
                    self.news.set()

    def first(self, since_ms: int, kind: type[MarketEvent], to: str) -> int | None:
        """Return when an event of a kind came first that leads to a channel, or comes from it."""
        for at, event in self.events:
            if at >= since_ms and isinstance(event, kind) and to in _channel(event):
                return at
        return None

    def count_lost(self) -> tuple[int, int, int]:
        """Return how many trades came, how many never did, and how many came twice."""
        came: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
        first_ms: dict[str, int] = {}
        for _, event in self.events:
            if isinstance(event, TradeReceived):
                came[event.trade.symbol].append(event.trade.sequential_id)
                first_ms.setdefault(event.trade.symbol, round(event.trade.traded_at.timestamp() * 1000))
        lost = 0
        for symbol, begin in first_ms.items():
            truth = self.sandbox.market.trades(symbol, begin, self.sandbox.now_ms() - SETTLED_MS)
            wanted = {trade.sequential_id for trade in truth if trade.sequential_id >= came[symbol][0]}
            lost += len(wanted - set(came[symbol]))
        total = sum(map(len, came.values()))
        return total, lost, total - sum(len(set(ids)) for ids in came.values())


def _channel(event: MarketEvent) -> str:
    match event:
        case ChannelSwitched():
            return event.new
        case TickerUpdated():
            return event.ticker.source
        case TradeReceived():
            return event.trade.source
        case _:
            return ""


async def until(told: Told, since_ms: int, kind: type[MarketEvent], to: str) -> int:
    """Wait until such an event has come; answers when."""
    async with asyncio.timeout(PATIENCE_S):
        while (at := told.first(since_ms, kind, to)) is None:
            told.news.clear()
            await told.news.wait()
    return at


async def measure(name: str, fault: Fault, times: int, speed: float, *, also: Fault | None = None) -> None:
    """Print how a number of equal faults was borne."""
    async with Sandbox(SandboxConfig(speed=speed)) as sandbox:
        told, waits = Told(sandbox), {"told": list[float](), "data": list[float]()}
        addresses = {"upbit.rest_url": sandbox.rest_url, "upbit.websocket_url": sandbox.websocket_url}
        settings = {**addresses, "log.level": "CRITICAL", "cache.store": "memory"}
        async with asyncio.TaskGroup() as group, create_unified_api("test", settings) as api:
            for symbol in SYMBOLS:
                for kind in ("ticker", "trade"):
                    group.create_task(told.follow(api, symbol, kind))
            await until(told, 0, TradeReceived, "websocket")
            for _ in range(times):
                await asyncio.sleep(3 / speed)
                began = sandbox.now_ms()
                for one in (fault, also):
                    sandbox.inject(one) if one is not None else None
                waits["told"].append((await until(told, began, ChannelSwitched, "rest") - began) / 1000)
                waits["data"].append((await until(told, began, TickerUpdated, "rest") - began) / 1000)
                sandbox.clear_faults()
                back = await until(told, sandbox.now_ms(), ChannelSwitched, "websocket")
                await until(told, back, TradeReceived, "websocket")
            await asyncio.sleep((SETTLED_MS / 1000 + 2) / speed)
            came, lost, doubled = told.count_lost()
    figures = ", ".join(
        f"{what} median {statistics.median(each):.2f} worst {max(each):.2f} s" for what, each in waits.items()
    )
    print(f"{times} x {name}: {figures}; {came} trades, {lost} lost, {doubled} doubled")


async def main() -> None:
    """Run everything."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    speed = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    await measure("socket cut", Fault("drop-sockets"), times, speed, also=Fault("refuse-upgrades"))
    await measure("silence, pongs go on", Fault("stall", pongs=True), times, speed)
    await measure("silence, no pongs", Fault("stall", pongs=False), times, speed)


if __name__ == "__main__":
    asyncio.run(main())
