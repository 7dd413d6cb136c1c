"""Commands that explain: explain, adapters, config, doctor."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from operator import attrgetter
from typing import Annotated

import typer
from rich.table import Table

from ...config import load_settings
from ...domain.capabilities import Capabilities, DataKind
from ...domain.ports import Channel
from ...domain.request import (
    AnyRequest,
    CandleRequest,
    create_candle_request,
    create_orderbook_request,
    create_realtime_request,
    create_ticker_request,
    create_trades_request,
    parse_kind,
)
from ...domain.symbol import Symbol
from ..bootstrap import open_container
from ..doctor import Finding, examine
from ..serialization import to_plain
from .console import FAILURE, banner, learn_venue, open_api, parse_instant, put, put_json, run, screen
from .market_data import Json


def explain(
    symbol: Annotated[str, typer.Argument(help="Such as KRW-BTC.")],
    timeframe: Annotated[str, typer.Argument(help="Such as 1m.")] = "1m",
    *,
    count: Annotated[int | None, typer.Option(help="How many candles.")] = None,
    start: Annotated[str | None, typer.Option(help="First opening.")] = None,
    end: Annotated[str | None, typer.Option(help="Bound that is not included.")] = None,
    kind: Annotated[str, typer.Option(help="candle, ticker, trade or orderbook.")] = "candle",
    live: Annotated[bool, typer.Option("--live", help="Explain following instead of asking.")] = False,
    meet: Annotated[
        bool, typer.Option("--meet", help="Have one reply first: a sandbox then says whose data it serves.")
    ] = False,
    policy: Annotated[str | None, typer.Option(help="An installed routing policy.")] = None,
    json: Json = False,
) -> None:
    """Show which channels would be asked, in which order, at what cost, and why; asks nobody."""

    async def work() -> None:
        request = _request_of(parse_kind(kind), symbol, timeframe, (count, start, end), live=live)
        async with open_api(policy) as api:
            if meet:
                await learn_venue(api, symbol)
            plan = api.explain(request)
            is_met = not api.venue_of(Symbol(symbol).venue_prefix).startswith("custom:")
            if isinstance(request, CandleRequest) and not is_met:
                plan = plan.with_note(UNMET)
        put_json(plan) if json else put(str(plan))

    run(work)


def _request_of(
    kind: DataKind, symbol: str, timeframe: str, extent: tuple[int | None, str | None, str | None], *, live: bool
) -> AnyRequest:
    count, start, end = extent
    if live:
        return create_realtime_request(symbol, timeframe, kind=kind)
    if kind is not DataKind.CANDLE and (start or end):
        raise typer.BadParameter(f"--start and --end bound candles, got them with --kind {kind}; leave them out")
    match kind:
        case DataKind.CANDLE:
            first, beyond = parse_instant(start, "--start"), parse_instant(end, "--end")
            return create_candle_request(symbol, timeframe, count, start=first, end=beyond)
        case DataKind.TICKER:
            return create_ticker_request(symbol)
        case DataKind.ORDERBOOK:
            return create_orderbook_request(symbol)
        case DataKind.TRADE:
            return create_trades_request(symbol, 100 if count is None else count)


UNMET = "this server has not said yet whose data it serves, so nothing counts as held; --meet asks it"


def _able(capabilities: Capabilities) -> tuple[str, ...]:
    return (
        " ".join(sorted(capabilities.answers)),
        " ".join(sorted(capabilities.follows)) or "-",
        " ".join(sorted(capabilities.timeframes, key=attrgetter("nominal_width"))),
        str(capabilities.history),
        "free" if capabilities.calls_are_free else "counted",
    )


def _symbols_of(capabilities: Capabilities) -> str:
    if capabilities.answers_from_store:
        return "any"
    return f"{capabilities.venue_prefix}:..." if capabilities.venue_prefix else "plain"


def adapters(*, json: Json = False) -> None:
    """List the installed channels, what each can do, and what is wrong with those that cannot be used."""

    async def work() -> bool:
        async with AsyncExitStack() as resources:
            container = await open_container(resources)
            channels, problems = container.channels(), container.registry().problems
        if json:
            for name, channel in channels.items():
                put_json({"name": name, "venue": channel.venue, "capabilities": to_plain(channel.capabilities)})
        else:
            screen().print(_channels_table(channels))
        for problem in problems:
            line = f"problem: {problem.name} ({problem.origin}): {problem.error}"
            put_json({"problem": to_plain(problem)}) if json else put(line)
        return bool(problems)

    if run(work):
        raise typer.Exit(FAILURE)


def _channels_table(channels: Mapping[str, Channel]) -> Table:
    headings = ("name", "venue", "symbols", "answers", "follows", "timeframes", "history", "calls")
    table = Table(*headings, title=f"{len(channels)} channels", title_justify="left")
    for name, channel in channels.items():
        table.add_row(name, channel.venue, _symbols_of(channel.capabilities), *_able(channel.capabilities))
    return table


def config(*, json: Json = False) -> None:
    """Show the settings in force and where each value comes from."""

    async def work() -> None:
        loaded = load_settings()
        values = _leaves("", to_plain(loaded.settings))
        rows = [(path, value, loaded.origins.get(path, "default.toml")) for path, value in values]
        if json:
            for path, value, origin in rows:
                put_json({"setting": path, "value": value, "origin": origin})
            return
        table = Table("setting", "value", "from", title=f"environment {loaded.environment}", title_justify="left")
        for path, value, origin in rows:
            table.add_row(path, str(value), origin)
        screen().print(table)

    run(work)


def _leaves(path: str, value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict) and value:
        found: dict[str, object] = value  # pyright: ignore[reportUnknownVariableType] - plain data
        return [leaf for key, inner in found.items() for leaf in _leaves(f"{path}.{key}" if path else str(key), inner)]
    return [(path, value)]


def doctor(*, json: Json = False) -> None:
    """Check clock, REST, WebSocket, budget headers and cache folder; says what to do about each failure.

    Exit code 1 if anything is wrong.
    """

    async def work() -> list[Finding]:
        async with open_api() as api:
            findings = await examine(api, load_settings().settings)
            banner(api.venue)
        return findings

    findings: list[Finding] = run(work)
    for finding in findings:
        if json:
            put_json(finding)
        else:
            put(f"{'ok  ' if finding.is_ok else 'FAIL'}  {finding.what}: {finding.found}")
            put(f"      do: {finding.advice}") if not finding.is_ok else None
    if not all(finding.is_ok for finding in findings):
        raise typer.Exit(FAILURE)
