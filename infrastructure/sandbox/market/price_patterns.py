"""The table of patterns of the market: minutes and hours whose sums are known before they are placed.

A pattern holds offsets from a base price, in ticks. Placed on a base price with a volume factor, its
open, high, low, close, volume and turnover follow by arithmetic, exactly:
``sum(price * volume) = base * sum(volume) + tick * sum(offset * volume)``. So an hour costs one
addition instead of thousands of trades, and still equals them.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from ..hash_rng import HashRandom
from ..units import MINUTE

# Of each kind of minute and hour; enough that a chart does not look knitted.
_MINUTES_PER_LEVEL = 32
_HOURS_PER_CLASS = 4
MINUTES_AN_HOUR = 60
STEEPEST = 10
_CLASS_STEP = 2.0
_WIGGLE = 1.6
# Trades keep clear of the first 60 ms of a minute, and are stored at most 54 ms late: so trades are
# always stored in their own order, also across minutes.
_FIRST_MS = 60
_MIN_LAG, _MAX_LAG = 37, 54
_SAME_INSTANT = 0.08
# Volumes are multiples of ten units, so that a redenomination by ten divides them exactly.
_GRAIN = 10


class PatternTrade(NamedTuple):
    """One trade of a minute: when, how far from the base price, how much."""

    ms: int
    number: int
    offset: int
    volume: int
    is_ask: bool
    stored: int


class Shape(NamedTuple):
    """What the trades of a pattern add up to; ``moment`` is the sum of offset times volume."""

    first: int
    high: int
    low: int
    last: int
    volume: int
    moment: int
    ask_volume: int
    stored: int
    trades: int


class MinutePattern(NamedTuple):
    """A minute's trades and their sums."""

    trades: tuple[PatternTrade, ...]
    shape: Shape | None


class HourPattern(NamedTuple):
    """Sixty minutes, each at its offset from the hour's base, and their sums."""

    minutes: tuple[tuple[MinutePattern, int], ...]
    close: int
    shape: Shape | None


class PatternTable:
    """All patterns of one symbol at one price scale (ticks per unit of relative movement)."""

    def __init__(self, seed: int, symbol: str, scale: float, rates: tuple[float, ...], mean_volume: float) -> None:
        """Build nothing yet: a pattern is made when it is first used."""
        self._name = (seed, symbol, "pattern")
        self._scale = scale
        self._rates = rates
        self._mean = mean_volume * 1e8 / _GRAIN
        self._minutes: dict[tuple[int, int], MinutePattern] = {}
        self._hours: dict[tuple[int, int, int], HourPattern] = {}

    def closing(self, steepness: int) -> int:
        """Return by how many ticks an hour of this class moves the price."""
        return round(steepness * _CLASS_STEP * self._scale)

    def steepness_for(self, ticks: int) -> int:
        """Return the class whose move comes nearest to ``ticks``."""
        wanted = round(ticks / (_CLASS_STEP * self._scale))
        return max(-STEEPEST, min(STEEPEST, wanted))

    def hour(self, level: int, steepness: int, choice: int) -> HourPattern:
        """Return one of the hours of an activity level and a class; ``choice`` may be any integer."""
        key = (level, steepness, choice % _HOURS_PER_CLASS)
        found = self._hours.get(key)
        if found is None:
            found = self._hours[key] = self._make_hour(*key)
        return found

    def _minute(self, level: int, choice: int) -> MinutePattern:
        key = (level, choice % _MINUTES_PER_LEVEL)
        found = self._minutes.get(key)
        if found is None:
            found = self._minutes[key] = self._make_minute(*key)
        return found

    def _make_hour(self, level: int, steepness: int, choice: int) -> HourPattern:
        rng = HashRandom(*self._name, "hour", level, steepness, choice)
        close = self.closing(steepness)
        wander = [0.0]
        for _ in range(MINUTES_AN_HOUR):
            wander.append(wander[-1] + rng.triangular() * _WIGGLE)
        minutes: list[tuple[MinutePattern, int]] = []
        for index in range(MINUTES_AN_HOUR):
            bridge = wander[index] - wander[-1] * index / MINUTES_AN_HOUR
            base = round(bridge * self._scale + close * index / MINUTES_AN_HOUR)
            minutes.append((self._minute(level, rng.below(_MINUTES_PER_LEVEL)), base))
        return HourPattern(tuple(minutes), close, _shape_of_hour(minutes))

    def _make_minute(self, level: int, choice: int) -> MinutePattern:
        rng = HashRandom(*self._name, "minute", level, choice)
        count = rng.events(self._rates[level])
        instants = sorted(_FIRST_MS + rng.below(MINUTE - _FIRST_MS) for _ in range(count))
        trades: list[PatternTrade] = []
        path = 0.0
        for instant in instants:
            path = path * 0.97 + rng.triangular() * 0.5
            volume = _GRAIN * max(1, round(self._mean * math.exp(rng.triangular() * 2.0) * rng.exponential()))
            is_ask = rng.below(2) == 0
            # A taker who buys pays the ask, one tick above: what makes coarse prices move at all.
            offset = round(path * self._scale) + (0 if is_ask else 1)
            lag = _MIN_LAG + rng.below(_MAX_LAG - _MIN_LAG + 1)
            same_instant = bool(trades) and rng.uniform() < _SAME_INSTANT
            trade = PatternTrade(instant, 0, offset, volume, is_ask, instant + lag)
            trades.append(_follow(trades, trade, same_instant=same_instant))
        return MinutePattern(tuple(trades), _shape_of_minute(trades))


def _follow(earlier: list[PatternTrade], trade: PatternTrade, *, same_instant: bool) -> PatternTrade:
    """Number a trade among those of its millisecond; trades are stored in their own order."""
    if not earlier:
        return trade
    last = earlier[-1]
    if same_instant or trade.ms <= last.ms:
        return trade._replace(ms=last.ms, number=last.number + 1, stored=last.stored)
    return trade._replace(stored=max(trade.stored, last.stored))


def _shape_of_minute(trades: list[PatternTrade]) -> Shape | None:
    if not trades:
        return None
    offsets = [trade.offset for trade in trades]
    return Shape(
        first=offsets[0],
        high=max(offsets),
        low=min(offsets),
        last=offsets[-1],
        volume=sum(trade.volume for trade in trades),
        moment=sum(trade.offset * trade.volume for trade in trades),
        ask_volume=sum(trade.volume for trade in trades if trade.is_ask),
        stored=trades[-1].stored,
        trades=len(trades),
    )


def _shape_of_hour(minutes: Iterable[tuple[MinutePattern, int]]) -> Shape | None:
    placed = [
        (shape, base, index * MINUTE)
        for index, (pattern, base) in enumerate(minutes)
        if (shape := pattern.shape) is not None
    ]
    if not placed:
        return None
    shape, base, _ = placed[0]
    first, high, low = shape.first + base, shape.high + base, shape.low + base
    volume = moment = ask_volume = trades = 0
    for shape, base, _ in placed:
        high = max(high, shape.high + base)
        low = min(low, shape.low + base)
        volume += shape.volume
        moment += shape.moment + base * shape.volume
        ask_volume += shape.ask_volume
        trades += shape.trades
    shape, base, start = placed[-1]
    return Shape(first, high, low, shape.last + base, volume, moment, ask_volume, start + shape.stored, trades)
