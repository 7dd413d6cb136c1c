"""Where the exchange gets one symbol's market from: a port, and the seeded market behind it.

The other implementation is a recording (``recorded.py``).
"""

from collections.abc import Iterator
from operator import itemgetter
from typing import Protocol

from ..units import DAY, HOUR, MINUTE, SECOND, CandleUnit
from .books import PUBLISH_DELAY_MS, BookProcess
from .engine import MAX_LAG_MS, Closure, TradeProcess
from .symbols import SymbolSpec
from .values import Bar, Book, Trade, bar_of

# Trades reach sockets at most this long after they were stored.
_LATEST_PUBLISH_MS = 400


class Source(Protocol):
    """One symbol's market; ``as_of`` is the reader's instant: nothing stored later is visible."""

    @property
    def spec(self) -> SymbolSpec:
        """Names and flags of the symbol."""
        ...

    def bar(self, start: int, end: int, as_of: int) -> Bar | None:
        """Add what traded in a half-open span."""
        ...

    def bars_before(self, unit: CandleUnit, end: int, as_of: int) -> Iterator[Bar]:
        """Yield the bars whose slots start before ``end``, newest first, none for empty slots."""
        ...

    def extremes(self, start: int, end: int, as_of: int) -> tuple[Bar, Bar] | None:
        """Return the days with the highest and the lowest price among whole days."""
        ...

    def trades(self, start: int, end: int, as_of: int) -> list[Trade]:
        """Return the trades of a half-open span, oldest first."""
        ...

    def last_trade(self, as_of: int) -> Trade | None:
        """Return the newest trade."""
        ...

    @property
    def reference_price(self) -> int:
        """The close before the first day, when it is known; else 0."""
        ...

    def published(self, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return (instant, trade) for trades that sockets get in (after, until], in that order."""
        ...

    def stored(self, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return (instant, trade) for trades that readers begin to see in (after, until]."""
        ...

    def book(self, as_of: int) -> Book | None:
        """Return the newest book."""
        ...

    def book_changes(self, after: int, until: int) -> list[tuple[int, Book]]:
        """Return (publication instant, book) for changes published in (after, until]."""
        ...

    def close(self, closure: Closure) -> None:
        """Let nobody trade in a span."""
        ...

    def shorten_closures(self, opened: set[int], now: int) -> None:
        """End the closures that began at one of ``opened``."""
        ...


class SeededSource:
    """The seeded market of one symbol."""

    def __init__(self, seed: int, spec: SymbolSpec) -> None:
        self.spec = spec
        self.reference_price = 0
        self._process = TradeProcess(seed, spec)
        self._books = BookProcess(seed, self._process)
        self.close = self._process.close
        self.shorten_closures = self._process.shorten_closures

    def bar(self, start: int, end: int, as_of: int) -> Bar | None:
        """Add what traded in a half-open span."""
        return self._process.bar(start, min(end, self._horizon(as_of)))

    def bars_before(self, unit: CandleUnit, end: int, as_of: int) -> Iterator[Bar]:
        """Yield the bars whose slots start before ``end``, newest first."""
        horizon = self._horizon(as_of)
        starts = self._slots_before(unit, min(end, horizon))
        if unit.length == SECOND:
            return self._second_bars(min(end, horizon), horizon)
        bars = (self._process.bar(start, min(unit.following(start), horizon)) for start in starts)
        return (bar for bar in bars if bar is not None)

    def extremes(self, start: int, end: int, as_of: int) -> tuple[Bar, Bar] | None:
        """Return the days with the highest and the lowest price among whole days that are over."""
        return self._process.extremes(start, min(end, as_of // DAY * DAY))

    def trades(self, start: int, end: int, as_of: int) -> list[Trade]:
        """Return the trades of a half-open span, oldest first."""
        return list(self._process.trades(start, min(end, self._horizon(as_of))))

    def last_trade(self, as_of: int) -> Trade | None:
        """Return the newest trade."""
        return self._process.last_trade(self._horizon(as_of))

    def published(self, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return the trades that sockets get in (after, until]."""
        candidates = self._process.trades(after - MAX_LAG_MS - _LATEST_PUBLISH_MS, until)
        found = [(trade.published_ms, trade) for trade in candidates if after < trade.published_ms <= until]
        return sorted(found, key=itemgetter(0))

    def stored(self, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return the trades stored in (after, until]."""
        candidates = self._process.trades(after - MAX_LAG_MS, until)
        return [(trade.stored_ms, trade) for trade in candidates if after < trade.stored_ms <= until]

    def book(self, as_of: int) -> Book | None:
        """Return the newest book."""
        return self._books.newest(as_of)

    def book_changes(self, after: int, until: int) -> list[tuple[int, Book]]:
        """Return the newest change in (after, until]: what came before it is replaced anyway."""
        changed = self._books.changed_before(until)
        if changed == self._books.changed_before(after):
            return []
        book = self._books.at(changed)
        return [] if book is None else [(changed + PUBLISH_DELAY_MS, book)]

    def _horizon(self, as_of: int) -> int:
        return self._process.horizon(as_of)

    def _second_bars(self, end: int, horizon: int) -> Iterator[Bar]:
        for minute in self._process.minutes_before(end):
            seconds: dict[int, list[Trade]] = {}
            for trade in self._process.trades(minute, min(minute + MINUTE, horizon)):
                seconds.setdefault(trade.traded_ms // SECOND * SECOND, []).append(trade)
            for second in sorted(seconds, reverse=True):
                bar = bar_of(second, seconds[second])
                if second < end and bar is not None:
                    yield bar

    def _slots_before(self, unit: CandleUnit, end: int) -> Iterator[int]:
        if unit.length == MINUTE:
            return self._process.minutes_before(end)
        if unit.length < DAY:
            return self._short_slots_before(unit, end)
        return self._long_slots_before(unit, end)

    def _short_slots_before(self, unit: CandleUnit, end: int) -> Iterator[int]:
        """Skip whole empty hours: a pair may sleep for days."""
        previous = end
        for hour in self._process.hours_before(unit.following(unit.floor(end - 1))):
            last = unit.floor(hour + HOUR - 1)
            for start in range(last, unit.floor(hour) - 1, -unit.length):
                if start < previous:
                    previous = start
                    yield start

    def _long_slots_before(self, unit: CandleUnit, end: int) -> Iterator[int]:
        start = unit.floor(end - 1)
        while unit.following(start) > self.spec.listed_ms:
            yield start
            start = unit.previous(start)


def seeded_sources(seed: int, rows: tuple[SymbolSpec, ...]) -> dict[str, Source]:
    """Return the seeded market of every listing."""
    return {row.symbol: SeededSource(seed, row) for row in rows}
