"""Randomness without state: every number is a function of a key and an index.

This is what makes the past of the market free: nothing has to be stored or replayed to know it.
"""

import hashlib
import math
import random
from functools import lru_cache

_MASK = (1 << 64) - 1
_STRIDE = 0x9E3779B97F4A7C15
_SPAN = float(1 << 64)
# Periods in days and amplitudes of ln(price): the steepest day moves by less than 5 %.
_OCTAVES = ((512, 0.35), (128, 0.18), (32, 0.08), (8, 0.035), (2, 0.012))
_TREND_DAYS = 3_650


def key_of(*parts: object) -> int:
    """Return a 64-bit key for names and numbers."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def number(key: int, index: int) -> int:
    """Return the 64-bit number at ``index`` (splitmix64, which needs no table and no state)."""
    value = (key + (index + 1) * _STRIDE) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def fraction(key: int, index: int) -> float:
    """Return a number in [0, 1)."""
    return number(key, index) / _SPAN


class HashRandom:
    """Numbers in a row from one key, for building a pattern.

    Only ``random()`` of the standard generator is used: its row is the same in every Python version.
    """

    __slots__ = ("uniform",)

    def __init__(self, *parts: object) -> None:
        """Start the row that ``parts`` name; ``uniform`` draws from [0, 1)."""
        self.uniform = random.Random(key_of(*parts)).random

    def below(self, limit: int) -> int:
        """Draw an integer from [0, limit)."""
        return int(self.uniform() * limit)

    def triangular(self) -> float:
        """Draw from (-1, 1), mostly near zero."""
        return self.uniform() + self.uniform() - 1.0

    def exponential(self) -> float:
        """Draw from an exponential distribution of mean one: many small, few large."""
        return -math.log(1.0 - self.uniform())

    def events(self, mean: float) -> int:
        """Draw how many events fall into an interval that sees ``mean`` on average."""
        if mean >= 5:  # noqa: PLR2004 - above a handful the shape no longer matters
            return int(mean * (0.5 + self.uniform()))
        limit, product, count = math.exp(-mean), self.uniform(), 0
        while product > limit:
            product *= self.uniform()
            count += 1
        return count


@lru_cache(maxsize=1 << 16)
def _lattice(key: int, period: int, index: int) -> float:
    return fraction(key ^ period, index) * 2.0 - 1.0


def log_price(key: int, day: int, trend: float) -> float:
    """Return the smooth part of ln(price) on a day, relative to the symbol's reference price.

    Args:
        key: the symbol's key.
        day: days since the symbol's reference day; negative before.
        trend: growth of ln(price) per ten years.

    """
    total = trend * day / _TREND_DAYS
    for period, amplitude in _OCTAVES:
        index, rest = divmod(day, period)
        blend = rest / period
        blend = blend * blend * (3.0 - 2.0 * blend)
        left, right = _lattice(key, period, index), _lattice(key, period, index + 1)
        total += amplitude * (left + (right - left) * blend)
    return total
