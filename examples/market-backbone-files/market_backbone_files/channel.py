"""The channel ``files``: candles of a folder, with the coverage that a file can vouch for.

What a file proves:
    A row is the candle of its slot, FINAL by word of its owner (``sealed_by`` SOURCE). A row whose slot was not
    over when the file was last written is FORMING.
    A slot without a row is not known, unless the owner vouches for it by the option ``complete``.
    What lies before the first row was not kept (BEYOND_RETENTION): a file tells nothing about a listing.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NoReturn

from attrs import frozen

from market_backbone import (
    Capabilities,
    ChannelUnavailableError,
    ClosedError,
    Coverage,
    DataKind,
    Finality,
    HistoryDepth,
    InvalidRangeError,
    MalformedReplyError,
    Market,
    OrderBook,
    Reason,
    Symbol,
    Ticker,
    Timeframe,
    Trade,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from market_backbone.domain.columns import CandleColumns
from market_backbone.domain.request import check_count
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.symbol import nearest_symbols
from market_backbone.domain.time_range import TimeRange, clip
from market_backbone.domain.timestamps import from_micros, to_micros, to_utc

from .folder import CandleFolder
from .names import Series
from .options import FileOptions
from .tables import UnreadableFileError

PAGE = 10_000


@frozen
class _Question:
    """One question, checked."""

    frame: Timeframe
    count: int | None
    start: datetime | None
    end: datetime | None

    @classmethod
    def of(cls, frame: str, count: int | None, start: datetime | None, end: datetime | None) -> "_Question":
        """Check what was asked.

        Raises:
            InvalidRangeError: it cannot be meant.

        """
        first = None if start is None else to_utc(start, "start")
        last = None if end is None else to_utc(end, "end")
        if count is not None:
            check_count(count, PAGE, "candles per call (the API asks for more in pages)")
        if None not in (count, first, last):
            raise InvalidRangeError("start, end and count together leave no question open; give at most two of them")
        if first is not None and last is not None and first > last:
            raise InvalidRangeError(f"start must not be after end, got {first} and {last}")
        return cls(Timeframe.parse(frame), count, first, last)

    def rows_of(self, opened: Sequence[int]) -> range:
        """Return the places of the rows that answer it: at most a page, the newest unless only a start is given."""
        first = 0 if self.start is None else bisect_left(opened, to_micros(self.start))
        beyond = len(opened) if self.end is None else bisect_left(opened, to_micros(self.end))
        most = PAGE if self.count is None else self.count
        if self.start is not None and self.end is None and self.count is not None:
            return range(first, min(beyond, first + most))
        return range(max(first, beyond - most), max(first, beyond))


class CandleFiles:
    """A folder of candle files; one page is at most 10,000 rows."""

    def __init__(self, name: str, options: FileOptions, folder: CandleFolder) -> None:
        """Serve what lies in the folder now."""
        self._name, self._options, self._folder = name, options, folder
        self._is_closed = False
        self._capabilities = Capabilities(
            answers=frozenset({DataKind.CANDLE}) if folder.files else frozenset(),
            timeframes=folder.timeframes,
            history=HistoryDepth.FULL if folder.files else HistoryDepth.NONE,
            candles_per_call=PAGE if folder.files else 0,
            rows_are_final=True,
            calls_are_free=True,
            venue_prefix=options.prefix,
        )

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._name

    @property
    def venue(self) -> str:
        """Whose data this is, by word of the options."""
        return self._options.venue

    @property
    def capabilities(self) -> Capabilities:
        """Candles of the timeframes of which there are files."""
        return self._capabilities

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return one page.

        Raises:
            UnknownSymbolError: there is no file of it, and the prefix is the folder's own.
            ChannelUnavailableError: there is no file of it, and others may know it.
            MalformedReplyError: something is wrong with the file; the message names the line.

        """
        self._check_open()
        question = _Question.of(timeframe, count, start, end)
        series = Series(Symbol(symbol), question.frame)
        if question.frame not in self._capabilities.timeframes:
            told = " ".join(frame for frame in Timeframe if frame in self._capabilities.timeframes)
            raise UnsupportedRequestError(f"there is no file of {question.frame} candles; there are files of {told}")
        if series not in self._folder.files:
            self._refuse_series(series)
        try:
            whole = await self._folder.read(series, self._name)
        except UnreadableFileError as error:
            told = str(error)  # one bad file says nothing about the others: no reason to leave the folder alone
            raise MalformedReplyError(told, channel=self._name, retryable=False, is_fault=False) from error
        rows = question.rows_of(whole.opened)
        page = whole.slice(rows.start, rows.stop)
        return CandleSeries(page, self._coverage(question, whole, page))

    def _refuse_series(self, series: Series) -> NoReturn:
        symbol, known = series.symbol, self._folder.symbols
        if symbol in known or not self._options.prefix:
            told = f"there is no file of {symbol} {series.timeframe} in {self._options.folder}"
            raise ChannelUnavailableError(told, channel=self._name, retryable=False, is_fault=False)
        near = nearest_symbols(symbol, known)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnknownSymbolError(f"there is no file of {symbol} in {self._options.folder}{hint}")

    def _coverage(self, question: _Question, whole: CandleColumns, page: CandleColumns) -> Coverage:
        frame, start, count = question.frame, question.start, question.count
        first, ended = from_micros(whole.opened[0]), _end_of(whole)
        beyond = ended if question.end is None else frame.ceil(question.end)
        if start is not None and count == len(page):  # the first rows from a start end with the last of them
            beyond = _end_of(page)
        is_cut = count is None and len(page) == PAGE
        begin = from_micros(page.opened[0]) if len(page) else beyond
        begin = begin if start is None or is_cut else start
        known = [TimeRange(first, ended)] if self._options.complete else list(_runs(page))
        asked = TimeRange(min(begin, beyond), beyond)
        coverage = Coverage(asked=asked, proven=clip(_sealed(known, page), asked))
        lacking = 0 if count is None or start is not None else count - len(page)
        edge = min(first, beyond)
        not_kept = TimeRange(frame.floor(frame.move(edge, -lacking)), edge)
        return coverage.explain(not_kept, Reason.BEYOND_RETENTION) if lacking else coverage

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError(f"channel {self._name!r} is closed")

    def _refuse(self, what: str) -> NoReturn:
        self._check_open()
        raise UnsupportedRequestError(f"channel {self._name!r} holds candles only; {what} are known to other channels")

    async def get_ticker(self, symbol: str) -> Ticker:
        """Refuse: files hold candles."""
        self._refuse(f"tickers of {symbol}")

    async def get_tickers(self, symbols: Sequence[str]) -> Sequence[Ticker]:
        """Refuse: files hold candles."""
        self._refuse(f"tickers of {', '.join(symbols)}")

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Refuse: files hold candles."""
        self._refuse(f"books of {symbol} to depth {depth}")

    async def get_trades(self, symbol: str, count: int = 100) -> Sequence[Trade]:
        """Refuse: files hold candles."""
        self._refuse(f"{count} trades of {symbol}")

    async def get_markets(self) -> Sequence[Market]:
        """Return every market of which there is a file."""
        return [Market(symbol=symbol, english_name=symbol.base) for symbol in self._folder.symbols]

    async def check_symbol(self, symbol: str) -> None:
        """Refuse a symbol of which there is no file."""
        if Symbol(symbol) not in self._folder.symbols:
            self._refuse_series(Series(Symbol(symbol), Timeframe.M1))

    async def close(self) -> None:
        """Serve nothing any more."""
        self._is_closed = True


def _end_of(rows: CandleColumns) -> datetime:
    return rows.timeframe.next(from_micros(rows.opened[-1]))


def _runs(page: CandleColumns) -> Iterator[TimeRange]:
    """Yield the ranges in which every slot has a row."""
    begin = beyond = None
    for micros in page.opened:
        opened_at = from_micros(micros)
        if begin is not None and beyond is not None and opened_at != beyond:
            yield TimeRange(begin, beyond)
            begin = None
        begin, beyond = begin or opened_at, page.timeframe.next(opened_at)
    if begin is not None and beyond is not None:
        yield TimeRange(begin, beyond)


def _sealed(known: list[TimeRange], page: CandleColumns) -> list[TimeRange]:
    """Leave out the rows at the end whose slots were still open when the file was written."""
    for place in range(len(page)):
        if page.marks[page.mark[place]].finality is not Finality.FINAL:
            until = from_micros(page.opened[place])
            return [part for span in known if (part := span.intersect(TimeRange(min(span.start, until), until)))]
    return known
