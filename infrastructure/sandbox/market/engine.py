"""The trade process of one symbol: any trade or bar of any time, computed on the spot.

A day is planned from its smooth opening price to the next day's: twenty-four hours, each a pattern of
the symbol's pattern table placed where the one before ended. Nothing depends on what was asked earlier,
so any order of questions gets the same answers; the caches only save time.
"""

import bisect
import math
from collections.abc import Iterator
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import NamedTuple

import attrs

from ..hash_rng import HashRandom, key_of, log_price, number
from ..units import DAY, HOUR, MINUTE
from .price_patterns import MINUTES_AN_HOUR, HourPattern, MinutePattern, PatternTable, Shape
from .symbols import SymbolSpec
from .ticks import tick_size
from .values import Bar, Trade, bar_of, merge

_REFERENCE_DAY = 20_454  # 2026-01-01
_HOURS_A_DAY = 24
# One unit of relative movement is between 0.01 % and 0.02 % of the price.
_UNIT_OF_MOVEMENT = 1e-4
_HEADROOM = 1.2
_DAY_WIGGLES = 32
_WIGGLE_STEP = 6.0
_MAX_GAIN = 4
# How far a day's prices stray from its smooth opening and closing.
_REACH = 0.03
_REACH_TICKS = 4
_BUSY_HOURS = frozenset({0, 1, 2, 12, 13, 14, 15, 16})
# No trade is stored later than this after it happened.
MAX_LAG_MS = 60
# Share of trades (of 1,000) that sockets get late, hence out of order, and by how much at most.
_LATE_PER_MILLE = 20
_LATEST_MS = 340


class PlacedHour(NamedTuple):
    """An hour pattern at its place: base price, tick and volume factor; a tuple, as ``Bar`` is."""

    start: int
    pattern: HourPattern
    base: int
    tick: int
    gain: int


@attrs.frozen
class Closure:
    """A half-open span without trades."""

    start: int
    end: int


_traded_ms, _high, _low = attrgetter("traded_ms"), attrgetter("high"), attrgetter("low")


