"""Blocks and ledgers as bytes: exact, checked, and quick to read.

A block is ``format, crc32 | rows, bytes of text | opened, six columns of numbers, updated: int64 each |
mark: uint32 | text``, little-endian throughout. The text is JSON: the marks table, and the numbers that
do not fit an int64, as they are written. A ledger is ``format, crc32 | JSON``.

Invariant: what is decoded equals what was encoded, number for number; any other bytes raise ``DamagedBytesError``.
"""

import json
import struct
import sys
from array import array
from decimal import Decimal
from typing import Any
from zlib import crc32

from ...domain.columns import CandleColumns, DecimalColumn, Mark
from ...domain.coverage import ExplainedRange, Reason
from ...domain.finality import Finality, SealedBy
from ...domain.holding import Ledger, SeriesKey
from ...domain.instants import from_micros, to_micros
from ...domain.time_range import TimeRange

FORMAT = 1
_SEAL = struct.Struct("<BI")
_SIZES = struct.Struct("<II")
_WIDE, _NARROW = 8, 4
_NUMBERS = 6
_SWAPS = sys.byteorder == "big"


class DamagedBytesError(Exception):
    """The bytes are not those that were written."""


def encode_block(columns: CandleColumns) -> bytes:
    """Return the rows of one block as bytes."""
    numbers = _numbers(columns)
    body = {
        "marks": [[m.source, m.finality, m.sealed_by, m.revision, m.is_empty] for m in columns.marks],
        "outsized": [[[row, str(number)] for row, number in column.outsized.items()] for column in numbers],
    }
    text = json.dumps(body, separators=(",", ":")).encode()
    wide = (columns.opened, *(column.units for column in numbers), columns.updated, columns.mark)
    return _sealed(b"".join((_SIZES.pack(len(columns), len(text)), *map(_to_bytes, wide), text)))


def decode_block(key: SeriesKey, data: bytes) -> CandleColumns:
    """Return the rows that ``encode_block`` was given."""
    body = _unsealed(data)
    rows, length = _SIZES.unpack_from(body)
    cursor = _SIZES.size
    wide: list[array[int]] = []
    for _ in range(_NUMBERS + 2):
        wide.append(_from_bytes("q", body[cursor : cursor + rows * _WIDE]))
        cursor += rows * _WIDE
    mark = _from_bytes("I", body[cursor : cursor + rows * _NARROW])
    text: dict[str, Any] = json.loads(bytes(body[len(body) - length :]))
    outsized = [{row: Decimal(number) for row, number in column} for column in text["outsized"]]
    opening, high, low, close, volume, turnover = (
        DecimalColumn(units, odd) for units, odd in zip(wide[1 : _NUMBERS + 1], outsized, strict=True)
    )
    return CandleColumns(
        key.venue,
        key.symbol,
        key.timeframe,
        wide[0],
        opening,
        high,
        low,
        close,
        volume,
        turnover,
        wide[-1],
        mark,
        tuple(_to_mark(*fields) for fields in text["marks"]),
    )


def encode_ledger(ledger: Ledger) -> bytes:
    """Return what is known of one series as bytes."""
    body = {
        "proven": [_to_pair(span) for span in ledger.proven],
        "provisional": [_to_pair(span) for span in ledger.provisional],
        "explained": [[*_to_pair(part.span), part.reason] for part in ledger.explained],
        "verified_at": None if ledger.verified_at is None else to_micros(ledger.verified_at),
    }
    return _sealed(json.dumps(body, separators=(",", ":")).encode())


def decode_ledger(data: bytes) -> Ledger:
    """Return the ledger that ``encode_ledger`` was given."""
    body: dict[str, Any] = json.loads(bytes(_unsealed(data)))
    at: int | None = body["verified_at"]
    return Ledger(
        proven=tuple(_to_range(*pair) for pair in body["proven"]),
        provisional=tuple(_to_range(*pair) for pair in body["provisional"]),
        explained=tuple(_to_explained(*fields) for fields in body["explained"]),
        verified_at=None if at is None else from_micros(at),
    )


def _sealed(body: bytes) -> bytes:
    return _SEAL.pack(FORMAT, crc32(body)) + body


def _unsealed(data: bytes) -> memoryview:
    if len(data) < _SEAL.size:
        raise DamagedBytesError(f"expected at least {_SEAL.size} bytes, got {len(data)}")
    form, checksum = _SEAL.unpack_from(data)
    body = memoryview(data)[_SEAL.size :]
    if form != FORMAT:
        raise DamagedBytesError(f"expected format {FORMAT}, got {form}")
    if crc32(body) != checksum:
        raise DamagedBytesError(f"expected the checksum {checksum:08x}, got {crc32(body):08x}")
    return body


def _numbers(columns: CandleColumns) -> tuple[DecimalColumn, ...]:
    return (columns.open, columns.high, columns.low, columns.close, columns.volume, columns.quote_volume)


def _to_bytes(numbers: "array[int]") -> bytes:
    if _SWAPS:  # pragma: no cover - no such machine at hand
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _from_bytes(typecode: str, data: memoryview) -> "array[int]":
    numbers: array[int] = array(typecode)
    numbers.frombytes(data)
    if _SWAPS:  # pragma: no cover - no such machine at hand
        numbers.byteswap()
    return numbers


def _to_mark(source: str, finality: int, sealed_by: str | None, revision: int, is_empty: bool) -> Mark:  # noqa: FBT001 - the order of the stored fields
    return Mark(source, Finality(finality), None if sealed_by is None else SealedBy(sealed_by), revision, is_empty)


def _to_pair(span: TimeRange) -> tuple[int, int]:
    return to_micros(span.start), to_micros(span.end)


def _to_range(start: int, end: int) -> TimeRange:
    return TimeRange(from_micros(start), from_micros(end))


def _to_explained(start: int, end: int, reason: str) -> ExplainedRange:
    return ExplainedRange(from_micros(start), from_micros(end), Reason(reason))
