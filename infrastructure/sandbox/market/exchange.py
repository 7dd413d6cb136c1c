"""The market as readers see it now: sources, plus what faults do to them.

This is also the truth for tests (``sandbox.market``): whatever the servers answer comes from here.
"""

from collections.abc import Callable, Iterator, Mapping

import attrs

from ..faults import Fault, FaultSchedule, ScheduledFault
from ..hash_rng import fraction, key_of
from ..units import CandleUnit, unit_named
from .books import without_side
from .engine import Closure
from .sources import Source
from .symbols import SymbolSpec
from .values import Bar, Book, Trade, TrueCandle, rescale_bar, rescale_book, rescale_trade

_MS = 1_000
_DEFAULT_FACTOR = 10
_DEFAULT_REVISION_S = 3.0


@attrs.frozen
class View:
    """One code as it is traded now: its source and the factor of a redenomination."""

    symbol: str
    source: Source
    factor: int


class Exchange:
    """All markets, under the faults that are active."""

    def __init__(self, sources: Mapping[str, Source], faults: FaultSchedule, now_ms: Callable[[], int]) -> None:
        """Hold the sources; ``now_ms`` is the sandbox's clock."""
        self._sources = sources
        self._faults = faults
        self._now_ms = now_ms
        self._plain = {symbol: View(symbol, source, 1) for symbol, source in sources.items()}
        self.revision = 0

    def symbols(self) -> tuple[str, ...]:
        """Return the codes that are listed now."""
        return tuple(self._views(self._now_ms()))

    def trades(self, symbol: str, start_ms: int, end_ms: int) -> list[Trade]:
        """Return what traded in a half-open span, as served now, oldest first."""
        now = self._now_ms()
        return self.trades_between(self.view(symbol), start_ms, end_ms, now)

    def candles(self, symbol: str, unit: str, start_ms: int, end_ms: int) -> list[TrueCandle]:
        """Return the candles whose slots start in a half-open span, as served now, oldest first."""
        view, now = self.view(symbol), self._now_ms()
        found: list[TrueCandle] = []
        for bar in self.bars_before(view, unit_named(unit), end_ms, now):
            if bar.start < start_ms:
                break
            found.append(TrueCandle.from_bar(bar))
        return found[::-1]

    def view(self, symbol: str) -> View:
        """Return a listed code.

        Raises:
            KeyError: the code is not listed (now).

        """
        if (found := self.find(symbol)) is None:
            raise KeyError(symbol)
        return found

    def find(self, symbol: str) -> View | None:
        """Return a listed code, or None."""
        if not self._faults.scheduled():
            return self._plain.get(symbol)
        return self._view_at(symbol, self._now_ms())

    def spec(self, view: View) -> SymbolSpec:
        """Return the names and flags of a code."""
        return attrs.evolve(view.source.spec, symbol=view.symbol)

    def bar(self, view: View, start: int, end: int, as_of: int) -> Bar | None:
        """Add what traded in a span."""
        bar = view.source.bar(start, end, as_of)
        return None if bar is None else _scaled(bar, view.factor)

    def bars_before(self, view: View, unit: CandleUnit, end: int, as_of: int) -> Iterator[Bar]:
        """Yield candles, newest first, as a reader at ``as_of`` gets them."""
        as_of -= self._lag_ms(unit, as_of)
        revision = self._revision_of(view, unit, as_of)
        for bar in view.source.bars_before(unit, end, as_of):
            if revision is not None:
                bar = self._before_revision(view, unit, bar, as_of, revision)  # noqa: PLW2901 - same bar, earlier view
            yield _scaled(bar, view.factor)

    def extremes(self, view: View, start: int, end: int, as_of: int) -> tuple[Bar, Bar] | None:
        """Return the days with the highest and the lowest price among whole days."""
        found = view.source.extremes(start, end, as_of)
        return None if found is None else (_scaled(found[0], view.factor), _scaled(found[1], view.factor))

    def slot(self, view: View, unit: CandleUnit, start: int, as_of: int) -> Bar | None:
        """Return the candle of one slot."""
        return self.bar(view, start, unit.following(start), as_of)

    def trades_between(self, view: View, start: int, end: int, as_of: int) -> list[Trade]:
        """Return what traded in a span, oldest first."""
        return [_scaled_trade(trade, view.factor) for trade in view.source.trades(start, end, as_of)]

    def last_trade(self, view: View, as_of: int) -> Trade | None:
        """Return the newest trade."""
        trade = view.source.last_trade(as_of)
        return None if trade is None else _scaled_trade(trade, view.factor)

    def published(self, view: View, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return (instant, trade) for the trades that sockets get in (after, until]."""
        return [(due, _scaled_trade(trade, view.factor)) for due, trade in view.source.published(after, until)]

    def stored(self, view: View, after: int, until: int) -> list[tuple[int, Trade]]:
        """Return (instant, trade) for the trades that readers begin to see in (after, until]."""
        return [(due, _scaled_trade(trade, view.factor)) for due, trade in view.source.stored(after, until)]

    def book(self, view: View, as_of: int) -> Book | None:
        """Return the newest book."""
        book = view.source.book(as_of)
        return None if book is None else self._faulty_book(view, book, as_of)

    def book_changes(self, view: View, after: int, until: int) -> list[tuple[int, Book]]:
        """Return the books published in (after, until]."""
        changes = view.source.book_changes(after, until)
        return [(due, self._faulty_book(view, book, until)) for due, book in changes]

    def apply(self, scheduled: ScheduledFault) -> None:
        """Take over a fault that changes what was or will be traded."""
        self.revision += 1
        if scheduled.fault.kind in ("outage", "maintenance"):
            closure = Closure(scheduled.starts_ms, scheduled.ends_ms)
            for symbol, source in self._sources.items():
                if scheduled.fault.concerns(symbol):
                    source.close(closure)

    def close_all(self, start: int, end: int) -> None:
        """Let nobody trade anywhere in a span."""
        for source in self._sources.values():
            source.close(Closure(start, end))

    def withdraw(self, cleared: tuple[ScheduledFault, ...]) -> None:
        """Let trading go on after the faults that stopped it; what was not traded stays untraded."""
        self.revision += 1
        opened = {each.starts_ms for each in cleared if each.fault.kind in ("outage", "maintenance")}
        for source in self._sources.values():
            source.shorten_closures(opened, self._now_ms())

    def _views(self, now: int) -> dict[str, View]:
        if not self._faults.scheduled():
            return self._plain
        renamed = {fault.symbol: fault.to for fault in self._faults.all_active("rename", now)}
        codes = [renamed.get(original) or original for original in self._sources]
        return {code: view for code in codes if (view := self._view_at(code, now)) is not None}

    def _view_at(self, code: str, now: int) -> View | None:
        renamed = {fault.symbol: fault.to for fault in self._faults.all_active("rename", now)}
        original = next((old for old, new in renamed.items() if new == code), None if code in renamed else code)
        source = None if original is None else self._sources.get(original)
        if source is None or any(fault.symbol in {code, original} for fault in self._faults.all_active("delist", now)):
            return None
        factors = (f for f in self._faults.all_active("redenominate", now) if f.symbol == original)
        return View(code, source, _factor_of(next(factors, None)))

    def _lag_ms(self, unit: CandleUnit, now: int) -> int:
        fault = self._faults.active("unit-lag", now)
        if fault is None or fault.unit not in (None, unit.name):
            return 0
        # Units are served from views up to 1 s apart (captured 2026-03-11); each unit's own lag is drawn once.
        longest = _MS * (1.0 if fault.seconds is None else fault.seconds)
        return int(longest) if fault.unit else int(longest * fraction(key_of("unit-lag", unit.name), 0))

    def _revision_of(self, view: View, unit: CandleUnit, now: int) -> int | None:
        fault = self._faults.active("revise-candle", now, symbol=view.symbol)
        if fault is None or fault.unit not in (None, unit.name):
            return None
        return int(_MS * (_DEFAULT_REVISION_S if fault.seconds is None else fault.seconds))

    def _before_revision(self, view: View, unit: CandleUnit, bar: Bar, as_of: int, delay_ms: int) -> Bar:
        """Leave the last tick of a slot that has just ended out, until it is ``delay_ms`` old."""
        end = unit.following(bar.start)
        if not end <= as_of < end + delay_ms:
            return bar
        # A tick is stored up to 54 ms after its slot's end (seen 2026-09-13): this is that row before the tick.
        last = view.source.trades(bar.start, end, as_of)[-1]
        return view.source.bar(bar.start, last.traded_ms, as_of) or bar

    def _faulty_book(self, view: View, book: Book, now: int) -> Book:
        fault = self._faults.active("one-sided-book", now, symbol=view.symbol)
        if fault is not None:
            book = without_side(book, fault.side or "bid")
        return book if view.factor == 1 else rescale_book(book, view.factor)


def _factor_of(fault: Fault | None) -> int:
    if fault is None:
        return 1
    return fault.factor or _DEFAULT_FACTOR


def _scaled(bar: Bar, factor: int) -> Bar:
    return bar if factor == 1 else rescale_bar(bar, factor)


def _scaled_trade(trade: Trade, factor: int) -> Trade:
    return trade if factor == 1 else rescale_trade(trade, factor)