class TradeProcess:
    """Everything that one symbol ever traded, as a function of (seed, symbol, time)."""

    def __init__(self, seed: int, spec: SymbolSpec) -> None:
        self.spec = spec
        self._seed = seed
        self._key = key_of(seed, spec.symbol)
        self._level = log_price(self._key, 0, spec.trend)
        self._pattern_tables: dict[int, PatternTable] = {}
        self._closures: tuple[Closure, ...] = (Closure(-(1 << 62), spec.listed_ms),)
        self._day_plan = lru_cache(maxsize=2_048)(self._plan_day)
        self._day_bar = lru_cache(maxsize=16_384)(self._add_day)
        self._hour_bar = lru_cache(maxsize=4_096)(self._add_hour)
        self._minute_trades = lru_cache(maxsize=512)(self._place_minute)
        self._smooth_price = lru_cache(maxsize=8_192)(self._make_smooth_price)
        self._wiggle = lru_cache(maxsize=_DAY_WIGGLES)(self._make_wiggle)

    def close(self, closure: Closure) -> None:
        """Let nobody trade in a span; what the span held before is gone."""
        self._closures = (*self._closures, closure)
        self._forget()

    def shorten_closures(self, opened: set[int], now: int) -> None:
        """End the closures that began at one of ``opened`` at ``now``."""
        self._closures = tuple(
            Closure(each.start, min(each.end, max(now, each.start))) if each.start in opened else each
            for each in self._closures
        )
        self._forget()

    def _forget(self) -> None:
        """Drop what was computed before the closures changed."""
        for cached in (self._day_bar, self._hour_bar, self._minute_trades):
            cached.cache_clear()

    def horizon(self, as_of: int) -> int:
        """Return the time of the first trade not yet stored at ``as_of``: readers see what is before it."""
        for trade in self.trades(as_of - MAX_LAG_MS, as_of + 1):
            if trade.stored_ms > as_of:
                return trade.traded_ms
        return as_of + 1

    def trades(self, start: int, end: int) -> Iterator[Trade]:
        """Yield the trades of a half-open span, oldest first."""
        for minute in range(start // MINUTE * MINUTE, end, MINUTE):
            placed = self._minute_trades(minute)
            if start <= minute and minute + MINUTE <= end:
                yield from placed
            else:
                low = bisect.bisect_left(placed, start, key=_traded_ms)
                yield from placed[low : bisect.bisect_left(placed, end, key=_traded_ms)]

    def bar(self, start: int, end: int) -> Bar | None:
        """Add the trades of a half-open span up to one bar, using the largest known pieces."""
        return merge(start, self._pieces(max(start, self.spec.listed_ms), end))

    def minutes_before(self, end: int) -> Iterator[int]:
        """Yield the starts of minutes that may hold trades before ``end``, newest first."""
        for hour in self.hours_before(end):
            for minute in range(hour + HOUR - MINUTE, hour - 1, -MINUTE):
                if minute < end:
                    yield minute

    def hours_before(self, end: int) -> Iterator[int]:
        """Yield the starts of hours that may hold trades before ``end``, newest first."""
        for day in self.days_before(end):
            for hour in range(day + DAY - HOUR, day - 1, -HOUR):
                if hour < end and self._hour_bar(hour) is not None:
                    yield hour

    def days_before(self, end: int) -> Iterator[int]:
        """Yield the starts of days that may hold trades before ``end``, newest first."""
        day = (end - 1) // DAY * DAY
        while day + DAY > self.spec.listed_ms:
            yield day
            day -= DAY

    def extremes(self, start: int, end: int) -> tuple[Bar, Bar] | None:
        """Return the days with the highest and the lowest price among the days of a span.

        Only days whose smooth price comes near the extreme are added up: a year costs a tenth of its days.
        """
        bounds = [self._day_bounds(day) for day in range(max(start, self.spec.listed_ms // DAY * DAY), end, DAY)]
        highest: Bar | None = None
        for upper, _, day in sorted(bounds, reverse=True):
            if highest is not None and highest.high >= upper:
                break
            highest = max((bar for bar in (highest, self.bar(day, day + DAY)) if bar), key=_high, default=None)
        lowest: Bar | None = None
        for _, lower, day in sorted(bounds, key=itemgetter(1)):
            if lowest is not None and lowest.low <= lower:
                break
            lowest = min((bar for bar in (lowest, self.bar(day, day + DAY)) if bar), key=_low, default=None)
        return None if highest is None or lowest is None else (highest, lowest)

    def last_open_before(self, instant: int) -> int:
        """Return the newest instant, up to ``instant``, at which the market was open."""
        while True:
            earlier = self._opening_before(instant)
            if earlier == instant:
                return instant
            instant = earlier

    def last_trade(self, horizon: int) -> Trade | None:
        """Return the newest trade before ``horizon``."""
        for minute in self.minutes_before(horizon):
            placed = self._minute_trades(minute)
            count = bisect.bisect_left(placed, horizon, key=_traded_ms)
            if count:
                return placed[count - 1]
        return None

    def _pieces(self, start: int, end: int) -> Iterator[Bar]:
        position = start
        while position < end:
            length, piece = self._largest_piece(position, end)
            if piece is not None:
                yield piece
            position += length

    def _largest_piece(self, position: int, end: int) -> tuple[int, Bar | None]:
        if position % DAY == 0 and position + DAY <= end:
            return DAY, self._day_bar(position)
        if position % HOUR == 0 and position + HOUR <= end:
            return HOUR, self._hour_bar(position)
        if position % MINUTE == 0 and position + MINUTE <= end:
            return MINUTE, self._minute_bar(position)
        stop = min(end, position // MINUTE * MINUTE + MINUTE)
        return stop - position, bar_of(position, self.trades(position, stop))

    def _touched(self, start: int, end: int) -> bool:
        return any(closure.start < end and start < closure.end for closure in self._closures)

    def _is_open(self, start: int) -> bool:
        first, last = self.spec.open_hours
        return first <= start % DAY // HOUR < last

    def _opening_before(self, instant: int) -> int:
        for closure in self._closures[1:]:
            if closure.start <= instant < closure.end:
                return closure.start - 1
        if instant >= self.spec.listed_ms and not self._is_open(instant):
            return instant // HOUR * HOUR - 1
        return instant

    def _add_day(self, day: int) -> Bar | None:
        if not self._touched(day, day + DAY):
            return merge(day, self._untouched_hours(day))
        hours = (self._hour_bar(day + index * HOUR) for index in range(_HOURS_A_DAY))
        return merge(day, (hour for hour in hours if hour is not None))

    def _untouched_hours(self, day: int) -> Iterator[Bar]:
        first, last = self.spec.open_hours
        for hour in self._day_plan(day // DAY)[first:last]:
            bar = _place(hour.start, hour, hour.pattern.shape, hour.base)
            if bar is not None:
                yield bar

    def _add_hour(self, start: int) -> Bar | None:
        if not self._is_open(start):
            return None
        if self._touched(start, start + HOUR):
            minutes = (self._minute_bar(start + index * MINUTE) for index in range(MINUTES_AN_HOUR))
            return merge(start, (minute for minute in minutes if minute is not None))
        hour = self._hour(start)
        return _place(start, hour, hour.pattern.shape, hour.base)

    def _minute_bar(self, start: int) -> Bar | None:
        if not self._is_open(start):
            return None
        if self._touched(start, start + MINUTE):
            return bar_of(start, self._minute_trades(start))
        hour = self._hour(start)
        pattern, offset = _minute_of(hour, start)
        return _place(start, hour, pattern.shape, hour.base + offset * hour.tick)

    def _place_minute(self, start: int) -> tuple[Trade, ...]:
        if not self._is_open(start):
            return ()
        hour = self._hour(start)
        pattern, offset = _minute_of(hour, start)
        base = hour.base + offset * hour.tick
        trades: list[Trade] = []
        for ms, ordinal, ticks, volume, is_ask, stored in pattern.trades:
            traded = start + ms
            late = self._lateness(traded)
            price = base + ticks * hour.tick
            # As every sequential_id that was seen: milliseconds and four more digits. Beyond 2**53 on purpose.
            identity = traded * 10_000 + ordinal
            published = start + stored + late
            trades.append(Trade(identity, traded, start + stored, published, price, volume * hour.gain, is_ask))
        if self._touched(start, start + MINUTE):
            return tuple(trade for trade in trades if not self._touched(trade.traded_ms, trade.traded_ms + 1))
        return tuple(trades)

    def _lateness(self, traded: int) -> int:
        draw = number(self._key, traded)
        return (draw >> 20) % _LATEST_MS if draw % 1_000 < _LATE_PER_MILLE else 0

    def _hour(self, instant: int) -> PlacedHour:
        return self._day_plan(instant // DAY)[instant % DAY // HOUR]

    def _plan_day(self, day: int) -> tuple[PlacedHour, ...]:
        opening, closing = self._smooth_price(day), self._smooth_price(day + 1)
        tick = tick_size(self.spec.quote, round(max(opening, closing) * _HEADROOM))
        base, goal = round(opening / tick), round(closing / tick)
        exponent = math.floor(math.log2(max(base * _UNIT_OF_MOVEMENT, 1 / 512)))
        pattern_table = self._pattern_table(exponent)
        wiggle = self._wiggle(number(self._key, day) % _DAY_WIGGLES)
        scale = 2.0**exponent
        hours: list[PlacedHour] = []
        current = max(base, 1)
        for index in range(_HOURS_A_DAY):
            start = day * DAY + index * HOUR
            wanted = base + (goal - base) * (index + 1) / _HOURS_A_DAY + wiggle[index + 1] * scale
            draw = number(self._key, start)
            steepness = pattern_table.steepness_for(round(wanted) - current)
            pattern = pattern_table.hour(_activity(index, draw), steepness, draw >> 8)
            hours.append(PlacedHour(start, pattern, current * tick, tick, 1 + (draw >> 32) % _MAX_GAIN))
            current += pattern.close
        return tuple(hours)

    def _make_smooth_price(self, day: int) -> float:
        relative = log_price(self._key, day - _REFERENCE_DAY, self.spec.trend) - self._level
        return self.spec.price * math.exp(relative)

    def _day_bounds(self, start: int) -> tuple[float, float, int]:
        """Return prices that the day cannot leave (a property test holds us to it), and the day."""
        day = start // DAY
        opening, closing = self._smooth_price(day), self._smooth_price(day + 1)
        slack = _REACH_TICKS * tick_size(self.spec.quote, round(max(opening, closing) * _HEADROOM))
        return max(opening, closing) * (1 + _REACH) + slack, min(opening, closing) * (1 - _REACH) - slack, start

    def _pattern_table(self, exponent: int) -> PatternTable:
        found = self._pattern_tables.get(exponent)
        if found is None:
            spec = self.spec
            found = _shared_pattern_table(self._seed, spec.symbol, 2.0**exponent, spec.rates, spec.mean_volume)
            self._pattern_tables[exponent] = found
        return found

    def _make_wiggle(self, choice: int) -> list[float]:
        rng = HashRandom(self._seed, self.spec.symbol, "wiggle", choice)
        path = [0.0]
        for _ in range(_HOURS_A_DAY):
            path.append(path[-1] + rng.triangular() * _WIGGLE_STEP)
        return [step - path[-1] * index / _HOURS_A_DAY for index, step in enumerate(path)]


_shared_pattern_table = lru_cache(maxsize=256)(PatternTable)
"""Every sandbox of a process that has the same seed draws from the same patterns."""


def _activity(hour: int, draw: int) -> int:
    level = 2 if hour in _BUSY_HOURS else 1
    return max(0, level - (draw >> 48) % 3) if (draw >> 40) % 2 else level


def _minute_of(hour: PlacedHour, start: int) -> tuple[MinutePattern, int]:
    return hour.pattern.minutes[(start - hour.start) // MINUTE]


def _place(start: int, hour: PlacedHour, shape: Shape | None, base: int) -> Bar | None:
    if shape is None:
        return None
    tick, gain = hour.tick, hour.gain
    return Bar(
        start,
        base + shape.first * tick,
        base + shape.high * tick,
        base + shape.low * tick,
        base + shape.last * tick,
        shape.volume * gain,
        (base * shape.volume + tick * shape.moment) * gain,
        shape.ask_volume * gain,
        start + shape.stored,
        shape.trades,
    )
