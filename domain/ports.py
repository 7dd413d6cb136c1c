"""What the application needs from the world, said as guarantees."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol, runtime_checkable

from .capabilities import Capabilities
from .ledger import HeldSeries, Ledger, SeriesKey, WriteResult
from .market import Market
from .orderbook import OrderBook
from .request import AnyRequest, Topic
from .routing import ChannelView, RoutePlan
from .series import CandleSeries
from .status import Headroom
from .streaming import StreamItem
from .telemetry_events import TelemetryEvent
from .ticker import Ticker
from .time_range import TimeRange
from .trade import Trade


@runtime_checkable
class MarketDataRepository(Protocol):
    """Market data by request; what application services inject.

    Every method raises only errors of :mod:`market_backbone.domain.errors`. Cancelling a call
    leaves nothing behind. Instants are aware UTC, numbers exact.
    """

    async def get_candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        count: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> CandleSeries:
        """Return candles, oldest first, unique, with the coverage that the answer proves.

        Raises:
            RequestError: the question cannot be meant, or this source does not serve it.
            ChannelError: the source failed.

        """
        ...

    async def get_ticker(self, symbol: str) -> Ticker:
        """Return the newest ticker of a symbol."""
        ...

    async def get_tickers(self, symbols: Sequence[str]) -> Sequence[Ticker]:
        """Return the newest tickers in the order of ``symbols``."""
        ...

    async def get_orderbook(self, symbol: str, depth: int = 15) -> OrderBook:
        """Return the newest book, at most ``depth`` levels a side, best first."""
        ...

    async def get_trades(self, symbol: str, count: int = 100) -> Sequence[Trade]:
        """Return the newest trades, sorted by (traded_at, sequential_id), each once."""
        ...


@runtime_checkable
class Channel(MarketDataRepository, Protocol):
    """One way to get data: a repository with a name that declares what it can do.

    ``get_candles`` of a channel answers one page: at most ``capabilities.candles_per_call`` rows.
    """

    @property
    def name(self) -> str:
        """The name by which policies and users speak of the channel."""
        ...

    @property
    def venue(self) -> str:
        """Whose data the channel brings, as far as it knows now."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the channel can answer and follow; constant."""
        ...

    async def close(self) -> None:
        """Release connections; idempotent."""
        ...


@runtime_checkable
class CandleCache(Channel, Protocol):
    """A channel that answers from a store of candles, and asks nobody."""

    @property
    def store(self) -> "CandleStore":
        """What it answers from; whoever reads the venue writes into it."""
        ...

    def bind_venues(self, venue: Callable[[str], str]) -> None:
        """Answer with what is held of the venue that ``venue`` names for a prefix at the time of the question."""
        ...


class LiveStream(Protocol):
    """The items of an open stream, in the order of arrival."""

    def __aiter__(self) -> AsyncIterator[StreamItem]:
        """Iterate over the items."""
        ...

    def abandon(self, cause: str) -> None:
        """Give up the present life, because it was seen to be dead, and begin another."""
        ...


@runtime_checkable
class ReadyStream(LiveStream, Protocol):
    """A stream that can tell what has come already; asking for items one by one costs more than reading them."""

    def ready(self) -> Iterator[StreamItem]:
        """Yield, without waiting, the items that would be next; each item is yielded here or there, once.

        Ends as soon as waiting or failing is next, which is left to the asynchronous iteration.
        """
        ...


@runtime_checkable
class LiveChannel(Channel, Protocol):
    """A channel that can also be followed."""

    def open_stream(
        self, topics: Collection[Topic], *, canary: Topic | None = None
    ) -> AbstractAsyncContextManager["LiveStream"]:
        """Follow ``topics`` until the context ends.

        ``canary`` is carried as well, as cheaply as the channel can: its frames witness the life.

        The iterator yields ``LifeBegan`` when a socket is subscribed, ``Received`` for each value in
        the order of arrival, ``LifeEnded`` when the socket is lost, and goes on by itself with the
        next life: it ends only with the context. Nothing is delivered between ``LifeEnded`` and the
        next ``LifeBegan``. After an error that no retry can mend it raises that error.
        """
        ...


@runtime_checkable
class MarketDirectory(Protocol):
    """What the venue lists."""

    async def get_markets(self) -> Sequence[Market]:
        """Return every listed market."""
        ...

    async def check_symbol(self, symbol: str) -> None:
        """Refuse a symbol that is not listed.

        Raises:
            UnknownSymbolError: never listed; the message names the nearest matches.
            SymbolDelistedError: no longer listed.

        """
        ...


@runtime_checkable
class TradeHistory(Protocol):
    """Past trades, as far as the venue keeps them."""

    async def get_trade_page(
        self, symbol: str, count: int, *, before_id: int | None = None, days_ago: int | None = None
    ) -> Sequence[Trade]:
        """Return at most ``count`` trades of one UTC day, those before ``before_id``, oldest first.

        Never crosses a UTC day; ``days_ago`` is 1 to 7, None for today.
        """
        ...


@runtime_checkable
class AllTickers(Protocol):
    """Every ticker of a venue by one call."""

    async def get_all_tickers(self, quotes: Collection[str]) -> Sequence[Ticker]:
        """Return the ticker of every listed market of these quote currencies, in no order, by one call.

        A market that is missing is not listed; one that is unknown cannot make the call fail.
        """
        ...


