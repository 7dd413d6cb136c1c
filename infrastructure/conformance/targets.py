"""What the user of the kit hands over: an adapter, and what has to be known to test it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from inspect import isawaitable
from typing import TypeVar, cast

from attrs import field, frozen

from ...domain.candle import Candle
from ...domain.capabilities import DataKind, HistoryDepth
from ...domain.errors import RateLimitedError
from ...domain.ports import CandleStore, Channel, RoutingPolicy
from ...domain.request import Topic
from ...domain.routing import ChannelView
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.timeframe import Timeframe
from .promises import Need, require

Found = TypeVar("Found")
Deed = Callable[[], Awaitable[object] | object]
PAGE_ROWS = 30
FEWEST_ROWS = 12
_AGAIN_S = 0.1
_FORMING_ROWS = 2


@frozen
class ChannelUnderTest:
    """A channel, and what it can be asked.

    Attributes:
        channel: the adapter.
        symbol: a listed symbol with at least twelve candles, better thirty.
        second_symbol: another listed symbol, for questions about several.
        unlisted: a symbol that the source does not list; empty for ``KRW-UNLISTED``, or its like at another venue.
        timeframe: of the candles that are asked for; empty for one minute, or the shortest that is declared.
        now: tells the time of the source, at the latest: ``lambda: datetime.now(UTC)`` for one of the real world.
        break_source: makes the source fail, plain or async; ``mend_source`` undoes it.
        timeout_s: the longest that the trial of one promise may take.
        listen_s: how long a stream is listened to after its first value.

    """

    channel: Channel
    symbol: str = "KRW-BTC"
    second_symbol: str = field(default="", kw_only=True)
    unlisted: str = field(default="", kw_only=True)
    timeframe: str = field(default="", kw_only=True)
    now: Callable[[], datetime] | None = field(default=None, kw_only=True)
    break_source: Deed | None = field(default=None, kw_only=True)
    mend_source: Deed | None = field(default=None, kw_only=True)
    timeout_s: float = field(default=30.0, kw_only=True)
    listen_s: float = field(default=1.0, kw_only=True)

    @property
    def frame(self) -> Timeframe:
        """The timeframe that candles are asked for in."""
        if self.timeframe:
            return Timeframe.parse(self.timeframe)
        declared = [frame for frame in Timeframe if frame in self.channel.capabilities.timeframes]
        return declared[0] if declared and Timeframe.M1 not in declared else Timeframe.M1

    @property
    def stranger(self) -> str:
        """A symbol that the source does not list."""
        prefix = self.channel.capabilities.venue_prefix
        return self.unlisted or (f"{prefix}:UNLISTED/USDT" if prefix else "KRW-UNLISTED")

    @property
    def is_deep(self) -> bool:
        """Whether more than the newest candle can be asked for."""
        able = self.channel.capabilities
        return DataKind.CANDLE in able.answers and able.history is HistoryDepth.FULL

    @property
    def topics(self) -> tuple[Topic, ...]:
        """One topic of each kind that the channel declares to follow."""
        able = self.channel.capabilities
        live = [frame for frame in Timeframe if frame in able.live_timeframes]
        frame = self.frame if self.frame in live else next(iter(live), None)
        kinds = [kind for kind in DataKind if kind in able.follows]
        symbol = Symbol(self.symbol)
        return tuple(Topic(kind, symbol, frame if kind is DataKind.CANDLE else None) for kind in kinds)

    def read_clock(self) -> datetime:
        """Return the time of the source."""
        if self.now is None:
            raise AssertionError("ChannelUnderTest.now is needed")
        return self.now()

    async def ask(self, call: Callable[[], Awaitable[Found]]) -> Found:
        """Return what a call answers; one that is told to slow down is made again, as a user would."""
        while True:
            try:
                return await call()
            except RateLimitedError:
                await asyncio.sleep(_AGAIN_S)

    async def page(
        self, count: int | None = None, *, start: datetime | None = None, end: datetime | None = None
    ) -> CandleSeries:
        """Ask for one page of candles."""
        channel, frame = self.channel, str(self.frame)
        return await self.ask(lambda: channel.get_candles(self.symbol, frame, count, start=start, end=end))

    async def newest(self) -> CandleSeries:
        """Ask for the newest candles, as many as the trials need and the channel gives."""
        rows = min(PAGE_ROWS, self.channel.capabilities.candles_per_call)
        return await self.page(rows if self.is_deep else 1)

    async def past(self) -> list[Candle]:
        """Return candles that exist and lie behind the forming one, at least ten."""
        rows = list(await self.newest())
        require(
            len(rows) >= FEWEST_ROWS,
            f"{self.symbol} {self.frame} has {len(rows)} candles only; name a symbol that has {FEWEST_ROWS}",
        )
        return rows[:-_FORMING_ROWS]

    async def some_pages(self) -> AsyncGenerator[CandleSeries]:
        """Yield a few pages of every sort that the channel serves."""
        yield await self.newest()
        if self.is_deep:
            past = await self.past()
            yield await self.page(5, end=past[-1].opened_at)
            yield await self.page(start=past[2].opened_at, end=past[7].opened_at)


@frozen
class StoreUnderTest:
    """A store of candles that holds nothing yet.

    Attributes:
        store: the adapter.
        reopen: closes nothing; returns another store on the same medium, plain or async. The first one may be
            open or closed then.
        break_medium: makes the medium take no more, as a full disk; plain or async. ``mend_medium`` undoes it.
        timeout_s: the longest that the trial of one promise may take.

    """

    store: CandleStore
    reopen: Callable[[], Awaitable[CandleStore] | CandleStore] | None = field(default=None, kw_only=True)
    break_medium: Deed | None = field(default=None, kw_only=True)
    mend_medium: Deed | None = field(default=None, kw_only=True)
    timeout_s: float = field(default=30.0, kw_only=True)

    async def open_again(self) -> CandleStore:
        """Return another store on the same medium."""
        if self.reopen is None:
            raise AssertionError("StoreUnderTest.reopen is needed")
        opened = self.reopen()
        return await opened if isawaitable(opened) else opened


@frozen
class PolicyUnderTest:
    """A routing policy.

    Attributes:
        policy: the policy.
        views: channels that it plans with; empty for a REST, a socket, a cache and a stranger's archive.
        timeout_s: of no meaning to a policy, which waits for nothing.

    """

    policy: RoutingPolicy
    views: Sequence[ChannelView] = field(default=(), kw_only=True)
    timeout_s: float = field(default=30.0, kw_only=True)


def answers(kind: DataKind) -> Need[ChannelUnderTest]:
    """Need a channel that declares that it answers a kind of data."""
    return Need(f"`{kind.value}` in `capabilities.answers`", lambda it: kind in it.channel.capabilities.answers)


def lacks(*kinds: DataKind) -> Need[ChannelUnderTest]:
    """Need a channel that does not answer everything."""
    return Need(
        "a kind of data that is not in `capabilities.answers`",
        lambda it: not set(kinds) <= it.channel.capabilities.answers,
    )


CANDLES = answers(DataKind.CANDLE)
HISTORY = Need[ChannelUnderTest]("`candle` in `capabilities.answers` with `history` FULL", lambda it: it.is_deep)
TIP_ONLY = Need[ChannelUnderTest](
    "`candle` in `capabilities.answers` with `history` TIP",
    lambda it: DataKind.CANDLE in it.channel.capabilities.answers and not it.is_deep,
)
TRADES = answers(DataKind.TRADE)
TICKERS = answers(DataKind.TICKER)
BOOKS = answers(DataKind.ORDERBOOK)
ANYTHING = Need[ChannelUnderTest](
    "a kind of data in `capabilities.answers`", lambda it: bool(it.channel.capabilities.answers)
)
KNOWS_LISTING = Need[ChannelUnderTest](
    "`candle` in `capabilities.answers` with `history` FULL and `answers_from_store` False",
    lambda it: it.is_deep and not it.channel.capabilities.answers_from_store,
)
SOMETHING_LIVE = Need[ChannelUnderTest](
    "a kind of data in `capabilities.follows`", lambda it: bool(it.channel.capabilities.follows)
)
CANARY = Need[ChannelUnderTest]("`capabilities.canary`", lambda it: bool(it.channel.capabilities.canary))
SECOND_SYMBOL = Need[ChannelUnderTest]("`second_symbol` of the subject", lambda it: bool(it.second_symbol))
NOW = Need[ChannelUnderTest]("`now` of the subject", lambda it: it.now is not None)
BREAKABLE = Need[ChannelUnderTest](
    "`break_source` and `mend_source` of the subject",
    lambda it: it.break_source is not None and it.mend_source is not None,
)
REOPEN = Need[StoreUnderTest]("`reopen` of the subject", lambda it: it.reopen is not None)
FULL_MEDIUM = Need[StoreUnderTest](
    "`break_medium` and `mend_medium` of the subject",
    lambda it: it.break_medium is not None and it.mend_medium is not None,
)


async def do(deed: Deed | None) -> None:
    """Do what the subject offers, plain or async."""
    done = deed() if deed is not None else None
    if isawaitable(done):
        await done


@asynccontextmanager
async def opened(subject: Found | AbstractAsyncContextManager[Found]) -> AsyncGenerator[Found]:
    """Yield a subject, whether it was handed over open or as a context manager that opens it."""
    if isinstance(subject, AbstractAsyncContextManager):
        async with cast("AbstractAsyncContextManager[Found]", subject) as found:
            yield found
    else:
        yield subject
