"""What each REST endpoint answers: parameters in, body out."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice

from ..faults import FaultSchedule
from ..market.books import grouped
from ..market.exchange import Exchange, View
from ..market.tickers import TickerCalculator
from ..market.ticks import supported_levels
from ..market.values import Book, Trade
from ..number_format import fixed
from ..units import DAY, MINUTE, MINUTE_UNITS, UNITS, CandleUnit, utc
from . import rest_rows
from .parameters import (
    INVALID,
    UNKNOWN_CODE,
    Refusal,
    codes_in,
    count_in,
    cursor_in,
    days_ago_in,
    flag_in,
    instant_in,
    level_in,
    minutes_unit,
    required,
    time_of_day_in,
)

Query = Mapping[str, str]
Endpoint = Callable[[Query, int], bytes]
_PAGE = 200
_TRADES_PAGE = 500
_DEPTH = 30
_RETENTION_MONTHS = 3
_FIRST_CHUNK_MS = 5 * MINUTE
# Ids of 17 digits are the millisecond and four more digits; older ones had three.
_ID_STEP = 10_000
_MIN_LONG_ID = 10**16


class Endpoints:
    """All endpoints of one sandbox."""

    def __init__(self, exchange: Exchange, tickers: TickerCalculator, faults: FaultSchedule, *, korean: bool) -> None:
        """Answer from the exchange; ``korean`` decides the wire's regional shape."""
        self._exchange = exchange
        self._tickers = tickers
        self._faults = faults
        self._korean = korean
        self._fixed_paths: dict[str, tuple[str, Endpoint]] = {
            "/v1/market/all": ("market", self._markets),
            "/v1/trades/ticks": ("crix-trades", self._trades),
            "/v1/ticker": ("ticker", self._some_tickers),
            "/v1/ticker/all": ("ticker", self._all_tickers),
            "/v1/orderbook": ("orderbook", self._books),
            "/v1/orderbook/instruments": ("orderbook", partial(self._priced, rest_rows.instrument_row)),
            "/v1/orderbook/supported_levels": ("orderbook", partial(self._priced, rest_rows.levels_row)),
            "/v1/candles/seconds": ("candles", partial(self._candles, UNITS["1s"])),
            "/v1/candles/days": ("candles", partial(self._candles, UNITS["1d"])),
            "/v1/candles/weeks": ("candles", partial(self._candles, UNITS["1w"])),
            "/v1/candles/months": ("candles", partial(self._candles, UNITS["1M"])),
            "/v1/candles/years": ("candles", partial(self._candles, UNITS["1y"])),
        }

    def find(self, path: str) -> tuple[str, Endpoint] | None:
        """Return the rate-limit group (as the wire names it) and the endpoint of a path."""
        found = self._fixed_paths.get(path)
        if found is not None:
            return found
        folder, _, unit = path.rpartition("/")
        return ("candles", partial(self._minutes, unit)) if folder == "/v1/candles/minutes" and unit else None

    def _minutes(self, text: str, query: Query, now: int) -> bytes:
        minutes = minutes_unit(text)
        if minutes not in MINUTE_UNITS:
            raise Refusal(400, INVALID)
        return self._candles(UNITS[f"{minutes}m"], query, now)

    def _candles(self, unit: CandleUnit, query: Query, now: int) -> bytes:
        view = self._view(required(query, "market").upper())
        count, until = count_in(query, 1, _PAGE), instant_in(query)
        converted = self._conversion(view, query) if unit.name == "1d" else None
        if self._faults.hits("empty-page", now, symbol=view.symbol, group="candles"):
            return b"[]"
        end = now + 1 if until is None else min(until, now + 1)
        bars = islice(self._exchange.bars_before(view, unit, end, now), count + 1)
        page = [bar for bar in bars if unit.name != "1s" or bar.start >= _retention_edge(now)]
        rows: list[str] = []
        for place, bar in enumerate(page[:count]):
            extra = ""
            if unit.name == "1d":
                # One row more than asked for was read: it has the close before the oldest day.
                previous = page[place + 1].close if place + 1 < len(page) else bar.open
                extra = rest_rows.day_fields(bar, previous, fixed(bar.close) if converted == "close" else converted)
            rows.append(rest_rows.candle_row(view.symbol, unit, bar, korean=self._korean, extra=extra))
        return rest_rows.array(rows)

    def _conversion(self, view: View, query: Query) -> str | None:
        """Return what ``converted_trade_price`` says: a price, ``null``, or None when not asked for."""
        currency = query.get("converting_price_unit") or query.get("convertingPriceUnit")
        if currency is None:
            return None
        if currency != "KRW":
            raise Refusal(400, INVALID)
        return "null" if view.symbol.startswith("KRW-") else "close"

    def _trades(self, query: Query, now: int) -> bytes:
        view = self._view(required(query, "market").upper())
        count, days_ago = count_in(query, 1, _TRADES_PAGE), days_ago_in(query)
        cursor, time = cursor_in(query), time_of_day_in(query)
        if self._faults.hits("empty-page", now, symbol=view.symbol, group="crix-trades"):
            return b"[]"
        day = now // DAY * DAY - days_ago * DAY
        end = min(day + time, now + 1)
        trades = self._newest_trades(view, day, end, count=count, cursor=cursor, now=now)
        previous = self._tickers.previous_close(view, min(day + DAY - 1, now))
        return rest_rows.array([rest_rows.trade_row(view.symbol, trade, previous) for trade in trades])

    def _newest_trades(
        self, view: View, start: int, end: int, *, count: int, cursor: int | None, now: int
    ) -> list[Trade]:
        """Walk back in growing steps: a day of a busy pair holds a hundred thousand trades."""
        if cursor is not None and cursor >= _MIN_LONG_ID:
            end = min(end, cursor // _ID_STEP + 1)
        found: list[Trade] = []
        chunk = _FIRST_CHUNK_MS
        while end > start and len(found) < count:
            low = max(start, end - chunk)
            part = self._exchange.trades_between(view, low, end, now)
            found.extend(trade for trade in reversed(part) if cursor is None or trade.sequential_id < cursor)
            end, chunk = low, chunk * 4
        return found[:count]

    def _some_tickers(self, query: Query, now: int) -> bytes:
        return self._ticker_rows(self._views(query), now)

    def _all_tickers(self, query: Query, now: int) -> bytes:
        quotes = codes_in(query, "quote_currencies")
        symbols = [code for code in self._exchange.symbols() if code.partition("-")[0] in quotes]
        return self._ticker_rows([self._view(code) for code in symbols], now)

    def _ticker_rows(self, views: list[View], now: int) -> bytes:
        tickers = (self._tickers.ticker(view, now) for view in views)
        return rest_rows.array([rest_rows.ticker_row(each, korean=self._korean) for each in tickers if each])

    def _books(self, query: Query, now: int) -> bytes:
        if "level" in query and not self._korean:
            raise Refusal(400, INVALID)
        level, depth = level_in(query), count_in(query, _DEPTH, _DEPTH)
        rows: list[str] = []
        for view in self._views(query):
            book = self._exchange.book(view, now) or Book(now, ())
            # Upbit answers 200 with an empty list, whatever else was asked for (probed 2026-09-23).
            if level not in supported_levels(view.symbol.partition("-")[0], self._price(view, now)):
                return b"[]"
            rows.append(rest_rows.book_row(view.symbol, grouped(book, level), depth, korean=self._korean))
        return rest_rows.array(rows)

    def _priced(self, row: Callable[[str, int], str], query: Query, now: int) -> bytes:
        return rest_rows.array([row(view.symbol, self._price(view, now)) for view in self._views(query)])

    def _markets(self, query: Query, now: int) -> bytes:
        _ = now
        details = flag_in(query, "is_details", "isDetails")
        specs = (self._exchange.spec(self._view(code)) for code in self._exchange.symbols())
        return rest_rows.array([rest_rows.market_row(spec, details=details, korean=self._korean) for spec in specs])

    def _price(self, view: View, now: int) -> int:
        last = self._exchange.last_trade(view, now)
        return last.price_e8 if last else 0

    def _views(self, query: Query) -> list[View]:
        return [self._view(code) for code in codes_in(query, "markets")]

    def _view(self, code: str) -> View:
        view = self._exchange.find(code)
        if view is None:
            raise Refusal(404, UNKNOWN_CODE)
        return view


def _retention_edge(now: int) -> int:
    """Return the oldest second that is still served: three calendar months back."""
    moment = utc(now)
    month = moment.year * 12 + moment.month - 1 - _RETENTION_MONTHS
    first = moment.replace(year=month // 12, month=month % 12 + 1, day=1)
    return int(first.timestamp() * 1_000) + (moment.day - 1) * DAY
