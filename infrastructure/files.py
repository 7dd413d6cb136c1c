"""Series into files, atomically: a file is whole or it is not there."""

import csv
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ..domain.candle import plain
from ..domain.errors import MarketDataError, UnsupportedRequestError
from ..domain.instants import to_text
from ..domain.series import CandleSeries

HEADER = ("venue", "symbol", "timeframe", "opened_at", "open", "high", "low", "close", "volume", "quote_volume")


def _write_csv(found: Sequence[CandleSeries], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*HEADER, "finality"])
        for series in found:
            writer.writerows(_csv_rows(series))


def _csv_rows(series: CandleSeries) -> Iterable[list[str]]:
    for candle in series:
        numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
        turnover = "" if candle.quote_volume is None else plain(candle.quote_volume)
        labels = [series.venue, str(series.symbol), str(series.timeframe), to_text(candle.opened_at)]
        yield [*labels, *map(plain, numbers), turnover, str(candle.finality)]


def _table(found: Sequence[CandleSeries]) -> Any:  # noqa: ANN401 - pyarrow has no types
    arrow = import_module("pyarrow")
    tables: list[Any] = []
    for series in found:
        table = series.to_arrow(exact=True)
        for position, label in enumerate((series.venue, str(series.symbol), str(series.timeframe))):
            table = table.add_column(position, HEADER[position], arrow.array([label] * len(series), arrow.string()))
        tables.append(table)
    return arrow.concat_tables(tables, promote_options="permissive")


def _write_parquet(found: Sequence[CandleSeries], path: Path) -> None:
    table = _table(found)
    import_module("pyarrow.parquet").write_table(table, path)


def _write_arrow(found: Sequence[CandleSeries], path: Path) -> None:
    table = _table(found)
    import_module("pyarrow.feather").write_feather(table, str(path), compression="uncompressed")


WRITERS: dict[str, Callable[[Sequence[CandleSeries], Path], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".arrow": _write_arrow,
}


def write_series(found: Sequence[CandleSeries], path: Path) -> int:
    """Write candles with exact numbers; answers how many.

    Raises:
        UnsupportedRequestError: the file's ending names no known form, or its library is missing.
        MarketDataError: the file cannot be written.

    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        msg = f"expected a file that ends in {', '.join(WRITERS)}, got {str(path)!r}"
        raise UnsupportedRequestError(msg)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        writer(found, unfinished)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        msg = f"cannot write {path}: {error.strerror or error}; choose a folder that exists and can be written"
        raise MarketDataError(msg) from error
    return sum(len(series) for series in found)
