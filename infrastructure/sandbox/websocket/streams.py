"""What a subscription yields: the snapshot of a code, and its frames between two instants."""

import attrs

from ..faults import FaultSchedule
from ..market.books import grouped
from ..market.exchange import Exchange, View
from ..market.tickers import TickerCalculator
from ..market.ticks import supported_levels
from ..market.values import Book, Trade
from ..units import SECOND, UNITS, CandleUnit
from .frames import Style, book_frame, candle_frame, ticker_frame, trade_frame
from .subscriptions import Element

# Candle frames leave this long after each whole second.
_TICK_PHASE_MS = 7
SNAPSHOT = "SNAPSHOT"
REALTIME = "REALTIME"


@attrs.frozen
class DueFrame:
    """A frame, when it is due, and what it is about (faults filter by that)."""

    due_ms: int
    body: bytes
    code: str = ""
    channel: str = ""


@attrs.frozen
class _Wanted:
    """One element of a subscription on its market, in the spelling that was asked for."""

    view: View
    element: Element
    style: Style


@attrs.frozen
class Streams:
    """Spells the market as frames; ``korean`` decides the wire's regional shape."""

    _exchange: Exchange
    _tickers: TickerCalculator
    _faults: FaultSchedule
    korean: bool = attrs.field(kw_only=True)

    def style(self, name: str) -> Style:
        """Return the spelling of a format."""
        return Style(name, korean=self.korean)

    def snapshot(self, element: Element, style: Style, now: int) -> DueFrame | None:
        """Return the newest state of a code; None for codes that do not exist or never traded."""
        view = self._view(element, now)
        body = None if view is None else self._snapshot_body(_Wanted(view, element, style), now)
        return None if body is None else DueFrame(now, body, element.code, element.channel)

    def frames(self, element: Element, style: Style, after: int, until: int) -> list[DueFrame]:
        """Return what an element yields in (after, until], oldest first."""
        view = self._view(element, until)
        if view is None or after >= until:
            return []
        bodies = self._bodies(_Wanted(view, element, style), after, until)
        return [DueFrame(due, body, element.code, element.channel) for due, body in bodies]

    def _view(self, element: Element, now: int) -> View | None:
        if self._faults.active("dead-code", now, symbol=element.code, channel=element.type):
            return None
        return self._exchange.find(element.code)

    def _snapshot_body(self, wanted: _Wanted, now: int) -> bytes | None:
        view, element, micro = wanted.view, wanted.element, self._micro(wanted, now)
        match element.channel:
            case "ticker":
                ticker = self._tickers.ticker(view, now)
                return ticker and ticker_frame(wanted.style, ticker, SNAPSHOT, micro=micro)
            case "trade":
                trade, book = self._exchange.last_trade(view, now), self._exchange.book(view, now)
                return trade and self._trade_body(wanted, trade, SNAPSHOT, book=book, micro=micro)
            case "orderbook":
                book = self._exchange.book(view, now)
                return book and self._book_body(wanted, book, SNAPSHOT, micro=micro)
            case _:
                bar = next(iter(self._exchange.bars_before(view, _unit_of(element), now + 1, now)), None)
                return bar and candle_frame(wanted.style, element, bar, SNAPSHOT, micro=micro)

    def _bodies(self, wanted: _Wanted, after: int, until: int) -> list[tuple[int, bytes]]:
        match wanted.element.channel:
            case "candle":
                return self._candle_bodies(wanted, after, until)
            case "orderbook":
                return self._book_bodies(wanted, after, until)
            case "trade":
                return self._trade_bodies(wanted, after, until)
            case _:
                stored = self._exchange.stored(wanted.view, after, until)
                ticker = self._tickers.ticker(wanted.view, until) if stored else None
                if ticker is None:
                    return []
                return [(stored[-1][0], ticker_frame(wanted.style, ticker, REALTIME, micro=self._micro(wanted, until)))]

    def _trade_bodies(self, wanted: _Wanted, after: int, until: int) -> list[tuple[int, bytes]]:
        published = self._exchange.published(wanted.view, after, until)
        if not published:
            return []
        book, micro = self._exchange.book(wanted.view, until), self._micro(wanted, until)
        return [(due, self._trade_body(wanted, trade, REALTIME, book=book, micro=micro)) for due, trade in published]

    def _trade_body(self, wanted: _Wanted, trade: Trade, stream: str, *, book: Book | None, micro: bool) -> bytes:
        code, previous = wanted.view.symbol, self._tickers.previous_close(wanted.view, trade.traded_ms)
        return trade_frame(wanted.style, code, trade, stream, previous_close=previous, book=book, micro=micro)

    def _book_bodies(self, wanted: _Wanted, after: int, until: int) -> list[tuple[int, bytes]]:
        bodies = (
            (due, self._book_body(wanted, book, REALTIME, micro=self._micro(wanted, until)))
            for due, book in self._exchange.book_changes(wanted.view, after, until)
        )
        return [(due, body) for due, body in bodies if body is not None]

    def _book_body(self, wanted: _Wanted, book: Book, stream: str, *, micro: bool) -> bytes | None:
        """Return None for a level that the pair does not support: Upbit then stays silent."""
        view, level = wanted.view, wanted.element.level
        if level:
            last = self._exchange.last_trade(view, book.changed_ms)
            if level not in supported_levels(view.symbol.partition("-")[0], last.price_e8 if last else 0):
                return None
        return book_frame(wanted.style, wanted.element, grouped(book, level), stream, micro=micro)

    def _candle_bodies(self, wanted: _Wanted, after: int, until: int) -> list[tuple[int, bytes]]:
        """Send every slot that a trade changed, at the last of the ticks that saw it change."""
        first = (after - _TICK_PHASE_MS) // SECOND * SECOND + SECOND + _TICK_PHASE_MS
        last = (until - _TICK_PHASE_MS) // SECOND * SECOND + _TICK_PHASE_MS
        if last < first:
            return []
        unit = _unit_of(wanted.element)
        # One tick a second for every unit, and no frame for a slot without a new trade (docs, 2026-09-22).
        changed: dict[int, int] = {}
        for due, trade in self._exchange.stored(wanted.view, first - SECOND, last):
            tick = -(-(due - _TICK_PHASE_MS) // SECOND) * SECOND + _TICK_PHASE_MS
            slot = unit.floor(trade.traded_ms)
            changed[slot] = max(tick, changed.get(slot, 0))
        bars = ((tick, self._exchange.slot(wanted.view, unit, slot, tick)) for slot, tick in changed.items())
        return sorted(
            (tick, candle_frame(wanted.style, wanted.element, bar, REALTIME, micro=self._micro(wanted, until)))
            for tick, bar in bars
            if bar is not None
        )

    def _micro(self, wanted: _Wanted, now: int) -> bool:
        element = wanted.element
        return self._faults.hits("microsecond-timestamp", now, symbol=element.code, channel=element.type) is not None


def _unit_of(element: Element) -> CandleUnit:
    return UNITS[element.type.partition(".")[2]]
