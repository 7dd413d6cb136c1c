"""Order books around the last price: a function of (seed, symbol, time), like the trades."""

import hashlib

import attrs

from ..hash_rng import key_of, number
from .engine import TradeProcess
from .ticks import tick_size
from .values import Book, BookUnit

DEPTH = 30
# Share of grid points (of 100) at which a book changes; every so many steps it changes for certain.
_CHANGES_PERCENT = 72
_CERTAIN_EVERY = 24
# A change reaches readers this much later.
PUBLISH_DELAY_MS = 6
_BYTES_A_LEVEL = 6
_EMPTY = BookUnit(0, 0, 0, 0)


class BookProcess:
    """The books of one symbol, on a time grid of fixed phase."""

    def __init__(self, seed: int, process: TradeProcess) -> None:
        """Derive the phase of the grid; books themselves are made when asked for."""
        self._process = process
        self._spec = process.spec
        self._key = key_of(seed, self._spec.symbol, "book")
        self._grid = self._spec.book_grid_ms
        self._phase = number(self._key, 0) % self._grid

    def changed_before(self, instant: int) -> int:
        """Return when the book seen at ``instant`` last changed."""
        latest = self._process.last_open_before(instant - PUBLISH_DELAY_MS)
        step = (latest - self._phase) // self._grid
        while not self._changes_at(step):
            step -= 1
        return step * self._grid + self._phase

    def at(self, changed_ms: int) -> Book | None:
        """Return the book of one change; None before the first trade."""
        last = self._process.last_trade(changed_ms)
        if last is None:
            return None
        return Book(changed_ms, self._units(changed_ms, last.price_e8))

    def newest(self, instant: int) -> Book | None:
        """Return the book that a reader sees at ``instant``."""
        return self.at(self.changed_before(instant))

    def _changes_at(self, step: int) -> bool:
        return step % _CERTAIN_EVERY == 0 or number(self._key, step) % 100 < _CHANGES_PERCENT

    def _units(self, changed_ms: int, price: int) -> tuple[BookUnit, ...]:
        entropy = hashlib.shake_128(f"{self._key}:{changed_ms}".encode()).digest(DEPTH * _BYTES_A_LEVEL)
        tick = tick_size(self._spec.quote, price)
        mean = int(self._spec.mean_volume * 1e8)
        spread = 1 + entropy[0] % 3
        bid = price - (entropy[0] >> 4) % 2 * spread * tick
        ask = bid + spread * tick
        units: list[BookUnit] = []
        for level in range(self._spec.book_depth):
            part = entropy[level * _BYTES_A_LEVEL : (level + 1) * _BYTES_A_LEVEL]
            unit = BookUnit(ask, bid, _size(mean, part[1:3]), _size(mean, part[3:5]))
            units.append(unit if bid > 0 else attrs.evolve(unit, bid_price=0, bid_size=0))
            ask += (1 + part[0] % 3) * tick
            bid -= (1 + part[5] % 3) * tick
        return (*units, *([_EMPTY] * (DEPTH - len(units))))


def grouped(book: Book, level: int) -> Book:
    """Group a book to price steps of ``level``: bids down, asks up."""
    if not level:
        return book
    asks: dict[int, int] = {}
    bids: dict[int, int] = {}
    for unit in book.units:
        if unit.ask_price:
            price = -(-unit.ask_price // level) * level
            asks[price] = asks.get(price, 0) + unit.ask_size
        if unit.bid_price:
            price = unit.bid_price // level * level
            bids[price] = bids.get(price, 0) + unit.bid_size
    ask_side, bid_side = _padded(asks), _padded(bids)
    units = tuple(BookUnit(ask[0], bid[0], ask[1], bid[1]) for ask, bid in zip(ask_side, bid_side, strict=True))
    return Book(book.changed_ms, units, level)


def without_side(book: Book, side: str) -> Book:
    """Return the book with one side empty, as seen on delisted or halted pairs."""
    if side == "ask":
        units = tuple(attrs.evolve(unit, ask_price=0, ask_size=0) for unit in book.units)
    else:
        units = tuple(attrs.evolve(unit, bid_price=0, bid_size=0) for unit in book.units)
    return attrs.evolve(book, units=units, totals=None)


def _padded(side: dict[int, int]) -> list[tuple[int, int]]:
    levels = list(side.items())
    return levels + [(0, 0)] * (DEPTH - len(levels))


def _size(mean: int, part: bytes) -> int:
    word = int.from_bytes(part)
    return max(1, mean * word * word >> 31) + word