@runtime_checkable
class OrderBooks(Protocol):
    """Several order books by one call."""

    async def get_orderbooks(self, symbols: Sequence[str], depth: int = 15) -> Sequence[OrderBook]:
        """Return at most 100 books in the order of ``symbols``, by one call.

        One symbol that is not listed fails the whole call with its ``RequestError``.
        """
        ...


@runtime_checkable
class BudgetedChannel(Protocol):
    """A channel whose venue limits how often it may be asked."""

    def headroom(self) -> Mapping[str, Headroom]:
        """Return what each group of its calls has left, at once; changes nothing."""
        ...


@runtime_checkable
class CandleStore(Protocol):
    """FINAL candles and what is known of the slots between them, kept across requests.

    Guarantees:
        A write is all or nothing, also when the process is killed: coverage never outlives its candles.
        What is FINAL and proven in a written series is kept, the rest of it is not.
        Two writers of one series lose nothing of each other's.

    Every method raises ``ChannelUnavailableError`` when the medium fails (full, gone, locked for long);
    what was written before stays readable.
    """

    def ledger(self, key: SeriesKey) -> Ledger:
        """Return what is known of a series, at once: from memory, or by one short read."""
        ...

    async def read(self, key: SeriesKey, span: TimeRange) -> CandleSeries:
        """Return every candle with ``span.start <= opened_at < span.end``, and the coverage inside ``span``."""
        ...

    async def read_newest(self, key: SeriesKey, count: int, span: TimeRange) -> CandleSeries:
        """Return the newest ``count`` candles of ``span``; coverage as of ``read``."""
        ...

    async def write(self, series: CandleSeries) -> WriteResult:
        """Keep the FINAL candles, the proven and provisional ranges and ``BEFORE_LISTING`` of a series.

        A provisional range that is proven now is provisional no more. Which view of a slot stays is
        decided by ``holding.keep``.
        """
        ...

    async def quarantine(self, key: SeriesKey, reason: str) -> int:
        """Serve nothing of a series any more and begin it anew; its rows are kept apart, never deleted.

        Returns how many rows were set aside.
        """
        ...

    async def mark_verified(self, key: SeriesKey, at: datetime) -> None:
        """Note that stored pages were compared with the venue."""
        ...

    async def invalidate(self, key: SeriesKey, span: TimeRange) -> None:
        """Strike provisional coverage inside ``span``: a page of the venue has contradicted it."""
        ...

    async def inventory(self) -> Sequence[HeldSeries]:
        """Return what is held, in the order of venue, symbol and timeframe; what was set aside comes last."""
        ...

    async def close(self) -> None:
        """Release the medium; idempotent."""
        ...


@runtime_checkable
class WatchedStore(CandleStore, Protocol):
    """A store that tells at once whether anything in it has changed.

    Answers that rest on it are given again while its state is the same.
    """

    def state(self) -> object:
        """Return an object that is another one after every write that has changed anything, by whomever."""
        ...


class Clock(Protocol):
    """The passing of market time; in a sandbox that runs faster, all waits and budgets shrink with it."""

    def monotonic(self) -> float:
        """Return seconds of market time that never jump back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of market time."""
        ...

    def to_real_s(self, seconds: float) -> float:
        """Return how many real seconds ``seconds`` of market time take."""
        ...

    def follow_speed(self, speed: float) -> None:
        """Run at the speed that a sandbox announced, if the settings allow it."""
        ...


class ServerTime(Protocol):
    """The venue's clock as an interval, as far as its replies prove it (see ``server_clock``)."""

    def observe_reply(self, date_s: float, *, sent: float, received: float) -> None:
        """Learn from a reply dated ``date_s`` (epoch seconds); the others are monotonic instants."""
        ...

    def observe_stamp(self, stamp_s: float, *, received: float) -> None:
        """Learn from the time stamp of a frame."""
        ...

    def earliest(self, at: float | None = None) -> datetime | None:
        """Return the earliest server time at monotonic ``at`` (default now); None before any proof."""
        ...

    def latest(self, at: float | None = None) -> datetime | None:
        """Return the latest server time at monotonic ``at`` (default now); None before any proof."""
        ...


class RoutingPolicy(Protocol):
    """Makes a plan; pure and deterministic: same request and views, same plan."""

    @property
    def name(self) -> str:
        """The name that plans carry and settings choose by."""
        ...

    def plan(self, request: AnyRequest, channels: Sequence[ChannelView]) -> RoutePlan:
        """Return the order in which channels are asked, with a reason for each.

        Raises:
            UnsupportedRequestError: no channel declares that it can serve the request.

        """
        ...


class Logger(Protocol):
    """Structured log events with stable names; each is written once, where it is handled."""

    def info(self, event: str, **details: object) -> None:
        """Write what happened in the normal course of things."""
        ...

    def warning(self, event: str, **details: object) -> None:
        """Write what somebody should look at."""
        ...


class Observer(Protocol):
    """Watches what happens: metrics, a test, a user's own account.

    Guarantees of whoever implements it:
        It returns at once: it is called inside the event loop, between two frames.
        It never raises into its caller. If it does all the same, that is reported once and ignored.
    """

    def observe(self, event: TelemetryEvent) -> None:
        """Take note of a fact. Facts of one topic come in their order."""
        ...
