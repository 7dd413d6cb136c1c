"""What a subscription yields: the snapshot of a code, and its frames between two instants."""

import attrs

from ..faults import FaultSchedule
from ..market.books import grouped
from ..market.exchange import Exchange, View
from ..market.tickers import TickerCalculator
from ..market.ticks import supported_levels
from ..market.values import Bar, Book, Trade
from ..units import SECOND, UNITS
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


class Streams:
    """Spells the market as frames."""

    def __init__(self, exchange: Exchange, tickers: TickerCalculator, faults: FaultSchedule, *, korean: bool) -> None:
        """Read from the exchange; ``korean`` decides the wire's regional shape."""
        self._exchange = exchange
        self._tickers = tickers
        self._faults = faults
        self.korean = korean

    def style(self, name: str) -> Style:
        """Return the spelling of a format."""
        return Style(name, korean=self.korean)

    def snapshot(self, element: Element, style: Style, now: int) -> DueFrame | None:
        """Return the newest state of a code; None for codes that do not exist or never traded."""
        view = self._view(element, now)
        body = None if view is None else self._snapshot_body(view, element, style, now)
        return None if body is None else DueFrame(now, body, element.code, element.channel)

    def frames(self, element: Element, style: Style, after: int, until: int) -> list[DueFrame]:
        """Return what an element yields in (after, until], oldest first."""
        view = self._view(element, until)
        if view is None or after >= until:
            return []
        bodies = self._bodies(view, element, style, after, until)
        return [DueFrame(due, body, element.code, element.channel) for due, body in bodies]

    def _view(self, element: Element, now: int) -> View | None:
        if self._faults.active("dead-code", now, symbol=element.code, channel=element.type):
            return None
        return self._exchange.find(element.code)

    def _snapshot_body(self, view: View, element: Element, style: Style, now: int) -> bytes | None:
        micro = self._micro(element, now)
        if element.channel == "ticker":
            ticker = self._tickers.ticker(view, now)
            return ticker and ticker_frame(style, ticker, SNAPSHOT, micro=micro)
        if element.channel == "trade":
            trade = self._exchange.last_trade(view, now)
            book = self._exchange.book(view, now)
            return trade and self._trade_body(view, style, trade, SNAPSHOT, book=book, micro=micro)
        if element.channel == "orderbook":
            book = self._exchange.book(view, now)
            return book and self._book_body(view, element, style, book, SNAPSHOT, micro=micro)
        unit = UNITS[element.type.partition(".")[2]]
        bar = next(iter(self._exchange.bars_before(view, unit, now + 1, now)), None)
        return bar and candle_frame(style, element, bar, SNAPSHOT, micro=micro)

    def _bodies(self, view: View, element: Element, style: Style, after: int, until: int) -> list[tuple[int, bytes]]:
        if element.channel == "candle":
            return self._candle_bodies(view, element, style, after, until)
        if element.channel == "orderbook":
            return self._book_bodies(view, element, style, after, until)
        if element.channel == "trade":
            return self._trade_bodies(view, element, style, after, until)
        stored = self._exchange.stored(view, after, until)
        ticker = self._tickers.ticker(view, until) if stored else None
        if ticker is None:
            return []
        return [(stored[-1][0], ticker_frame(style, ticker, REALTIME, micro=self._micro(element, until)))]

    def _trade_bodies(
        self, view: View, element: Element, style: Style, after: int, until: int
    ) -> list[tuple[int, bytes]]:
        published = self._exchange.published(view, after, until)
        if not published:
            return []
        book, micro = self._exchange.book(view, until), self._micro(element, until)
        return [
            (due, self._trade_body(view, style, trade, REALTIME, book=book, micro=micro)) for due, trade in published
        ]

    def _trade_body(
        self, view: View, style: Style, trade: Trade, stream: str, *, book: Book | None, micro: bool
    ) -> bytes:
        previous = self._tickers.previous_close(view, trade.traded_ms)
        return trade_frame(style, view.symbol, trade, stream, previous_close=previous, book=book, micro=micro)

    def _book_bodies(
        self, view: View, element: Element, style: Style, after: int, until: int
    ) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        for due, book in self._exchange.book_changes(view, after, until):
            body = self._book_body(view, element, style, book, REALTIME, micro=self._micro(element, until))
            if body is not None:
                found.append((due, body))
        return found

    def _book_body(
        self, view: View, element: Element, style: Style, book: Book, stream: str, *, micro: bool
    ) -> bytes | None:
        """Return None for a level that the pair does not support: Upbit then stays silent."""
        if element.level:
            last = self._exchange.last_trade(view, book.changed_ms)
            levels = supported_levels(view.symbol.partition("-")[0], last.price_e8 if last else 0)
            if element.level not in levels:
                return None
        return book_frame(style, element, grouped(book, element.level), stream, micro=micro)

    def _candle_bodies(
        self, view: View, element: Element, style: Style, after: int, until: int
    ) -> list[tuple[int, bytes]]:
        """Send every slot that a trade changed, at the last of the ticks that saw it change."""
        first = (after - _TICK_PHASE_MS) // SECOND * SECOND + SECOND + _TICK_PHASE_MS
        last = (until - _TICK_PHASE_MS) // SECOND * SECOND + _TICK_PHASE_MS
        if last < first:
            return []
        unit = UNITS[element.type.partition(".")[2]]
        changed: dict[int, int] = {}
        for due, trade in self._exchange.stored(view, first - SECOND, last):
            tick = -(-(due - _TICK_PHASE_MS) // SECOND) * SECOND + _TICK_PHASE_MS
            slot = unit.floor(trade.traded_ms)
            changed[slot] = max(tick, changed.get(slot, 0))
        found: list[tuple[int, bytes]] = []
        for slot, tick in changed.items():
            bar = self._exchange.slot(view, unit, slot, tick)
            if bar is not None:
                found.append((tick, self._candle_body(element, style, bar, until)))
        return sorted(found)

    def _candle_body(self, element: Element, style: Style, bar: Bar, now: int) -> bytes:
        return candle_frame(style, element, bar, REALTIME, micro=self._micro(element, now))

    def _micro(self, element: Element, now: int) -> bool:
        fault = self._faults.hits("microsecond-timestamp", now, symbol=element.code, channel=element.type)
        return fault is not None
