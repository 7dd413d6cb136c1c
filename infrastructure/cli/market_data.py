"""Commands that bring data: candles, follow, download, markets."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from ...domain.errors import UnsupportedRequestError
from ...domain.events import MarketEvent, RequestFailed
from ...domain.request import create_candle_request, create_realtime_request
from ..serialization import event_fields, series_summary
from . import render
from .console import banner, fail, learn_venue, open_api, parse_instant, put, put_json, run, say, screen

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, numbers as exact text.")]


def candles(
    symbol: Annotated[str, typer.Argument(help="Such as KRW-BTC.")],
    timeframe: Annotated[str, typer.Argument(help="1s 1m 3m 5m 10m 15m 30m 1h 4h 1d 1w 1M 1y")] = "1m",
    count: Annotated[int | None, typer.Option(help="How many candles, the newest before --end.")] = None,
    start: Annotated[str | None, typer.Option(help="First opening, such as 2026-11-01 (UTC).")] = None,
    end: Annotated[str | None, typer.Option(help="Bound that is not included.")] = None,
    *,
    closed_only: Annotated[bool, typer.Option(help="Leave out the forming candle.")] = False,
    final_only: Annotated[bool, typer.Option(help="Leave out everything that is not sealed.")] = False,
    json: Json = False,
) -> None:
    """Show candles, what is proven about them, and the route they came by."""

    async def work() -> None:
        request = create_candle_request(
            symbol,
            timeframe,
            count,
            start=parse_instant(start, "--start"),
            end=parse_instant(end, "--end"),
            closed_only=closed_only,
            final_only=final_only,
        )
        async with open_api() as api:
            await learn_venue(api, symbol)
            series = await api.request_data_sync(request)
        banner(series.venue)
        if json:
            for candle in series:
                put_json(candle)
            put_json({"summary": series_summary(series)})
        else:
            screen().print(render.candles_table(series))
            put(render.coverage_text(series))
            put(str(series.trace))

    run(work)


def follow(
    symbols: Annotated[list[str], typer.Argument(help="Such as KRW-BTC KRW-ETH.")],
    *,
    kind: Annotated[str, typer.Option(help="candle, ticker, trade or orderbook.")] = "candle",
    timeframe: Annotated[str, typer.Option(help="For candles.")] = "1m",
    history: Annotated[int, typer.Option(help="Candles before the live ones.")] = 0,
    resume_after: Annotated[
        str | None, typer.Option(help="What was had last: a trade's sequential_id, or a FINAL candle's opening.")
    ] = None,
    reorder: Annotated[float, typer.Option(help="Hold trades for so many seconds, and sort them.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after this many seconds.")] = None,
    events: Annotated[int | None, typer.Option(min=1, help="Stop after this many events.")] = None,
    json: Json = False,
) -> None:
    """Follow symbols live, one line an event; Ctrl-C ends it."""
    reader = _Reader(events, json=json)

    async def work() -> None:
        requests = [
            create_realtime_request(
                symbol,
                timeframe,
                reader.take,
                kind=kind,
                history=history,
                resume_after=_resume_point(resume_after, symbols, kind),
                reorder_s=reorder,
            )
            for symbol in symbols
        ]
        async with open_api() as api:
            for request in requests:
                await api.request_data(request)
            try:
                async with asyncio.timeout(seconds):
                    await reader.is_over.wait()
            except TimeoutError:
                say(f"stopped after {seconds:g} s and {reader.taken} events")
            if reader.taken:
                for prefix in dict.fromkeys(request.symbol.venue_prefix for request in requests):
                    banner(api.venue_of(prefix))

    run(work)
    if isinstance(reader.error, OSError):
        raise reader.error  # the output is lost; whoever runs the command says so
    if reader.error is not None:
        fail(reader.error)


def _resume_point(text: str | None, symbols: list[str], kind: str) -> datetime | int | None:
    """Read what was had last: ids of trades are of one symbol, openings of candles are not."""
    if text is None or kind != "trade":
        return parse_instant(text, "--resume-after")
    if len(symbols) > 1:
        msg = f"--resume-after is a trade of one symbol, got {len(symbols)} symbols; follow each by itself"
        raise UnsupportedRequestError(msg)
    if not text.isdecimal():
        msg = f"--resume-after must be a trade's sequential_id such as 17000000000000000, got {text!r}"
        raise typer.BadParameter(msg)
    return int(text)


class _Reader:
    """Prints events as they come, from any number of symbols, until enough were taken or one failed."""

    def __init__(self, enough: int | None, *, json: bool) -> None:
        self._enough = enough
        self._json = json
        self.taken = 0
        self.error: Exception | None = None
        self.is_over = asyncio.Event()

    def take(self, event: MarketEvent | RequestFailed) -> None:
        """Print one event."""
        if self.is_over.is_set():
            return
        if isinstance(event, RequestFailed):
            self.error = event.error
            self.is_over.set()
            return
        try:
            put_json({"event": type(event).__name__, **event_fields(event)}) if self._json else put(
                render.event_line(event)
            )
        except OSError as error:  # in a callback: whoever calls it would only log the error, and go on for ever
            self.error = error
            self.is_over.set()
            return
        self.taken += 1
        if self._enough is not None and self.taken >= self._enough:
            self.is_over.set()


def markets(
    *,
    prefix: Annotated[str, typer.Option(help="Of another venue: how its symbols begin, such as binance.")] = "",
    json: Json = False,
) -> None:
    """List what the exchange lists, with its warnings."""

    async def work() -> None:
        async with open_api() as api:
            listed = await api.get_markets(prefix)
            banner(api.venue_of(prefix))
        if json:
            for market in listed:
                put_json(market)
        else:
            screen().print(render.markets_table(listed))

    run(work)
