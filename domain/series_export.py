"""How a series leaves for the data ecosystem; the libraries are extras and imported on use.

Columns everywhere: ``opened_at`` (UTC), ``open high low close volume quote_volume``. Numbers are
float64 by default and exact ``Decimal`` on request; ``quote_volume`` is null or NaN where unknown.
"""

from decimal import Context, Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .columns import SCALE, CandleColumns, DecimalColumn
from .errors import UnsupportedRequestError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

PRECISION = 38
_STEP = Decimal(1).scaleb(-SCALE)
EXACT_ROUNDING = Context(prec=2 * PRECISION)
NUMBERS = ("open", "high", "low", "close", "volume", "quote_volume")


def _library(name: str, extra: str) -> Any:  # noqa: ANN401 - four unrelated libraries
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        msg = f"this needs the library {name!r}, which is not installed; run: pip install 'market-backbone[{extra}]'"
        raise UnsupportedRequestError(msg) from error


def _numbers(columns: CandleColumns, *, exact: bool) -> dict[str, list[Any]]:
    chosen: dict[str, DecimalColumn] = {name: getattr(columns, name) for name in NUMBERS}
    return {name: column.to_decimals() if exact else column.to_floats() for name, column in chosen.items()}


def _all_fit(numbers: list[Decimal | None]) -> bool:
    """Return whether Decimal(38, 8) holds every number exactly."""
    return all(
        n is None or (n.adjusted() < PRECISION - SCALE and n == n.quantize(_STEP, context=EXACT_ROUNDING))
        for n in numbers
    )


def to_numpy(columns: CandleColumns, *, exact: bool) -> "np.ndarray[Any, Any]":
    """Return a structured array: ``opened_at`` as datetime64[us] in UTC, then the numbers."""
    numpy = _library("numpy", "numpy")
    kind = "O" if exact else "f8"
    rows = numpy.empty(len(columns), dtype=[("opened_at", "M8[us]"), *((name, kind) for name in NUMBERS)])
    rows["opened_at"] = numpy.frombuffer(columns.opened, dtype="i8").astype("M8[us]") if len(columns) else []
    for name, numbers in _numbers(columns, exact=exact).items():
        rows[name] = numbers
    return rows


def to_pandas(columns: CandleColumns, *, exact: bool) -> "pd.DataFrame":
    """Return a DataFrame indexed by ``opened_at``."""
    pandas = _library("pandas", "pandas")
    index = pandas.to_datetime(list(columns.opened), unit="us", utc=True).as_unit("us")
    dtype = "object" if exact else "float64"
    return pandas.DataFrame(_numbers(columns, exact=exact), index=index.rename("opened_at"), dtype=dtype)


def to_arrow(columns: CandleColumns, *, exact: bool) -> "pa.Table":
    """Return a Table; exact numbers are decimal128(38, 8), or text where one does not fit."""
    arrow = _library("pyarrow", "arrow")
    fields = [arrow.array(list(columns.opened), type=arrow.timestamp("us", tz="UTC"))]
    for name in NUMBERS:
        column: DecimalColumn = getattr(columns, name)
        if exact:
            fields.append(_exact_arrow(arrow, column))
        else:
            fields.append(arrow.array(column.to_floats(), type=arrow.float64(), from_pandas=True))
    return arrow.table(fields, names=["opened_at", *NUMBERS])


def _exact_arrow(arrow: Any, column: DecimalColumn) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return units of 1e-8 as decimals without making one object a number, where none is kept apart."""
    exact = arrow.decimal128(PRECISION, SCALE)
    if column.outsized:
        numbers = column.to_decimals()
        if _all_fit(numbers):
            return arrow.array(numbers, type=exact)
        return arrow.array([None if n is None else f"{n:f}" for n in numbers], type=arrow.string())
    compute = import_module("pyarrow.compute")
    units = arrow.Array.from_buffers(arrow.int64(), len(column), [None, arrow.py_buffer(column.units)])
    units = compute.if_else(compute.equal(units, column.absent), None, units).cast(arrow.decimal128(19, 0))
    return compute.multiply(units, arrow.scalar(_STEP, arrow.decimal128(SCALE + 1, SCALE))).cast(exact)


def to_polars(columns: CandleColumns, *, exact: bool) -> "pl.DataFrame":
    """Return a DataFrame; exact numbers are Decimal(38, 8), or text where one does not fit."""
    polars = _library("polars", "polars")
    opened = polars.Series("opened_at", list(columns.opened), dtype=polars.Datetime("us", "UTC"))
    frame: dict[str, Any] = {"opened_at": opened}
    for name, numbers in _numbers(columns, exact=exact).items():
        if not exact:
            frame[name] = polars.Series(name, numbers, dtype=polars.Float64)
        elif not _all_fit(numbers):
            frame[name] = polars.Series(name, [None if n is None else f"{n:f}" for n in numbers], dtype=polars.String)
        else:
            frame[name] = polars.Series(name, numbers, dtype=polars.Decimal(38, 8))
    return polars.DataFrame(frame)
