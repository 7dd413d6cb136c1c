"""Commands about what is held: coverage, download, audit."""

from collections.abc import AsyncGenerator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from ...application.api import UnifiedMarketDataAPI
from ...application.archive.series_download import DownloadResult
from ...domain.errors import UnsupportedRequestError
from ...domain.ledger import HeldSeries
from ...domain.series import CandleSeries
from ..export import check_ending, write_parts
from ..serialization import report_summary
from . import render_held
from .console import FAILURE, banner, learn_venue, open_api, parse_instant, put, put_json, run, say, screen
from .progress import DownloadProgress

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, numbers as exact text.")]
INTERRUPTED = 130


def coverage(
    symbol: Annotated[str | None, typer.Argument(help="Such as KRW-BTC; everything when left out.")] = None,
    timeframe: Annotated[str, typer.Argument(help="1s 1m 3m 5m 10m 15m 30m 1h 4h 1d 1w 1M 1y")] = "1m",
    start: Annotated[str | None, typer.Option(help="First opening, such as 2026-11-01 (UTC).")] = None,
    end: Annotated[str | None, typer.Option(help="Bound that is not included.")] = None,
    *,
    json: Json = False,
) -> None:
    """Show what is held, and why each empty slot is empty; asks nobody.

    Exit code 1 if anything in the range is not known.
    """

    async def work() -> bool:
        async with open_api() as api:
            if symbol is None:
                lines = await api.inventory()
                if json:
                    for line in lines:
                        put_json(_inventory_fields(line))
                else:
                    screen().print(render_held.inventory_table(lines))
                return True
            await learn_venue(api, symbol)
            report = await api.coverage(
                symbol, timeframe, start=parse_instant(start, "--start"), end=parse_instant(end, "--end")
            )
        banner(report.key.venue)
        put_json(report_summary(report)) if json else screen().print(render_held.coverage_page(report))
        return report.is_complete and report.slots > 0

    if not run(work):
        raise typer.Exit(FAILURE)


def _inventory_fields(line: HeldSeries) -> dict[str, object]:
    key, span = line.key, line.span
    whose = {"venue": key.venue, "symbol": key.symbol, "timeframe": key.timeframe}
    return {**whose, "start": span.start, "end": span.end, "candles": line.rows, "set_aside": line.quarantine_reason}


def download(
    words: Annotated[
        list[str],
        typer.Argument(metavar="SYMBOL... TIMEFRAME", help="Such as KRW-BTC KRW-ETH 1m; the timeframe is last."),
    ],
    *,
    since: Annotated[str, typer.Option("--from", "--start", help="First opening, such as 2026-01-01 (UTC).")],
    until: Annotated[
        str | None, typer.Option("--to", "--end", help="Bound that is not included; now when left out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A .csv, .parquet or .arrow file.")] = None,
    json: Json = False,
) -> None:
    """Keep a whole range on disk, write it to a file if wanted, and say what is known of every slot.

    Interrupted anywhere, the same command goes on where it stopped. Exit code 1 if anything asked for is
    unknown or beyond what the exchange keeps.
    """
    try:
        found: list[DownloadResult] = run(lambda: _fetch(words, since, until, out))
    except typer.Exit as ended:
        if ended.exit_code == INTERRUPTED:
            say("interrupted; every page that was written is kept, and the same command goes on from there")
        raise
    _tell(found, json=json)
    if not all(outcome.is_answered for outcome in found):
        raise typer.Exit(FAILURE)


async def _fetch(words: list[str], since: str, until: str | None, out: Path | None) -> list[DownloadResult]:
    *symbols, timeframe = words
    start, end = parse_instant(since, "--from"), parse_instant(until, "--to")
    if not symbols or start is None or "-" in timeframe:
        msg = f"expected symbols and a timeframe at the end, such as KRW-BTC 1m, got {' '.join(words)!r}"
        raise UnsupportedRequestError(msg)
    if out is not None:
        _check_file(out)
    async with open_api() as api:
        with DownloadProgress() as progress:
            found = await api.download(symbols, timeframe, start=start, end=end, on_progress=progress.tell)
        if out is not None:
            rows = await write_parts(_parts(api, found), out)
            say(f"wrote {rows} candles to {out}")
    return found


def _check_file(out: Path) -> None:
    """Refuse, before hours of downloading, a file that could not be written afterwards."""
    check_ending(out)
    if not out.parent.is_dir():
        msg = f"the folder {str(out.parent)!r} does not exist, so --out could not be written; make it first"
        raise UnsupportedRequestError(msg)


async def _parts(api: UnifiedMarketDataAPI, found: Sequence[DownloadResult]) -> AsyncGenerator[CandleSeries]:
    for outcome in found:
        key, span = outcome.report.key, outcome.report.span
        async for part in api.held_parts(key.symbol, key.timeframe, start=span.start, end=span.end):
            yield part


def _tell(found: Sequence[DownloadResult], *, json: bool) -> None:
    banner(found[0].report.key.venue)
    for outcome in found:
        error = None if outcome.error is None else " ".join(str(outcome.error).split())
        if json:
            cost = {"requests": outcome.calls, "fetched": outcome.rows, "error": error}
            put_json({**report_summary(outcome.report), **cost})
            continue
        put(render_held.download_line(outcome))
        screen().print(render_held.coverage_page(outcome.report))
        if error is not None:
            say(f"{outcome.report.key.symbol} ended early: {error}")


def audit(
    symbol: Annotated[str, typer.Argument(help="Such as KRW-BTC.")],
    day: Annotated[str, typer.Argument(help="A UTC day, such as 2026-11-01.")],
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Read what differs anew.")] = False,
    json: Json = False,
) -> None:
    """Compare a day's minutes with its hours and its day candle; what is not held is fetched.

    Exit code 1 if anything differs or is not known.
    """

    async def work() -> bool:
        async with open_api() as api:
            await learn_venue(api, symbol)
            report = await api.audit(symbol, _day(day), repair=repair)
        banner(report.venue)
        put_json(report) if json else put(render_held.audit_text(report))
        return report.is_clean

    if not run(work):
        raise typer.Exit(FAILURE)


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day, not an instant
    except ValueError as error:
        raise typer.BadParameter(f"expected a day such as 2026-11-01, got {text!r}") from error
