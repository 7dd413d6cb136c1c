"""How far a download is: a bar where somebody looks, a line now and then where nobody does."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from ...application.archive.series_download import Progress
from ...domain.ledger import SeriesKey
from .console import say

STEP = 0.1
"""Share of a range after which a plain line is written."""


class DownloadProgress:
    """Shows progress on stderr, one bar a series: share, rows, calls and calls a second, time left."""

    def __init__(self) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>5.1f} %"),
            TextColumn("{task.fields[rows]} rows"),
            TextColumn("{task.fields[calls]} calls"),
            TextColumn("{task.fields[rate]:.1f} of 10 calls/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._tasks: dict[SeriesKey, TaskID] = {}
        self._told: dict[SeriesKey, float] = {}

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        self._bars.stop()

    def tell(self, progress: Progress) -> None:
        """Show one step."""
        whole = progress.span.end - progress.span.start
        share = (progress.reached.end - progress.reached.start) / whole
        if self._bars.disable:
            self._say(progress, share)
            return
        name = f"{progress.key.symbol} {progress.key.timeframe}"
        if progress.key not in self._tasks:
            self._tasks[progress.key] = self._bars.add_task(name, total=1.0, rows=0, calls=0, rate=0.0)
        task = self._tasks[progress.key]
        elapsed = self._bars.tasks[list(self._tasks).index(progress.key)].elapsed or 0.0
        rate = progress.calls / elapsed if elapsed else 0.0
        self._bars.update(task, completed=share, rows=progress.rows, calls=progress.calls, rate=rate)

    def _say(self, progress: Progress, share: float) -> None:
        if share >= 1 or share - self._told.get(progress.key, 0.0) >= STEP:
            self._told[progress.key] = share
            name = f"{progress.key.symbol} {progress.key.timeframe}"
            say(f"{name}: {share:.0%}, {progress.rows} rows, {progress.calls} calls")
