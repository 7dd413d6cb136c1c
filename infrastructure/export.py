"""Series into files, part by part and atomically: a file is whole or it is not there."""

import csv
import glob
import uuid
from collections.abc import AsyncIterable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from ..domain.candle import plain
from ..domain.errors import MarketDataError, UnsupportedRequestError
from ..domain.series import CandleSeries
from ..domain.timestamps import to_text

HEADER = ("venue", "symbol", "timeframe", "opened_at", "open", "high", "low", "close", "volume", "quote_volume")
NUMBERS = HEADER[4:]
DEAD_AFTER_S = 86_400
ROWS_AT_ONCE = 10_000
"""Exact numbers are objects for a moment; this bounds how many of them there are at once."""


class SeriesWriter(Protocol):
    """Writes parts of series into one file, as they come."""

    def add(self, series: CandleSeries) -> None:
        """Append a part."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class CsvWriter:
    """One line a candle, numbers as exact text."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow([*HEADER, "finality"])

    def add(self, series: CandleSeries) -> None:
        """Append a part."""
        self._writer.writerows(_csv_rows(series))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _csv_rows(series: CandleSeries) -> Iterable[list[str]]:
    for candle in series:
        numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
        turnover = "" if candle.quote_volume is None else plain(candle.quote_volume)
        labels = [series.venue, str(series.symbol), str(series.timeframe), to_text(candle.opened_at)]
        yield [*labels, *map(plain, numbers), turnover, str(candle.finality)]


class ArrowWriter:
    """Record batches of exact decimals, in Parquet or in Arrow's own file format.

    A number that decimal128(38, 8) cannot hold is refused rather than rounded: csv holds it.
    """

    def __init__(self, path: Path) -> None:
        self._arrow = import_module("pyarrow")
        labels = [(name, self._arrow.string()) for name in HEADER[:3]]
        opened = ("opened_at", self._arrow.timestamp("us", tz="UTC"))
        numbers = [(name, self._arrow.decimal128(38, 8)) for name in NUMBERS]
        self._schema = self._arrow.schema([*labels, opened, *numbers])
        if path.suffixes[-2:-1] == [".parquet"]:
            parquet = import_module("pyarrow.parquet")
            self._writer = parquet.ParquetWriter(path, self._schema, use_dictionary=list(HEADER[:3]))
        else:
            self._writer = import_module("pyarrow.ipc").new_file(path, self._schema)

    def add(self, series: CandleSeries) -> None:
        """Append a part.

        Raises:
            UnsupportedRequestError: a number does not fit.

        """
        table = series.to_arrow(exact=True)
        for position, label in enumerate((series.venue, str(series.symbol), str(series.timeframe))):
            table = table.add_column(
                position, HEADER[position], self._arrow.array([label] * len(series), self._arrow.string())
            )
        if table.schema != self._schema:
            msg = f"{series!r} holds a number with more than 8 decimals or 38 digits; write it to a .csv file"
            raise UnsupportedRequestError(msg)
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


WRITERS: dict[str, type[CsvWriter | ArrowWriter]] = {".csv": CsvWriter, ".parquet": ArrowWriter, ".arrow": ArrowWriter}


def check_ending(path: Path) -> None:
    """Refuse a file that could not be written, before anything is fetched for it.

    Raises:
        UnsupportedRequestError: the file's ending names no known form, or its library is missing.

    """
    if path.suffix.lower() not in WRITERS:
        raise UnsupportedRequestError(f"expected a file that ends in {', '.join(WRITERS)}, got {str(path)!r}")
    if WRITERS[path.suffix.lower()] is ArrowWriter:
        try:
            import_module("pyarrow")
        except ModuleNotFoundError as error:
            msg = f"{path.suffix} files need pyarrow; run: pip install 'market-backbone[arrow]', or choose a .csv file"
            raise UnsupportedRequestError(msg) from error


class AtomicFile:
    """A file that takes its name when it is whole; a run that fails leaves an older one alone."""

    def __init__(self, path: Path) -> None:
        """Refuse an unknown ending at once."""
        check_ending(path)
        self.path = path
        # a name of its own: two runs that write one file must not share the unfinished one
        self._unfinished = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix.lower()}.unfinished")
        self._before = _identity_of(path)
        self._writer: SeriesWriter | None = None
        self.rows = 0

    def __enter__(self) -> Self:
        """Begin the file.

        Raises:
            MarketDataError: the folder cannot be written.

        """
        _sweep(self.path)
        try:
            self._writer = WRITERS[self.path.suffix.lower()](self._unfinished)
        except OSError as error:
            raise self._failed(error) from error
        return self

    def add(self, series: CandleSeries) -> None:
        """Append a part.

        Raises:
            MarketDataError: the disk is full, or the like.

        """
        if self._writer is None or not len(series):
            return
        try:
            for row in range(0, len(series), ROWS_AT_ONCE):
                self._writer.add(series[row : row + ROWS_AT_ONCE])
        except OSError as error:
            raise self._failed(error) from error
        self.rows += len(series)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its name, or remove what there is of it."""
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
            if kind is None:
                self._check_alone()
                self._unfinished.replace(self.path)
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            self._unfinished.unlink(missing_ok=True)

    def _check_alone(self) -> None:
        """Refuse to overwrite what somebody else has written since this run began.

        Raises:
            MarketDataError: another run was faster.

        """
        if _identity_of(self.path) != self._before:
            kept = self.path.with_name(self._unfinished.name.removeprefix(".").removesuffix(".unfinished"))
            self._unfinished.replace(kept)
            msg = f"{self.path} was written by somebody else meanwhile and is left as it is; this run's file is {kept}"
            raise MarketDataError(msg)

    def _failed(self, error: OSError) -> MarketDataError:
        self._unfinished.unlink(missing_ok=True)
        return MarketDataError(
            f"cannot write {self.path}: {error.strerror or error}; choose a folder that exists and can be written"
        )


def _sweep(path: Path) -> None:
    """Remove what runs that were killed have left of this file, once they are surely dead."""
    with suppress(OSError):  # by the folder's own time: on a shared disk another clock than ours has set both
        for left in path.parent.glob(f".{glob.escape(path.stem)}.*{path.suffix.lower()}.unfinished"):
            if left.lstat().st_mtime < path.parent.stat().st_mtime - DEAD_AFTER_S:
                left.unlink()


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another of the same name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


async def write_parts(parts: AsyncIterable[CandleSeries], path: Path) -> int:
    """Write candles with exact numbers as they come; answers how many.

    Raises:
        UnsupportedRequestError: the file's ending names no known form, or its library is missing.
        MarketDataError: the file cannot be written.

    """
    with AtomicFile(path) as file:
        async for part in parts:
            file.add(part)
    return file.rows


def write_series(found: Sequence[CandleSeries], path: Path) -> int:
    """Write whole series; see :func:`write_parts`."""
    with AtomicFile(path) as file:
        for series in found:
            file.add(series)
    return file.rows
