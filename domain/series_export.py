"""How a series leaves for the data ecosystem; the libraries are extras and imported on use.

Columns everywhere: ``opened_at`` (UTC), ``open high low close volume quote_volume``. Numbers are
float64 by default and exact ``Decimal`` on request; ``quote_volume`` is null or NaN where unknown.
"""

from array import array
from collections.abc import Iterator
from decimal import Context, Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .columns import NUMBERS, SCALE, UNIT, CandleColumns, DecimalColumn
from .errors import UnsupportedRequestError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

PRECISION = 38
CHUNK = 8_192
"""Rows that are made floats at a time: those of a structured array take 450 kB, which the processor's cache holds."""
_STEP = Decimal(1).scaleb(-SCALE)
EXACT_ROUNDING = Context(prec=2 * PRECISION)
_EXACT_INTEGER = 2**53


def _library(name: str, extra: str) -> Any:  # noqa: ANN401 - four unrelated libraries
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        msg = f"this needs the library {name!r}, which is not installed; run: pip install 'market-backbone[{extra}]'"
        raise UnsupportedRequestError(msg) from error


def _numbers(columns: CandleColumns, *, exact: bool) -> Iterator[tuple[str, Any]]:
    """Yield the columns of numbers by name, one made after the other."""
    convert = DecimalColumn.to_decimals if exact else _floats
    return ((name, convert(column)) for name, column in zip(NUMBERS, columns.numbers, strict=True))


def _floats(column: DecimalColumn) -> Any:  # noqa: ANN401 - an array of numpy, or a list where that is not installed
    """Return ``column.to_floats()``, number for number; by numpy, where it is there, in a tenth of the time."""
    try:
        numpy = import_module("numpy")
    except ModuleNotFoundError:
        return column.to_floats()
    floats = numpy.empty(len(column), "f8")
    for start in range(0, len(column), CHUNK):
        _fill(numpy, floats[start : start + CHUNK], column, start)
    return _with_outsized(floats, column)


def _fill(numpy: Any, floats: Any, column: DecimalColumn, start: int) -> None:  # noqa: ANN401 - numpy is imported on use
    """Write as many rows of a column as an array takes, from ``start`` on.

    An integer up to 2**53 is a float64 exactly, so that one division rounds once. Beyond, the whole and the
    rest are added: the whole is then above 2**26, where a float64 lies so far from the next that the rounding
    of the rest (at most 2**-54) cannot lead across the middle between two.
    """
    units = numpy.frombuffer(column.units, "i8", len(floats), start * column.units.itemsize)
    least, most = int(units.min()), int(units.max())
    if least > _EXACT_INTEGER:  # prices of Bitcoin, and no other column, in half the time of all that follows
        _add_parts(numpy, units, floats)
        return
    numpy.divide(units, UNIT, out=floats)
    if max(-least, most) > _EXACT_INTEGER:
        is_large = (units > _EXACT_INTEGER) | (units < -_EXACT_INTEGER)
        numpy.copyto(floats, _add_parts(numpy, units, numpy.empty_like(floats)), where=is_large)
        floats[units == column.absent] = numpy.nan


def _add_parts(numpy: Any, units: Any, floats: Any) -> Any:  # noqa: ANN401 - arrays of numpy
    whole = units // UNIT
    return numpy.add(whole, (units - whole * UNIT) / UNIT, out=floats)


def _with_outsized(floats: Any, column: DecimalColumn) -> Any:  # noqa: ANN401 - an array of numpy
    """Write the numbers that are kept apart into the array of a whole column."""
    for row, number in column.outsized.items():
        floats[row] = float(number)
    return floats


def _instants(columns: CandleColumns) -> Any:  # noqa: ANN401 - an array of numpy, or a list where that is not installed
    """Return the openings in microseconds, as an array that may be the series' own; or as a list."""
    opened = columns.opened
    try:
        numpy = import_module("numpy")
    except ModuleNotFoundError:
        return list(opened)
    if isinstance(opened, range):
        return numpy.arange(opened.start, opened.stop, opened.step, "i8")
    return numpy.frombuffer(opened, "i8")


def _integers(arrow: Any, numbers: "array[int]") -> Any:  # noqa: ANN401 - pyarrow has no types
    return arrow.Array.from_buffers(arrow.int64(), len(numbers), [None, arrow.py_buffer(numbers)])


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
    opened = rows["opened_at"].view("i8")
    fields = [(rows[name], column) for name, column in zip(NUMBERS, columns.numbers, strict=True)]
    for start in range(0, len(columns), CHUNK):
        opened[start : start + CHUNK] = columns.opened[start : start + CHUNK]
        for field, column in () if exact else fields:
            _fill(numpy, field[start : start + CHUNK], column, start)
    for field, column in fields:
        if exact:
            field[:] = column.to_decimals()
        else:
            _with_outsized(field, column)
    return rows


def to_pandas(columns: CandleColumns, *, exact: bool) -> "pd.DataFrame":
    """Return a DataFrame indexed by ``opened_at``."""
    pandas = _library("pandas", "pandas")
    index = pandas.DatetimeIndex(_instants(columns).astype("M8[us]"), tz="UTC")
    dtype = "object" if exact else "float64"
    return pandas.DataFrame(dict(_numbers(columns, exact=exact)), index=index.rename("opened_at"), dtype=dtype)


def to_arrow(columns: CandleColumns, *, exact: bool) -> "pa.Table":
    """Return a Table; exact numbers are decimal128(38, 8), or text where one does not fit."""
    arrow = _library("pyarrow", "arrow")
    fields = [_integers(arrow, array("q", columns.opened)).cast(arrow.timestamp("us", tz="UTC"))]
    for name in NUMBERS:
        column: DecimalColumn = getattr(columns, name)
        if exact:
            fields.append(_exact_arrow(arrow, column))
        else:
            fields.append(arrow.array(_floats(column), type=arrow.float64(), from_pandas=True))
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
    units = _integers(arrow, column.units)
    units = compute.if_else(compute.equal(units, column.absent), None, units).cast(arrow.decimal128(19, 0))
    return compute.multiply(units, arrow.scalar(_STEP, arrow.decimal128(SCALE + 1, SCALE))).cast(exact)


def to_polars(columns: CandleColumns, *, exact: bool) -> "pl.DataFrame":
    """Return a DataFrame; exact numbers are Decimal(38, 8), or text where one does not fit."""
    polars = _library("polars", "polars")
    opened = polars.Series("opened_at", _instants(columns), dtype=polars.Int64).cast(polars.Datetime("us", "UTC"))
    frame: dict[str, Any] = {"opened_at": opened}
    for name, numbers in _numbers(columns, exact=exact):
        if not exact:
            frame[name] = polars.Series(name, numbers, dtype=polars.Float64)
        elif not _all_fit(numbers):
            frame[name] = polars.Series(name, [None if n is None else f"{n:f}" for n in numbers], dtype=polars.String)
        else:
            frame[name] = polars.Series(name, numbers, dtype=polars.Decimal(38, 8))
    return polars.DataFrame(frame)
