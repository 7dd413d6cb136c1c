"""The command ``demo``: the whole story in under a minute, against the embedded sandbox."""

import asyncio
from collections import Counter

from attrs import define, field
from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ...application.api import UnifiedMarketDataAPI
from ...domain.candle import plain
from ...domain.events import CandleUpdated, ChannelSwitched, MarketEvent, RequestFailed, TradeReceived
from ...domain.request import create_candle_request, create_realtime_request
from ...domain.series import CandleSeries
from ...domain.trade import Trade
from ..bootstrap import create_unified_api
from ..sandbox import Fault, Sandbox, SandboxConfig
from . import render
from .console import run, screen

SYMBOLS = ("KRW-BTC", "KRW-ETH", "KRW-XRP")
SPEED = 10.0
HISTORY = 500
LIVE_S = 10.0
CUT_AFTER_S = 4.0
REFRESH_S = 0.25
OVERLAP_MS = 2_000


@define
class Story:
    """What has come so far."""

    series: CandleSeries | None = None
    trades: dict[str, list[Trade]] = field(factory=lambda: {symbol: list[Trade]() for symbol in SYMBOLS})
    candles: "Counter[tuple[str, str, str]]" = field(factory=Counter)
    prices: dict[str, str] = field(factory=dict[str, str])
    switches: list[str] = field(factory=list[str])
    errors: list[Exception] = field(factory=list[Exception])
    plan: str = ""
    verdict: str = ""

    def take(self, event: MarketEvent | RequestFailed) -> None:
        """Take one event of any symbol."""
        match event:
            case TradeReceived(trade=trade):
                self.trades[trade.symbol].append(trade)
                self.prices[trade.symbol] = render.short(plain(trade.price))
            case CandleUpdated(candle=candle):
                self.candles[candle.symbol, str(candle.finality), candle.source] += 1
            case ChannelSwitched() if event_line(event) not in self.switches:
                self.switches.append(event_line(event))
            case RequestFailed(error=error):
                self.errors.append(error)
            case _:
                return


def event_line(event: ChannelSwitched) -> str:
    """Return a switch as one line."""
    return f"{event.old} -> {event.new}: {event.reason}"


def demo() -> None:
    """Show the backbone at work on an emulated Upbit: history, three live symbols, one cut socket."""
    story = Story()
    run(lambda: _tell(story))
    if story.errors:
        raise story.errors[0]


async def _tell(story: Story) -> None:
    console = screen()
    config = SandboxConfig(speed=SPEED)
    async with Sandbox(config) as sandbox:
        settings = {
            "upbit.rest_url": sandbox.rest_url,
            "upbit.websocket_url": sandbox.websocket_url,
            "log.level": "ERROR",
        }
        async with create_unified_api("development", settings) as api:
            console.print(f"an Upbit in the box, {SPEED:g} times as fast as the real one: {sandbox.rest_url}")
            story.series = await api.request_data_sync(create_candle_request("KRW-BTC", "1m", HISTORY))
            story.plan = str(api.explain(create_realtime_request("KRW-BTC", "1m")))
            for symbol in SYMBOLS:
                await api.request_data(create_realtime_request(symbol, "1m", story.take))
                await api.request_data(create_realtime_request(symbol, data_callback=story.take, kind="trade"))
            if console.is_terminal:
                with Live(_picture(story), console=console, refresh_per_second=4) as live:
                    await _watch(api, sandbox, story, live)
            else:
                console.print(
                    f"following {', '.join(SYMBOLS)} for {LIVE_S:g} s; the socket is cut after {CUT_AFTER_S:g} s"
                )
                await _watch(api, sandbox, story, None)
                console.print(_picture(story))


async def _watch(api: UnifiedMarketDataAPI, sandbox: Sandbox, story: Story, live: Live | None) -> None:
    steps = round(LIVE_S / REFRESH_S)
    for step in range(steps):
        await asyncio.sleep(REFRESH_S)
        if step == round(CUT_AFTER_S / REFRESH_S):
            sandbox.inject(Fault("drop-sockets"))
        if live is not None:
            live.update(_picture(story))
    story.verdict = _compare(sandbox, story)
    health = api.channel_health()["websocket"]
    story.verdict += f" The socket's circuit is {health.circuit}; its last error: {health.last_error or 'none'}."
    if live is not None:
        live.update(_picture(story))


def _compare(sandbox: Sandbox, story: Story) -> str:
    """Compare what was delivered with what the emulated exchange knows to have happened."""
    lost = doubled = total = 0
    for symbol, trades in story.trades.items():
        ids = [trade.sequential_id for trade in trades]
        doubled += len(ids) - len(set(ids))
        total += len(ids)
        if not trades:
            continue
        first, last = (round(trade.traded_at.timestamp() * 1000) for trade in (trades[0], trades[-1]))
        truth = {trade.sequential_id for trade in sandbox.market.trades(symbol, first, last - OVERLAP_MS)}
        lost += len({number for number in truth if number >= ids[0]} - set(ids))
    return f"{total} trades across the cut: {lost} lost, {doubled} doubled."


def _picture(story: Story) -> RenderableType:
    parts: list[RenderableType] = []
    if story.series is not None:
        parts += [Text(render.coverage_text(story.series)), Text(str(story.series.trace)), ""]
    parts += [Text(story.plan), "", _live_table(story)]
    parts += [Text(f"switched: {line}") for line in story.switches]
    parts += [Text(story.verdict)] if story.verdict else []
    venue = story.series.venue if story.series is not None else "sandbox"
    return Group(Rule(f"market-backbone demo: {venue}, not Upbit"), *parts)


def _live_table(story: Story) -> Table:
    table = Table(title="live", title_justify="left", box=SIMPLE)
    for heading in ("symbol", "price", "trades", "late", "socket", "REST", "forming", "closed", "final"):
        table.add_column(heading, justify="left" if heading == "symbol" else "right", no_wrap=True)
    for symbol in SYMBOLS:
        trades = story.trades[symbol]
        by = Counter(trade.source for trade in trades)
        seen = Counter[str]()
        for (name, finality, _), number in story.candles.items():
            seen[finality] += number if name == symbol else 0
        late = sum(trade.is_late for trade in trades)
        figures = (len(trades), late, by["websocket"], by["rest"], seen["FORMING"], seen["CLOSED"], seen["FINAL"])
        table.add_row(symbol, story.prices.get(symbol, "-"), *map(str, figures))
    return table
