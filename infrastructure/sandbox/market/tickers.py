"""Tickers: what the day, the last 24 hours and the last 52 weeks add up to."""

from collections.abc import MutableMapping
from operator import attrgetter
from typing import Any

import attrs

from ..units import DAY, MINUTE, UNITS
from .exchange import Exchange, View
from .values import Bar, Trade, merge

_WEEKS_52_DAYS = 364
_DAY_UNIT = UNITS["1d"]
_KEPT = 4_096


@attrs.frozen
class Ticker:
    """A ticker in exact integers, as ``values.py`` counts them."""

    view: View
    last: Trade
    today: Bar | None
    rolling: Bar | None
    previous_close: int
    highest: tuple[int, int]
    lowest: tuple[int, int]

    @property
    def opening(self) -> int:
        """First price since 00:00 UTC, or the last price when nobody traded since."""
        return self.today.open if self.today else self.last.price_e8

    @property
    def high(self) -> int:
        """Highest price since 00:00 UTC."""
        return self.today.high if self.today else self.last.price_e8

    @property
    def low(self) -> int:
        """Lowest price since 00:00 UTC."""
        return self.today.low if self.today else self.last.price_e8

    @property
    def change(self) -> int:
        """Last price less the close of the last UTC day that traded."""
        return self.last.price_e8 - self.previous_close


class TickerCalculator:
    """Makes tickers, and remembers what only changes by the minute or by the day."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._minutes: dict[tuple[str, int, int, int], tuple[Bar | None, Bar | None]] = {}
        self._days: dict[tuple[str, int, int, int], tuple[int, Bar | None, Bar | None]] = {}

    def ticker(self, view: View, as_of: int) -> Ticker | None:
        """Return the ticker of a code; None before its first trade."""
        last = self._exchange.last_trade(view, as_of)
        if last is None:
            return None
        today, rolling = self._sums(view, as_of)
        previous, high, low = self._history(view, as_of)
        highs = [bar for bar in (high, today) if bar is not None]
        lows = [bar for bar in (low, today) if bar is not None]
        top = max(highs, key=attrgetter("high"), default=None)
        bottom = min(lows, key=attrgetter("low"), default=None)
        return Ticker(
            view,
            last,
            today,
            rolling,
            previous or view.source.reference_price * view.factor or (today.open if today else last.price_e8),
            (top.high, top.start) if top else (last.price_e8, last.traded_ms),
            (bottom.low, bottom.start) if bottom else (last.price_e8, last.traded_ms),
        )

    def previous_close(self, view: View, as_of: int) -> int:
        """Return the close of the last UTC day that traded before the day of ``as_of``."""
        previous, _, _ = self._history(view, as_of)
        previous = previous or view.source.reference_price * view.factor
        if previous:
            return previous
        day = _DAY_UNIT.floor(as_of)
        today = self._exchange.bar(view, day, day + DAY, as_of)
        return today.open if today else 0

    def _sums(self, view: View, as_of: int) -> tuple[Bar | None, Bar | None]:
        """Add up today and the 24 hours that end in this minute."""
        minute, day = as_of // MINUTE * MINUTE, _DAY_UNIT.floor(as_of)
        key = (view.symbol, minute, view.factor, self._exchange.revision)
        found = self._minutes.get(key)
        if found is None:
            _make_room(self._minutes)
            today = self._exchange.bar(view, day, minute, as_of)
            found = today, self._exchange.bar(view, minute + MINUTE - DAY, minute, as_of)
            self._minutes[key] = found
        current = self._exchange.bar(view, minute, minute + MINUTE, as_of)
        return _joined(day, found[0], current), _joined(minute - DAY, found[1], current)

    def _history(self, view: View, as_of: int) -> tuple[int, Bar | None, Bar | None]:
        """Return the previous close, and the days of the highest and lowest price of 52 weeks."""
        day = _DAY_UNIT.floor(as_of)
        key = (view.symbol, day, view.factor, self._exchange.revision)
        found = self._days.get(key)
        if found is None:
            _make_room(self._days)
            found = self._days[key] = self._add_history(view, day, as_of)
        return found

    def _add_history(self, view: View, day: int, as_of: int) -> tuple[int, Bar | None, Bar | None]:
        newest = next(self._exchange.bars_before(view, _DAY_UNIT, day, as_of), None)
        found = self._exchange.extremes(view, day - (_WEEKS_52_DAYS - 1) * DAY, day, as_of)
        high, low = found or (None, None)
        return newest.close if newest else 0, high, low


def _joined(start: int, earlier: Bar | None, current: Bar | None) -> Bar | None:
    return merge(start, [bar for bar in (earlier, current) if bar is not None])


def _make_room(kept: MutableMapping[Any, Any]) -> None:
    if len(kept) >= _KEPT:
        kept.clear()
