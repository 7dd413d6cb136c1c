"""Markets behind recordings: captures with trades and books, histories with candles only."""

import bisect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TypeVar

from ..market.engine import Closure
from ..market.sources import Source
from ..market.symbols import SymbolSpec
from ..market.values import Bar, Book, Trade, bar_of, merge
from ..units import UNITS, CandleUnit
from .candle_files import History
from .recording import Capture, Recording

_NEVER = 1 << 60
_start = attrgetter("start")
_Value = TypeVar("_Value")


def recorded_sources(recording: Recording) -> dict[str, Source]:
    """Return the market of every code of a recording."""
    captured: dict[str, Source] = {code: CapturedSource(code, each) for code, each in recording.captures.items()}
    return captured | {code: HistorySource(code, each) for code, each in recording.histories.items()}


def _spec(code: str, listed_ms: int) -> SymbolSpec:
    base = code.partition("-")[2]
    return SymbolSpec(code, base, base, 0, (0.0, 0.0, 0.0), 0.0, listed_ms=listed_ms)


class _Recorded(ABC):
    """What recordings share: nobody can keep their people from having traded."""

    @abstractmethod
    def bars_before(self, unit: CandleUnit, end: int, as_of: int) -> Iterator[Bar]:
        """Yield bars, newest first."""

    def extremes(self, start: int, end: int, as_of: int) -> tuple[Bar, Bar] | None:
        """Return the days with the highest and the lowest price among whole days."""
        days = [bar for bar in self.bars_before(UNITS["1d"], end, as_of) if bar.start >= start]
        return (max(days, key=attrgetter("high")), min(days, key=attrgetter("low"))) if days else None

    def close(self, closure: Closure) -> None:
        """Ignore: the past was recorded."""
        _ = closure

    def shorten_closures(self, opened: set[int], now: int) -> None:
        """Ignore: the past was recorded."""
        _ = opened, now


class CapturedSource(_Recorded):
    """One code of a raw capture: what was received until now has happened."""

    def __init__(self, code: str, capture: Capture) -> None:
        """Sort the trades by their own time; the order of arrival is kept beside it."""
        self._arrived = capture.trades
        self._books = capture.books
        self.reference_price = capture.previous_close
        self._placed = sorted(capture.trades, key=_own_order)
        first = self._placed[0][1].traded_ms if self._placed else _NEVER
        self.spec = _spec(code, first)

    def bar(self, start: int, end: int, as_of: int) -> Bar | None:
        """Add what traded in a half-open span."""
        return bar_of(start, self.trades(start, end, as_of))

    def bars_before(self, unit: CandleUnit, end: int, as_of: int) -> Iterator[Bar]:
        """Yield the bars whose slots start before ``end``, newest first."""
        visible = [trade for due, trade in reversed(self._placed) if due <= as_of and unit.floor(trade.traded_ms) < end]
        for start, group in groupby(visible, key=lambda trade: unit.floor(trade.traded_ms)):
            bar = bar_of(start, list(group)[::-1])
            if bar is not None:
                yield bar

    def trades(self, start: int, end: int, as_of: int) -> list[Trade]:
        """Return the trades of a half-open span, oldest first."""
        low = bisect.bisect_left(self._placed, start, key=_traded_ms)
        high = bisect.bisect_left(self._placed, end, key=_traded_ms)
        return [trade for due, trade in self._placed[low:high] if due <= as_of]

    def last_trade(self, as_of: int) -> Trade | None:
        """Return the newest trade."""
        return next((trade for due, trade in reversed(self._placed) if due <= as_of), None)

    def published(self, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return the trades received in (after, until], in that order."""
        return _between(self._arrived, after, until)

    def stored(self, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return the trades received in (after, until]."""
        return _between(self._arrived, after, until)

    def book(self, as_of: int) -> Book | None:
        """Return the book received last."""
        count = bisect.bisect_right(self._books, as_of, key=itemgetter(0))
        return self._books[count - 1][1] if count else None

    def book_changes(self, after: int, until: int) -> list[tuple[int, Book]]:
        """Return every book received in (after, until]."""
        return _between(self._books, after, until)


class HistorySource(_Recorded):
    """One code of a candle file: nothing happens any more."""

    def __init__(self, code: str, history: History) -> None:
        self._unit = history.unit
        self._bars = history.bars
        self.reference_price = 0
        self.spec = _spec(code, history.bars[0].start)

    def bar(self, start: int, end: int, as_of: int) -> Bar | None:
        """Add the candles whose slots lie in a half-open span."""
        low = bisect.bisect_left(self._bars, start, key=_start)
        high = bisect.bisect_left(self._bars, min(end, as_of + 1), key=_start)
        return merge(start, self._bars[low:high])

    def bars_before(self, unit: CandleUnit, end: int, as_of: int) -> Iterator[Bar]:
        """Yield the candles of a unit that the recorded one divides, newest first."""
        if unit.length % self._unit.length:
            return
        high = bisect.bisect_left(self._bars, min(unit.floor(end - 1) + unit.length * 2, as_of + 1), key=_start)
        for start, group in groupby(reversed(self._bars[:high]), key=lambda bar: unit.floor(bar.start)):
            bar = merge(start, list(group)[::-1])
            if bar is not None and start < end:
                yield bar

    def trades(self, start: int, end: int, as_of: int) -> list[Trade]:
        """Return nothing: candles do not tell their trades."""
        _ = start, end, as_of
        return []

    def last_trade(self, as_of: int) -> Trade | None:
        """Return the last close as a trade, which is all that a ticker needs."""
        bar = self._bars[-1]
        if bar.start > as_of:
            return None
        return Trade(bar.stored_ms * 10_000, bar.stored_ms, bar.stored_ms, bar.stored_ms, bar.close, 0, is_ask=False)

    def published(self, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return nothing."""
        _ = after, until
        return []

    def stored(self, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return nothing."""
        _ = after, until
        return []

    def book(self, as_of: int) -> Book | None:
        """Return nothing: candles do not tell the book."""
        _ = as_of

    def book_changes(self, after: int, until: int) -> list[tuple[int, Book]]:
        """Return nothing."""
        _ = after, until
        return []


def _between(rows: list[tuple[int, _Value]], after: int, until: int) -> list[tuple[int, _Value]]:
    low = bisect.bisect_right(rows, after, key=itemgetter(0))
    return rows[low : bisect.bisect_right(rows, until, key=itemgetter(0))]


def _own_order(row: tuple[int, Trade]) -> tuple[int, int]:
    return row[1].traded_ms, row[1].sequential_id


def _traded_ms(row: tuple[int, Trade]) -> int:
    return row[1].traded_ms
