"""What users ask for; a request that cannot be meant is refused where it is made."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import index
from typing import TypeVar, cast

from attrs import field, frozen

from .capabilities import DataKind
from .errors import InvalidRangeError, UnsupportedRequestError
from .request_options import DataCallback, Priority, RequestOptions
from .resuming import check_reorder, read_resume_point, type_of_resume_point
from .symbol import Symbol
from .timeframe import FAR_FUTURE, Timeframe
from .timestamps import EPOCH, to_text, to_utc
from .trade import Trade

DEFAULT_COUNT = 200
LARGEST_COUNT = 100_000_000
BOOK_DEPTHS = (1, 5, 15, 30)
DEEPEST_BOOK = 30
LARGEST_TRADE_COUNT = 1_000_000


def _bound_or_none(at: datetime | None) -> datetime | None:
    """Return a bound in UTC, inside 1970 to 9999: ``datetime.max`` means "whatever there is"."""
    return None if at is None else min(max(to_utc(at, "start, end and to"), EPOCH), FAR_FUTURE)


Whole = TypeVar("Whole", int, int | None)


def to_whole(number: Whole) -> Whole:
    """Return what counts as an integer, such as numpy's, as one; anything else as it is, to be refused in words."""
    is_integer = hasattr(number, "__index__") and not isinstance(number, bool)
    return cast("Whole", index(cast("int", number))) if is_integer else number


