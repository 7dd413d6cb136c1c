"""How Upbit spells things: paths, parameters, codes, subscriptions, budget headers. No I/O."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec
from attrs import frozen

from ...domain.capabilities import DataKind
from ...domain.errors import UnsupportedRequestError
from ...domain.request import Topic
from ...domain.symbol import Symbol
from ...domain.timeframe import Timeframe
from ...domain.timestamps import to_text

CANDLES_PER_CALL = 200
TRADES_PER_CALL = 500
BOOK_LEVELS = 30
TRADE_DAYS = 7
STREAM_DEPTHS = (1, 5, 15, 30)

CANDLE_PATHS = {
    Timeframe.S1: "/v1/candles/seconds",
    Timeframe.M1: "/v1/candles/minutes/1",
    Timeframe.M3: "/v1/candles/minutes/3",
    Timeframe.M5: "/v1/candles/minutes/5",
    Timeframe.M10: "/v1/candles/minutes/10",
    Timeframe.M15: "/v1/candles/minutes/15",
    Timeframe.M30: "/v1/candles/minutes/30",
    Timeframe.H1: "/v1/candles/minutes/60",
    Timeframe.H4: "/v1/candles/minutes/240",
    Timeframe.D1: "/v1/candles/days",
    Timeframe.W1: "/v1/candles/weeks",
    Timeframe.MONTH: "/v1/candles/months",
    Timeframe.Y1: "/v1/candles/years",
}
STREAM_CODES = {
    Timeframe.S1: "candle.1s",
    Timeframe.M1: "candle.1m",
    Timeframe.M3: "candle.3m",
    Timeframe.M5: "candle.5m",
    Timeframe.M10: "candle.10m",
    Timeframe.M15: "candle.15m",
    Timeframe.M30: "candle.30m",
    Timeframe.H1: "candle.60m",
    Timeframe.H4: "candle.240m",
}
"""There is no stream of days, weeks, months or years (docs of 2026-09-22)."""

Query = Mapping[str, str]


@frozen
class Call:
    """One GET: path, parameters in plain text, and the group that it is expected to count in.

    Groups carry the names of the wire (``candles``, ``crix-trades``), which differ from the docs.
    """

    path: str
    query: Query
    group: str


def candles_call(symbol: Symbol, timeframe: Timeframe, count: int, to: datetime | None) -> Call:
    """Ask for the newest ``count`` candles that open before ``to`` (exclusive).

    Slots open on whole seconds, so what opens before ``to`` opens before the next whole second as well.
    """
    query = {"market": str(symbol), "count": str(count)}
    if to is not None:
        # With a zone: without one Upbit reads UTC, its clones read KST.
        query["to"] = to_text(Timeframe.S1.ceil(to))
    return Call(CANDLE_PATHS[timeframe], query, "candles")


def tickers_call(symbols: Collection[Symbol]) -> Call:
    """Ask for the tickers of these symbols; one unknown symbol fails the whole call."""
    return Call("/v1/ticker", {"markets": ",".join(symbols)}, "ticker")


def all_tickers_call(quotes: Collection[str]) -> Call:
    """Ask for every ticker of these quote currencies."""
    return Call("/v1/ticker/all", {"quote_currencies": ",".join(quotes)}, "ticker")


def trades_call(symbol: Symbol, count: int, *, before_id: int | None, days_ago: int | None) -> Call:
    """Ask for trades of one UTC day, newest first."""
    query = {"market": str(symbol), "count": str(count)}
    if before_id is not None:
        query["cursor"] = str(before_id)
    if days_ago is not None:
        query["days_ago"] = str(days_ago)
    return Call("/v1/trades/ticks", query, "crix-trades")


def orderbooks_call(symbols: Collection[Symbol], *, count: int, level: str | None = None) -> Call:
    """Ask for the books of these symbols; ``level`` groups prices and exists in Korea only."""
    query = {"markets": ",".join(symbols), "count": str(count)}
    if level is not None:
        query["level"] = level
    return Call("/v1/orderbook", query, "orderbook")


def instruments_call(symbols: Collection[Symbol]) -> Call:
    """Ask for tick sizes and supported groupings."""
    return Call("/v1/orderbook/instruments", {"markets": ",".join(symbols)}, "orderbook")


def markets_call() -> Call:
    """Ask for the list of markets with their warnings."""
    return Call("/v1/market/all", {"is_details": "true"}, "market")


_REMAINING = re.compile(r"group=([A-Za-z0-9_.-]{1,64});\s*min=(\d{1,9});\s*sec=(\d{1,9})\b")


@frozen
class Remaining:
    """What ``Remaining-Req`` says: calls left in the present second of a group.

    ``min`` is a dead field, constant at 60 times the limit per second (since 2023-10-25).
    """

    group: str
    per_second: int
    left: int


def read_remaining(header: str | None) -> Remaining | None:
    """Read ``group=candles; min=600; sec=9``; None where the header is missing or odd."""
    match = _REMAINING.search(header or "")
    return Remaining(match[1], max(1, int(match[2]) // 60), int(match[3])) if match else None


def stream_type(topic: Topic) -> str:
    """Return the ``type`` of a subscription.

    Raises:
        UnsupportedRequestError: Upbit streams no such thing.

    """
    if topic.symbol.venue_prefix:
        msg = f"Upbit streams its own symbols, such as KRW-BTC, and knows nothing of {topic.symbol}"
        raise UnsupportedRequestError(msg)
    if topic.kind is not DataKind.CANDLE:
        return str(topic.kind)
    if topic.timeframe is None or topic.timeframe not in STREAM_CODES:
        msg = f"Upbit streams no {topic.timeframe} candles; it streams {' '.join(STREAM_CODES)}"
        raise UnsupportedRequestError(msg)
    return STREAM_CODES[topic.timeframe]


def subscription(
    ticket: str,
    topics: Collection[Topic],
    *,
    frame_format: str = "DEFAULT",
    depth: int | None = None,
    snapshot_only: bool = False,
    canary: Topic | None = None,
) -> str:
    """Return the text of a request; it replaces whatever the socket carried before.

    Args:
        ticket: any text, unique to the request.
        topics: what to subscribe.
        frame_format: DEFAULT, SIMPLE, JSON_LIST or SIMPLE_LIST.
        depth: levels of each book (1, 5, 15 or 30); 30 when left out.
        snapshot_only: one answer per code, then silence.
        canary: a book that is wanted for its signs of life only, and therefore one level deep.

    """
    depths = {topic: depth for topic in topics if topic.kind is DataKind.ORDERBOOK}
    if canary is not None:
        depths.setdefault(canary, 1)
    codes: dict[str, list[str]] = {}
    # Sorted: the same topics are the same text, which a recording or a test can compare.
    for topic in sorted({*topics, *depths}, key=str):
        # A depth that is not 1, 5, 15 or 30 silently means 30 (since 2025-07-02).
        levels = depths.get(topic)
        codes.setdefault(stream_type(topic), []).append(f"{topic.symbol}.{levels}" if levels else str(topic.symbol))
    flags = {"is_only_snapshot": True} if snapshot_only else {}
    wanted = [{"type": kind, "codes": names, **flags} for kind, names in codes.items()]
    return msgspec.json.encode([{"ticket": ticket}, *wanted, {"format": frame_format}]).decode()


def stream_depth(depth: int) -> int:
    """Return the smallest depth that the stream offers and that holds ``depth`` levels."""
    return next(offered for offered in STREAM_DEPTHS if offered >= min(depth, BOOK_LEVELS))


MICROSECONDS_FROM = 100_000_000_000_000
