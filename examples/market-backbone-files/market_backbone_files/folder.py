"""The files of a folder: which series each holds, and what was read of them, as long as they do not change."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Self

from attrs import define, field

from market_backbone import Symbol, Timeframe
from market_backbone.domain.columns import CandleColumns

from .names import ENDINGS, Series
from .options import FileOptions
from .rows import load, series_inside
from .tables import UnreadableFileError

State = tuple[int, int]
"""When a file was last changed, in nanoseconds, and its size."""


@define(eq=False)
class CandleFolder:
    """What lies in a folder; which files those are is found out once, when the channel is made.

    Invariant: never more than ``options.most_rows`` rows are held, besides those of the file that is being read.

    Attributes:
        files: the files of each series; more than one is a mistake that is told when it is asked for.

    """

    options: FileOptions
    files: Mapping[Series, list[Path]]
    _held: OrderedDict[tuple[Path, Series], tuple[State, CandleColumns]] = field(factory=OrderedDict)
    _locks: defaultdict[Path, asyncio.Lock] = field(factory=lambda: defaultdict(asyncio.Lock))

    @classmethod
    def of(cls, options: FileOptions, tell_ignored: Callable[[str], None] = lambda _: None) -> Self:
        """Look at the names of all files, and into those whose names say nothing."""
        files: dict[Series, list[Path]] = {}
        for path in _candidates(options.folder):
            try:
                named = Series.of_file(path.relative_to(options.folder), options.prefix)
                found = {named} if named is not None else series_inside(path, options.prefix)
            except UnreadableFileError as error:
                tell_ignored(str(error))
                continue
            if not found:
                tell_ignored(f"{path} is named after no market and timeframe (KRW-BTC-1m.csv), and names none inside")
            for series in found:
                files.setdefault(series, []).append(path)
        return cls(options, files)

    @property
    def symbols(self) -> list[Symbol]:
        """The symbols of which there are files."""
        return sorted({series.symbol for series in self.files})

    @property
    def timeframes(self) -> frozenset[Timeframe]:
        """The timeframes of which there are files."""
        return frozenset(series.timeframe for series in self.files)

    async def read(self, series: Series, source: str) -> CandleColumns:
        """Return all candles of a series, from memory while its file has not changed.

        Raises:
            KeyError: there is no file of it; see ``files``.
            UnreadableFileError: something is wrong with the file, or there are two.

        """
        paths = self.files[series]
        if len(paths) > 1:
            told = ", ".join(map(str, paths))
            raise UnreadableFileError(f"{len(paths)} files hold {series.symbol} {series.timeframe}: {told}; keep one")
        path = paths[0]
        async with self._locks[path]:
            return await self._read_file(path, series, source)

    async def _read_file(self, path: Path, series: Series, source: str) -> CandleColumns:
        try:
            found = await asyncio.to_thread(path.stat)
            state = (found.st_mtime_ns, found.st_size)
            held = self._held.get((path, series))
            if held is None or held[0] != state:
                columns = await asyncio.to_thread(partial(load, path, series, self.options, source))
                held = self._held[path, series] = (state, columns)
        except OSError as error:
            raise UnreadableFileError(f"{path} cannot be read: {error.strerror or error}") from error
        self._held.move_to_end((path, series))
        while len(self._held) > 1 and sum(len(columns) for _, columns in self._held.values()) > self.options.most_rows:
            self._held.popitem(last=False)
        return held[1]


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield the files that may hold candles; hidden ones are not finished yet."""
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in ENDINGS and not is_hidden and path.is_file():
            yield path