def check_count(count: int, largest: int, what: str) -> None:
    """Refuse a count that is no number of rows.

    Raises:
        InvalidRangeError: the count is not an int from 1 to ``largest``.

    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= largest:  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        msg = f"count must be a whole number of {what} from 1 to {largest}, got {count!r}"
        raise InvalidRangeError(msg)


def check_depth(depth: int) -> None:
    """Refuse a depth that no book has.

    Raises:
        UnsupportedRequestError: the depth is not an int from 1 to 30.

    """
    if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= DEEPEST_BOOK:  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        msg = f"depth must be a whole number of levels from 1 to {DEEPEST_BOOK}, got {depth!r}"
        raise UnsupportedRequestError(msg)


@frozen(kw_only=True)
class CandleRequest(RequestOptions):
    """Candles of one symbol.

    ``count`` rows are candles that exist, the newest before ``end``; ``start`` with ``end`` means
    all of them (``start <= opened_at < end``); ``start`` with ``count`` means the *first* ones.

    Attributes:
        closed_only: leave out the forming candle.
        final_only: leave out all that is not sealed.

    Raises:
        InvalidRangeError: naive instants, start after end, all three of start, end and count,
            or a count that is no number of rows.

    """

    symbol: Symbol = field(converter=Symbol)
    timeframe: Timeframe = field(converter=Timeframe.parse, default=Timeframe.M1)
    count: int | None = None
    start: datetime | None = field(converter=_bound_or_none, default=None)
    end: datetime | None = field(converter=_bound_or_none, default=None)
    closed_only: bool = False
    final_only: bool = False

    def __attrs_post_init__(self) -> None:
        """Refuse contradictions."""
        if self.count is not None:
            check_count(self.count, LARGEST_COUNT, "candles")
        if None not in (self.count, self.start, self.end):
            msg = "start, end and count together leave no question open; give at most two of them"
            raise InvalidRangeError(msg)
        if self.count is None and self.start is None:
            object.__setattr__(self, "count", DEFAULT_COUNT)
        if self.start is not None and self.end is not None and self.start > self.end:
            msg = f"start must not be after end, got start={to_text(self.start)} end={to_text(self.end)}; swap them"
            raise InvalidRangeError(msg)

    def __str__(self) -> str:
        """Say the question in one line."""
        parts = [f"candles {self.symbol} {self.timeframe}"]
        parts += [f"count={self.count}"] if self.count is not None else []
        parts += [f"start={to_text(self.start)}"] if self.start else []
        parts += [f"end={to_text(self.end)}"] if self.end else []
        parts += ["final only"] if self.final_only else ["closed only"] if self.closed_only else []
        return " ".join(parts)


def _symbols(symbols: str | Iterable[str]) -> tuple[Symbol, ...]:
    chosen = (symbols,) if isinstance(symbols, str) else tuple(symbols)
    if not chosen:
        msg = "at least one symbol is needed, got none"
        raise UnsupportedRequestError(msg)
    return tuple(dict.fromkeys(Symbol(symbol) for symbol in chosen))


@frozen(kw_only=True)
class TickerRequest(RequestOptions):
    """The tickers of one or more symbols of one venue.

    Raises:
        UnsupportedRequestError: no symbol, or symbols of several venues.

    """

    symbols: tuple[Symbol, ...] = field(converter=_symbols)

    def __attrs_post_init__(self) -> None:
        """Refuse a question that no channel can answer alone."""
        if len({symbol.venue_prefix for symbol in self.symbols}) > 1:
            msg = f"one question is about one venue, got {' '.join(self.symbols)}; ask for each venue by itself"
            raise UnsupportedRequestError(msg)

    def __str__(self) -> str:
        """Say the question in one line."""
        return f"ticker {' '.join(self.symbols)}"


@frozen(kw_only=True)
class OrderBookRequest(RequestOptions):
    """The order book of one symbol, ``depth`` levels a side (1 to 30)."""

    symbol: Symbol = field(converter=Symbol)
    depth: int = 15

    def __attrs_post_init__(self) -> None:
        """Refuse a depth that no book has."""
        check_depth(self.depth)

    def __str__(self) -> str:
        """Say the question in one line."""
        return f"orderbook {self.symbol} depth={self.depth}"


@frozen(kw_only=True)
class TradesRequest(RequestOptions):
    """The newest trades of one symbol."""

    symbol: Symbol = field(converter=Symbol)
    count: int = 100

    def __attrs_post_init__(self) -> None:
        """Refuse a count that is no number of trades."""
        check_count(self.count, LARGEST_TRADE_COUNT, "trades")

    def __str__(self) -> str:
        """Say the question in one line."""
        return f"trades {self.symbol} count={self.count}"


@frozen(kw_only=True)
class RealtimeRequest:
    """One symbol, followed live.

    Attributes:
        kind: what to follow.
        timeframe: for candles.
        history: how many candles come first, in ``HistoryLoaded``.
        resume_after: what the follower had last, before it was started anew. For trades, the trade that lies
            last by (traded_at, sequential_id), or its sequential_id: every trade after it comes first, in that
            order, as far as REST keeps them (today and seven UTC days), then live goes on; what lies beyond,
            or a trade that is not found, is told by a ``Gap`` first (of an empty range if nobody knows when
            that trade was). For candles, the last FINAL one or its ``opened_at``: ``HistoryLoaded`` brings
            every slot after it up to now, of which the FINAL ones count as delivered.
        reorder_s: hold trades for this many market seconds and deliver them by (traded_at, sequential_id);
            what comes later still is delivered with ``is_late``. 0 delivers at once, as received.
        data_callback: plain or async function that receives every event, when ``request_data`` is used.

    """

    symbol: Symbol = field(converter=Symbol)
    timeframe: Timeframe = field(converter=Timeframe.parse, default=Timeframe.M1)
    kind: DataKind = DataKind.CANDLE
    history: int = 0
    resume_after: type_of_resume_point | None = None
    reorder_s: float = 0.0
    data_callback: DataCallback | None = field(default=None, eq=False)

    def __attrs_post_init__(self) -> None:
        """Refuse a history, or a point to go on from, that cannot be meant."""
        if self.history != 0:
            check_count(self.history, LARGEST_COUNT, "candles of history")
        if self.history and self.kind is not DataKind.CANDLE:
            msg = f"history is for candles only, got history={self.history} for kind={self.kind.value!r}"
            raise UnsupportedRequestError(msg)
        if self.history and self.resume_after is not None:
            msg = f"history={self.history} and resume_after both say where to begin; give one of them"
            raise UnsupportedRequestError(msg)
        point = read_resume_point(self.resume_after, self.kind, self.symbol, self.timeframe)
        object.__setattr__(self, "resume_after", point)
        check_reorder(self.reorder_s, self.kind)

    @property
    def first_missed(self) -> datetime | None:
        """The first candle slot that a follower who resumes has not had."""
        return self.timeframe.next(self.resume_after) if isinstance(self.resume_after, datetime) else None

    @property
    def topic(self) -> "Topic":
        """What has to be subscribed for this request."""
        return Topic(self.kind, self.symbol, self.timeframe if self.kind is DataKind.CANDLE else None)

    def __str__(self) -> str:
        """Say the question in one line."""
        what = f"{self.kind} {self.timeframe}" if self.kind is DataKind.CANDLE else str(self.kind)
        parts = [f"follow {what} {self.symbol} history={self.history}"]
        match self.resume_after:
            case None:
                pass
            case datetime() as opened_at:
                parts.append(f"resume_after={to_text(opened_at)}")
            case Trade() as trade:
                parts.append(f"resume_after={trade.sequential_id}")
            case other:
                parts.append(f"resume_after={other}")
        parts += [f"reorder_s={self.reorder_s:g}"] if self.reorder_s else []
        return " ".join(parts)


@frozen(cache_hash=True)
class Topic:
    """One thing that a stream can carry: a kind of data of one symbol (and timeframe)."""

    kind: DataKind
    symbol: Symbol = field(converter=Symbol)
    timeframe: Timeframe | None = None

    def __str__(self) -> str:
        """Write ``candle.1m:KRW-BTC`` or ``trade:KRW-BTC``."""
        return f"{self.kind}{f'.{self.timeframe}' if self.timeframe else ''}:{self.symbol}"


OneShotRequest = CandleRequest | TickerRequest | OrderBookRequest | TradesRequest
AnyRequest = OneShotRequest | RealtimeRequest


def parse_kind(kind: str) -> DataKind:
    """Read a kind of data.

    Raises:
        UnsupportedRequestError: the text names none.

    """
    try:
        return DataKind(kind)
    except ValueError as error:
        msg = f"unknown kind {kind!r}; expected one of {', '.join(DataKind)}"
        raise UnsupportedRequestError(msg) from error


def create_candle_request(
    symbol: str,
    timeframe: str = "1m",
    count: int | None = None,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    to: datetime | None = None,
    closed_only: bool = False,
    final_only: bool = False,
    priority: Priority = Priority.INTERACTIVE,
    deadline: float | None = None,
    caller: str = "",
    data_callback: DataCallback | None = None,
) -> CandleRequest:
    """Ask for candles; ``to`` is another name of ``end``. See :class:`CandleRequest`.

    Raises:
        RequestError: the symbol, the timeframe or the range cannot be meant.

    """
    if end is not None and to is not None:
        msg = "end and to are two names of one bound; give one of them"
        raise InvalidRangeError(msg)
    return CandleRequest(
        symbol=symbol,
        timeframe=timeframe,
        count=to_whole(count),
        start=start,
        end=to if end is None else end,
        closed_only=closed_only,
        final_only=final_only,
        priority=priority,
        deadline=deadline,
        caller=caller,
        data_callback=data_callback,
    )


def create_ticker_request(
    symbols: str | Sequence[str],
    *,
    deadline: float | None = None,
    caller: str = "",
    data_callback: DataCallback | None = None,
) -> TickerRequest:
    """Ask for the tickers of one or more symbols."""
    return TickerRequest(symbols=symbols, deadline=deadline, caller=caller, data_callback=data_callback)


def create_orderbook_request(
    symbol: str,
    depth: int = 15,
    *,
    deadline: float | None = None,
    caller: str = "",
    data_callback: DataCallback | None = None,
) -> OrderBookRequest:
    """Ask for the order book of a symbol, ``depth`` levels a side."""
    return OrderBookRequest(
        symbol=symbol, depth=to_whole(depth), deadline=deadline, caller=caller, data_callback=data_callback
    )


def create_trades_request(
    symbol: str,
    count: int = 100,
    *,
    deadline: float | None = None,
    caller: str = "",
    data_callback: DataCallback | None = None,
) -> TradesRequest:
    """Ask for the newest trades of a symbol."""
    return TradesRequest(
        symbol=symbol, count=to_whole(count), deadline=deadline, caller=caller, data_callback=data_callback
    )


def create_realtime_request(
    symbol: str,
    timeframe: str = "1m",
    data_callback: DataCallback | None = None,
    *,
    kind: str = "candle",
    history: int = 0,
    resume_after: type_of_resume_point | None = None,
    reorder_s: float = 0.0,
) -> RealtimeRequest:
    """Ask to follow a symbol live; ``kind`` is candle, ticker, trade or orderbook. See :class:`RealtimeRequest`.

    Raises:
        RequestError: the symbol, the timeframe, or the point to go on from cannot be meant.

    """
    return RealtimeRequest(
        symbol=symbol,
        timeframe=timeframe,
        data_callback=data_callback,
        kind=parse_kind(kind),
        history=to_whole(history),
        resume_after=resume_after,
        reorder_s=reorder_s,
    )
