"""Candle histories from REST pages (JSON) and from tables (CSV, labels in Korean time)."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, cast

import attrs

from ..market.values import PRICE_SCALE, TURNOVER_SCALE, Bar
from ..units import DAY, HOUR, MINUTE, MINUTE_UNITS, SECOND, UNITS, CandleUnit, ms

_COLUMNS = (
    "candle_date_time_kst",
    "opening_price",
    "high_price",
    "low_price",
    "trade_price",
    "candle_acc_trade_price",
    "candle_acc_trade_volume",
)
_CODE_IN_NAME = re.compile(r"([A-Za-z]{3,5}-[A-Za-z0-9]{1,12})(?=[^A-Za-z0-9]|$)")
_SHOWN = 80
_LARGEST_EXPONENT = 18
_LENGTHS = {SECOND: "1s", DAY: "1d", **{minutes * MINUTE: f"{minutes}m" for minutes in MINUTE_UNITS}}
Refuse = Callable[[str], Exception]


@attrs.frozen
class History:
    """Candles of one code and unit, oldest first."""

    unit: CandleUnit
    bars: tuple[Bar, ...]

    @property
    def ends_ms(self) -> int:
        """The end of the newest candle."""
        return self.unit.following(self.bars[-1].start)


def history_from_rows(content: object, refuse: Refuse) -> dict[str, History]:
    """Return the histories in an array of REST candle rows, by code."""
    if not isinstance(content, list) or not content:
        raise refuse("expected a JSON array of candle rows, but it is empty or no array")
    found: dict[str, dict[int, Bar]] = {}
    units: dict[str, CandleUnit] = {}
    for place, row in enumerate(cast("list[Any]", content), 1):
        try:
            code, unit = str(row["market"]), _unit_of(row)
            bar = _bar(_instant(row["candle_date_time_utc"]), row, scaled(row["timestamp"], 0))
        except (KeyError, TypeError, ValueError, InvalidOperation, OverflowError) as error:
            message = f"row {place}: expected a candle row of Upbit, but {error!r} in {str(row)[:_SHOWN]}"
            raise refuse(message) from error
        if units.setdefault(code, unit) is not unit:
            message = f"row {place}: expected candles of one unit per code, came {unit.name} after {units[code].name}"
            raise refuse(message)
        found.setdefault(code, {})[bar.start] = bar
    return {code: _history(units[code], bars) for code, bars in found.items()}


def history_from_table(lines: Iterator[tuple[int, str]], name: str, refuse: Refuse) -> dict[str, History]:
    """Return the history in a CSV whose header names REST fields; the code is taken from the file name."""
    match = _CODE_IN_NAME.search(name)
    if match is None:
        raise refuse(f"expected the code in the file name, such as krw-btc.1h.csv, came {name}")
    _, head = next(lines)
    columns = [column.strip() for column in head.split(",")]
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise refuse(f"line 1: expected the columns {', '.join(_COLUMNS)}, came {head.strip()[:_SHOWN]}")
    bars: dict[int, Bar] = {}
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = dict(zip(columns, line.strip().split(","), strict=True))
            start = _instant(row["candle_date_time_kst"]) - 9 * HOUR
            bars[start] = _bar(start, row, start)
        except (ValueError, InvalidOperation, OverflowError) as error:
            message = f"line {number}: expected {len(columns)} values of a candle, came {line.strip()[:_SHOWN]}"
            raise refuse(message) from error
    return {match[1].upper(): _table_history(bars, refuse)}


def _table_history(bars: dict[int, Bar], refuse: Refuse) -> History:
    starts = sorted(bars)
    length = min((later - earlier for earlier, later in pairwise(starts)), default=0)
    if length not in _LENGTHS:
        raise refuse("expected at least two candles one unit apart (1s, a minutes unit of Upbit, or 1d)")
    # The table has no time of the last tick; the end of the slot is what can be said.
    placed = {start: bar._replace(stored_ms=start + length - 1) for start, bar in bars.items()}
    return _history(UNITS[_LENGTHS[length]], placed)


def _history(unit: CandleUnit, bars: dict[int, Bar]) -> History:
    return History(unit, tuple(bars[start] for start in sorted(bars)))


def _unit_of(row: dict[str, Any]) -> CandleUnit:
    if "unit" in row:
        return UNITS[f"{row['unit']}m"]
    if "first_day_of_period" in row:
        raise ValueError("weeks, months and years cannot be replayed: they aggregate days")
    return UNITS["1d" if "prev_closing_price" in row else "1s"]


def _bar(start: int, row: dict[str, Any], stored: int) -> Bar:
    opening, high, low, close, volume = (
        scaled(row[name], PRICE_SCALE)
        for name in ("opening_price", "high_price", "low_price", "trade_price", "candle_acc_trade_volume")
    )
    turnover = scaled(row["candle_acc_trade_price"], TURNOVER_SCALE)
    return Bar(start, opening, high, low, close, volume, turnover, 0, stored, 1)


def scaled(value: object, scale: int) -> int:
    """Return a number in units of ``10 ** -scale``, exactly.

    Raises:
        ValueError: it has more decimals, or more digits than any market.
        InvalidOperation: it is no number.

    """
    number = Decimal(str(value))
    if not number.is_finite() or number.adjusted() > _LARGEST_EXPONENT:
        raise ValueError(f"{str(value)[:_SHOWN]} is no number of a market")
    number = number.scaleb(scale)
    if number != number.to_integral_value():
        raise ValueError(f"{str(value)[:_SHOWN]} has more than {scale} decimals")
    return int(number)


def _instant(text: object) -> int:
    return ms(datetime.fromisoformat(str(text)).replace(tzinfo=UTC))
