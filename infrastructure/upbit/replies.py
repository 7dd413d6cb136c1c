"""REST bodies to values: typed decoding with exact decimals. No I/O."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import msgspec
from attrs import frozen

from ...domain.candle import Candle
from ...domain.errors import IntegrityError, MalformedReplyError, UnknownSymbolError
from ...domain.finality import Finality, Grace, SealedBy, judge_rest_row
from ...domain.market import Instrument, Market
from ...domain.orderbook import OrderBook
from ...domain.symbol import Symbol
from ...domain.ticker import Ticker
from ...domain.timeframe import Timeframe
from ...domain.trade import Trade
from .values import excerpt, to_book, to_change, to_instant, to_slot, to_taker_side

CHANNEL = "rest"


class CandleRow(msgspec.Struct):
    """One row of ``/v1/candles/…``; fields that only some units carry are left out."""

    market: str
    candle_date_time_utc: str
    opening_price: Decimal
    high_price: Decimal
    low_price: Decimal
    trade_price: Decimal
    timestamp: int
    candle_acc_trade_price: Decimal
    candle_acc_trade_volume: Decimal


class TickerRow(msgspec.Struct):
    """One row of ``/v1/ticker`` and ``/v1/ticker/all``."""

    market: str
    trade_price: Decimal
    opening_price: Decimal
    high_price: Decimal
    low_price: Decimal
    prev_closing_price: Decimal
    change: str
    signed_change_price: Decimal
    signed_change_rate: Decimal
    trade_volume: Decimal
    acc_trade_price: Decimal
    acc_trade_price_24h: Decimal
    acc_trade_volume: Decimal
    acc_trade_volume_24h: Decimal
    highest_52_week_price: Decimal
    lowest_52_week_price: Decimal
    trade_timestamp: int
    timestamp: int


class TradeRow(msgspec.Struct):
    """One row of ``/v1/trades/ticks``."""

    market: str
    timestamp: int
    trade_price: Decimal
    trade_volume: Decimal
    ask_bid: str
    sequential_id: int


class BookUnit(msgspec.Struct):
    """The i-th best bid beside the i-th best ask."""

    ask_price: Decimal
    bid_price: Decimal
    ask_size: Decimal
    bid_size: Decimal


class BookRow(msgspec.Struct):
    """One row of ``/v1/orderbook``; hosts outside Korea send no ``level``."""

    market: str
    timestamp: int
    orderbook_units: list[BookUnit]
    level: Decimal | None = None


class Event(msgspec.Struct):
    """Korea's warnings; absent on other hosts."""

    warning: bool = False
    caution: dict[str, bool] = {}


class MarketRow(msgspec.Struct):
    """One row of ``/v1/market/all``."""

    market: str
    english_name: str
    korean_name: str | None = None
    market_event: Event | None = None
    market_warning: str | None = None


class InstrumentRow(msgspec.Struct):
    """One row of ``/v1/orderbook/instruments``: numbers come as text."""

    market: str
    quote_currency: str
    tick_size: Decimal
    supported_levels: list[Decimal]


Row = TypeVar("Row")


def _decoder(row: type[Row]) -> Callable[[bytes], list[Row]]:
    decoder = msgspec.json.Decoder(list[row])

    def decode(body: bytes) -> list[Row]:
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            msg = f"expected a list of {row.__name__}: {error}; the body began {excerpt(body)!r}"
            raise MalformedReplyError(msg, channel=CHANNEL) from error

    return decode


decode_candles = _decoder(CandleRow)
decode_tickers = _decoder(TickerRow)
decode_trades = _decoder(TradeRow)
decode_books = _decoder(BookRow)
decode_markets = _decoder(MarketRow)
decode_instruments = _decoder(InstrumentRow)


@contextmanager
def reading(channel: str) -> Generator[None]:
    """Say of rows that contradict themselves whose they are: the channel failed, not the caller.

    Raises:
        MalformedReplyError: a row is impossible, or names something that is no symbol.

    """
    try:
        yield
    except (IntegrityError, UnknownSymbolError) as error:
        msg = f"the answer holds an impossible row: {error}"
        raise MalformedReplyError(msg, channel=channel) from error


@frozen(kw_only=True)
class Origin:
    """Where rows come from and when they were read."""

    venue: str
    read_at: datetime
    source: str = CHANNEL


