"""What every command shares: output, banners, errors in one sentence, and the API of the environment."""

import asyncio
import errno
import io
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ...application.api import UnifiedMarketDataAPI
from ...domain.errors import ConfigurationError, DeadlineExceededError, MarketDataError, PluginError, RequestError
from ...domain.symbol import Symbol
from ..bootstrap import create_unified_api
from ..sanitize import sanitize
from ..serialization import to_json

MISTAKE, FAILURE = 2, 1
PLAIN_WIDTH = 160
LOST_OUTPUT = {errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG, errno.EDQUOT}
"""What writing fails with where nothing is wrong but the place that is written to."""

LAYOUT = "\n\t"
MISTAKES = (RequestError, ConfigurationError, PluginError, DeadlineExceededError)


class _Screen(Console):
    """Shows text of strangers without obeying it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is to be written."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=sanitize(segment.text, keep=LAYOUT))


def prepare_output() -> bool:
    """Have characters that the locale cannot spell replaced; return False where there is no output at all."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - so it is where the descriptor was closed
        if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison] - as above
            say("error: there is no standard output to write to; redirect it to a file, or to /dev/null")
        return False
    return True


def give_up_output(error: OSError) -> None:
    """Say that output was lost, and let nothing more be written: what waits would fail once more at the very end."""
    with suppress(OSError):  # it may go to the same full disk
        say(
            f"error: the output cannot be written: {error.strerror or error}; what was done is done, its report is lost"
        )
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def screen() -> Console:
    """Return the console for stdout; wide and plain where nobody looks at a terminal."""
    return _Screen(highlight=False, markup=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def say(text: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"{sanitize(text, keep=LAYOUT)}\n")
    sys.stderr.flush()


def put(text: str) -> None:
    """Write one line to stdout."""
    sys.stdout.write(f"{sanitize(text, keep=LAYOUT)}\n")
    sys.stdout.flush()


def put_json(value: object) -> None:
    """Write one line of JSON to stdout."""
    put(to_json(value))


def banner(venue: str) -> None:
    """Say whose data this is, unless it is the exchange's own."""
    if venue.startswith("upbit-"):
        return
    kinds = {"sandbox:": "synthetic or recorded data", "custom:": "not an official address"}
    what = next((kind for start, kind in kinds.items() if venue.startswith(start)), "another venue's data")
    say(f"*** {venue}: {what}, not Upbit ***")


def run(work: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever the command answers
    """Run a command to its end; errors of ours become one sentence and an exit code.

    2: the user's mistake. 1: something failed. 130: interrupted.
    """

    async def whole() -> Any:  # noqa: ANN401 - whatever the command answers
        return await work()

    try:
        return asyncio.run(whole())
    except MarketDataError as error:
        fail(error)
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error


def fail(error: Exception) -> NoReturn:
    """Say what went wrong in one sentence, and end with the code that tells whose mistake it was.

    Raises:
        typer.Exit: always.

    """
    say(f"error: {' '.join(str(error).split())}")
    raise typer.Exit(MISTAKE if isinstance(error, MISTAKES) else FAILURE) from error


@asynccontextmanager
async def open_api(policy: str | None = None) -> AsyncGenerator[UnifiedMarketDataAPI]:
    """Open the API of the environment, quietly: a command reports by its own output, and disturbs no service."""
    async with create_unified_api(settings={"log.level": "ERROR", "metrics.port": -1}, policy=policy) as api:
        yield api


async def learn_venue(api: UnifiedMarketDataAPI, symbol: str) -> None:
    """Have a server that is no official one say whose data it serves; without it, what is held goes by its address."""
    prefix = Symbol(symbol).venue_prefix
    if api.venue_of(prefix).startswith("custom:"):
        try:
            await api.get_markets(prefix)
        except MarketDataError as error:
            say(f"the server did not answer, so its dataset is not known: {' '.join(str(error).split())}")


def parse_instant(text: str | None, name: str) -> datetime | None:
    """Read ``2026-11-01`` or ``2026-11-01T09:00:00+09:00``; without a zone it is UTC.

    Raises:
        typer.BadParameter: the text is no instant.

    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{name} must look like 2026-11-01 or 2026-11-01T09:00:00+09:00, got {text!r}"
        raise typer.BadParameter(msg) from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
