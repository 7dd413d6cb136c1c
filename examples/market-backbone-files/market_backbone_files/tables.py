"""Files as rows of cells: CSV keeps its text, Parquet and Feather their values, JSON its digits."""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import frozen

Cells = Sequence[object]
BARE = ("timestamp", "open", "high", "low", "close", "volume")
"""The columns of rows without a header, as ccxt and freqtrade write them."""
ROWS_AT_ONCE = 50_000
FOREIGN = (LookupError, TypeError, NotImplementedError, OverflowError, RecursionError)
"""What Arrow and JSON raise about files that are not what they seem, besides ValueErrors."""


class UnreadableFileError(Exception):
    """A file says something that cannot be, or cannot be read at all; the message names it and the line."""


@frozen
class Table:
    """The rows of a file as they come.

    Attributes:
        columns: names, in lower case.
        rows: the number of each row in the file, and its cells.
        counted_in: what these numbers count: ``line`` or ``row``.

    """

    path: Path
    columns: tuple[str, ...]
    rows: Iterator[tuple[int, Cells]]
    counted_in: str

    def fault(self, number: int, what: str) -> UnreadableFileError:
        """Return the error of one row."""
        return UnreadableFileError(f"{self.path}, {self.counted_in} {number}: {what}")


@contextmanager
def read_table(path: Path) -> Iterator[Table]:
    """Open a file of any known form; rows are read as they are asked for.

    Raises:
        UnreadableFileError: it is not what its ending says, it is cut short, or it is empty.

    """
    readers = {".csv": _csv, ".json": _json}
    try:
        with readers.get(path.suffix.lower(), _arrow)(path) as table:
            yield table
    except ModuleNotFoundError as error:
        raise UnreadableFileError(f"{path} needs pyarrow; run: pip install 'market-backbone-files[arrow]'") from error
    except (OSError, ValueError, csv.Error, *FOREIGN) as error:
        raise UnreadableFileError(f"{path} cannot be read: {error}") from error


@contextmanager
def _csv(path: Path) -> Iterator[Table]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        first = next(filter(None, reader), None)
        if first is None:
            raise UnreadableFileError(f"{path} is empty")
        first_line = reader.line_num
        has_header = not _is_number(first[0])
        columns = _names(first) if has_header else BARE

        def rows() -> Iterator[tuple[int, Cells]]:
            for cells in () if has_header else (first,):
                yield _whole(first_line, cells)
            for cells in reader:
                if cells:
                    yield _whole(reader.line_num, cells)

        def _whole(line: int, cells: list[str]) -> tuple[int, Cells]:
            if len(cells) != len(columns):
                raise table.fault(line, f"expected {len(columns)} cells, got {len(cells)}")
            return line, cells

        table = Table(path, columns, rows(), "line")
        yield table


@contextmanager
def _json(path: Path) -> Iterator[Table]:
    content = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal, parse_constant=str)
    if not isinstance(content, list) or not content:
        raise UnreadableFileError(f"{path} must hold a list of rows, and holds none")
    columns = _names(content[0]) if isinstance(content[0], dict) else BARE
    keys = list(content[0]) if isinstance(content[0], dict) else None

    def rows() -> Iterator[tuple[int, Cells]]:
        for number, row in enumerate(content, 1):
            cells = [row.get(key) for key in keys] if keys and isinstance(row, dict) else row
            if not isinstance(cells, list) or len(cells) != len(columns):
                raise table.fault(number, f"expected {len(columns)} values as in the first row, got {row!r}")
            yield number, cells

    table = Table(path, columns, rows(), "row")
    yield table


@contextmanager
def _arrow(path: Path) -> Iterator[Table]:
    if path.suffix.lower() == ".parquet":
        with import_module("pyarrow.parquet").ParquetFile(path) as file:
            batches = file.iter_batches(batch_size=ROWS_AT_ONCE)
            yield Table(path, _names(file.schema_arrow.names), _cells_of(batches), "row")
    else:
        table = import_module("pyarrow.feather").read_table(path, memory_map=False)
        yield Table(path, _names(table.column_names), _cells_of(table.to_batches(ROWS_AT_ONCE)), "row")


def _cells_of(batches: Any) -> Iterator[tuple[int, Cells]]:
    number = 0
    for batch in batches:
        for cells in zip(*(_values(column) for column in batch.columns), strict=True):
            number += 1
            yield number, cells


def _values(column: Any) -> list[object]:
    """Return Python's own values; nanoseconds become microseconds, or fail if that would round."""
    arrow = import_module("pyarrow")
    if arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(arrow.timestamp("us", column.type.tz))
    return column.to_pylist()


def _names(header: Sequence[object]) -> tuple[str, ...]:
    return tuple(str(name).strip().lower() for name in header)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