@frozen
class CandlePage:
    """The rows of a page, oldest first, and what had to be rejected of it.

    ``rejected_slots`` are the slots of rows whose numbers are impossible: they stay unknown.
    """

    candles: tuple[Candle, ...]
    rejections: tuple[str, ...] = ()
    rejected_slots: tuple[datetime, ...] = ()


def to_candle_page(
    rows: list[CandleRow], symbol: Symbol, timeframe: Timeframe, origin: Origin, grace: Grace
) -> CandlePage:
    """Return candles, each as final as the read instant allows; impossible rows are rejected, never mended."""
    candles: dict[datetime, Candle] = {}
    rejections: list[str] = []
    slots: list[datetime] = []
    for row in rows:
        opened_at = to_slot(row.candle_date_time_utc)
        judgement = judge_rest_row(timeframe.next(opened_at), origin.read_at, grace.of(timeframe))
        try:
            candles[opened_at] = _to_candle(row, opened_at, (symbol, timeframe), origin, judgement)
        except IntegrityError as error:
            rejections.append(str(error))
            slots.append(timeframe.floor(opened_at))
    return CandlePage(tuple(candles[opened_at] for opened_at in sorted(candles)), tuple(rejections), tuple(slots))


def _to_candle(
    row: CandleRow,
    opened_at: datetime,
    series: tuple[Symbol, Timeframe],
    origin: Origin,
    judgement: tuple[Finality, SealedBy | None],
) -> Candle:
    (symbol, timeframe), (finality, sealed_by) = series, judgement
    if row.market != symbol:
        msg = f"a row of {row.market} in an answer about {symbol}"
        raise IntegrityError(msg)
    return Candle(
        venue=origin.venue,
        symbol=symbol,
        timeframe=timeframe,
        opened_at=opened_at,
        open=row.opening_price,
        high=row.high_price,
        low=row.low_price,
        close=row.trade_price,
        volume=row.candle_acc_trade_volume,
        quote_volume=row.candle_acc_trade_price,
        updated_at=to_instant(row.timestamp),
        source=origin.source,
        finality=finality,
        sealed_by=sealed_by,
    )


def to_ticker(row: TickerRow, origin: Origin) -> Ticker:
    """Return the ticker of a row."""
    return Ticker(
        venue=origin.venue,
        symbol=Symbol(row.market),
        price=row.trade_price,
        open=row.opening_price,
        high=row.high_price,
        low=row.low_price,
        previous_close=row.prev_closing_price,
        change=to_change(row.change),
        signed_change=row.signed_change_price,
        signed_change_rate=row.signed_change_rate,
        last_volume=row.trade_volume,
        volume=row.acc_trade_volume,
        quote_volume=row.acc_trade_price,
        volume_24h=row.acc_trade_volume_24h,
        quote_volume_24h=row.acc_trade_price_24h,
        highest_52_week=row.highest_52_week_price,
        lowest_52_week=row.lowest_52_week_price,
        traded_at=to_instant(row.trade_timestamp),
        updated_at=to_instant(row.timestamp),
        source=origin.source,
    )


def to_trade(row: TradeRow, origin: Origin) -> Trade:
    """Return the trade of a row."""
    return Trade(
        venue=origin.venue,
        symbol=Symbol(row.market),
        sequential_id=row.sequential_id,
        price=row.trade_price,
        volume=row.trade_volume,
        taker_side=to_taker_side(row.ask_bid),
        traded_at=to_instant(row.timestamp),
        source=origin.source,
    )


def to_orderbook(row: BookRow, origin: Origin) -> OrderBook:
    """Return the book of a row, without its padding."""
    units = [(unit.ask_price, unit.ask_size, unit.bid_price, unit.bid_size) for unit in row.orderbook_units]
    symbol = Symbol(row.market)
    return to_book(origin.venue, symbol, units, stamp=row.timestamp, level=row.level, source=origin.source)


def to_market(row: MarketRow) -> Market:
    """Return the market of a row, whichever way its host warns."""
    event = row.market_event or Event()
    return Market(
        symbol=Symbol(row.market),
        english_name=row.english_name,
        korean_name=row.korean_name,
        is_warned=event.warning or (row.market_warning or "NONE") != "NONE",
        cautions=frozenset(name for name, is_set in event.caution.items() if is_set),
    )


def to_instrument(row: InstrumentRow) -> Instrument:
    """Return the instrument of a row."""
    return Instrument(
        symbol=Symbol(row.market),
        quote=row.quote_currency,
        tick_size=row.tick_size,
        supported_levels=tuple(row.supported_levels),
    )
