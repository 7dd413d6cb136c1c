"""Doubles of the ports, written by hand, and makers of values: the fixture ``kit``."""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from market_backbone.domain.candle import Candle
from market_backbone.domain.capabilities import Capabilities, DataKind, HistoryDepth
from market_backbone.domain.coverage import PageRead, page_coverage
from market_backbone.domain.errors import ChannelUnavailableError, UnknownSymbolError
from market_backbone.domain.finality import Finality, SealedBy, judge_rest_row
from market_backbone.domain.market import Market
from market_backbone.domain.orderbook import BookLevel, OrderBook
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.streaming import LifeBegan, LifeEnded, Received
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.ticker import PriceChange, Ticker
from market_backbone.domain.timeframe import Timeframe
from market_backbone.domain.trade import TakerSide, Trade

START = datetime(2026, 11, 1, tzinfo=UTC)
BTC = Symbol("KRW-BTC")
GRACE = timedelta(seconds=5)


def candle(
    minute,
    *,
    volume="1",
    close="100",
    finality=Finality.FORMING,
    source="websocket",
    symbol=BTC,
    second=0,
    venue="test",
):
    """Make the one-minute candle that opens ``minute`` minutes after START."""
    price = Decimal(close)
    return Candle(
        venue=venue,
        symbol=Symbol(symbol),
        timeframe=Timeframe.M1,
        opened_at=START + timedelta(minutes=minute),
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Decimal(volume),
        quote_volume=price * Decimal(volume),
        updated_at=START + timedelta(minutes=minute, seconds=second),
        source=source,
        finality=finality,
        sealed_by=SealedBy.REST if finality is Finality.FINAL else None,
    )


def trade(number, *, milliseconds=None, source="websocket", symbol=BTC):
    """Make a trade whose id is ``number``, executed ``milliseconds`` (default: the number) after START."""
    after = number if milliseconds is None else milliseconds
    return Trade(
        venue="test",
        symbol=Symbol(symbol),
        sequential_id=number,
        price=Decimal(100),
        volume=Decimal(1),
        taker_side=TakerSide.BUY,
        traded_at=START + timedelta(milliseconds=after),
        source=source,
    )


def ticker(symbol=BTC, *, price="100", second=0, source="rest"):
    """Make a ticker that changed ``second`` seconds after START."""
    number, at = Decimal(price), START + timedelta(seconds=second)
    return Ticker(
        venue="test", symbol=Symbol(symbol), price=number, open=number, high=number, low=number, previous_close=number,
        change=PriceChange.EVEN, signed_change=Decimal(0), signed_change_rate=Decimal(0), last_volume=Decimal(1),
        volume=Decimal(1), quote_volume=number, volume_24h=Decimal(1), quote_volume_24h=number, highest_52_week=number,
        lowest_52_week=number, traded_at=at, updated_at=at, source=source,
    )  # fmt: skip


def book(symbol=BTC, *, second=0, source="rest"):
    """Make a book of one level that changed ``second`` seconds after START."""
    return OrderBook(
        venue="test",
        symbol=Symbol(symbol),
        bids=(BookLevel(Decimal(99), Decimal(1)),),
        asks=(BookLevel(Decimal(101), Decimal(1)),),
        updated_at=START + timedelta(seconds=second),
        source=source,
    )


class JumpingClock:
    """A clock of which time passes only when somebody sleeps; nothing waits in real time."""

    def __init__(self):
        self.now = 1000.0
        self.speed = 1.0

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.now += max(0.0, seconds)
        await asyncio.sleep(0)

    def to_real_s(self, seconds):
        return seconds

    def follow_speed(self, speed):
        self.speed = speed


class FakeServerTime:
    """The server's clock: START plus what the clock says, or nothing while ``is_known`` is False."""

    def __init__(self, clock, *, is_known=True):
        self.clock = clock
        self.is_known = is_known

    def earliest(self, at=None):
        seconds = (self.clock.monotonic() if at is None else at) - 1000.0
        return START + timedelta(seconds=seconds) if self.is_known else None

    latest = earliest

    def observe_reply(self, date_s, *, sent, received):
        self.is_known = True

    def observe_stamp(self, stamp_s, *, received):
        self.is_known = True


class SpyLogger:
    """Keeps log events."""

    def __init__(self):
        self.events = []

    def info(self, event, **details):
        self.events.append((event, details))

    def warning(self, event, **details):
        self.events.append((event, details))


class FakeChannel:
    """REST as a list: candles of given minutes, pages like Upbit's, failures on order."""

    def __init__(self, name="rest", *, minutes=(), clock=None, page=200, failures=(), capabilities=None, venue="test"):
        self.name = name
        self.venue = venue
        self.minutes = sorted(minutes)
        self.clock = clock or JumpingClock()
        self.failures = deque(failures)
        self.calls = []
        self.trades = []
        self.is_closed = False
        self.listed = {"KRW-BTC", "KRW-ETH"}
        self.quotes = {}
        self.capabilities = capabilities or Capabilities(
            answers=frozenset(DataKind),
            timeframes=frozenset({Timeframe.S1, Timeframe.M1}),
            history=HistoryDepth.FULL,
            candles_per_call=page,
            trades_per_call=3,
        )

    def _fail(self):
        if self.failures:
            failure = self.failures.popleft()
            if failure is not None:
                raise failure

    @property
    def server_now(self):
        return START + timedelta(seconds=self.clock.monotonic() - 1000.0)

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        self.calls.append((count, end))
        self._fail()
        count = count or self.capabilities.candles_per_call
        known = [m for m in self.minutes if START + timedelta(minutes=m) <= self.server_now]
        known = [m for m in known if end is None or START + timedelta(minutes=m) < end][-count:]
        rows = []
        for minute in known:
            row = candle(minute, source=self.name, symbol=symbol, venue=self.venue)
            finality, _ = judge_rest_row(row.closed_at, self.server_now, GRACE)
            rows.append(candle(minute, source=self.name, symbol=symbol, finality=finality, venue=self.venue))
        read = PageRead(to=end, count=count, read_at=self.server_now, grace=GRACE)
        coverage = page_coverage([row.opened_at for row in rows], Timeframe(timeframe), read)
        return CandleSeries.of(self.venue, Symbol(symbol), Timeframe(timeframe), rows, coverage)

    async def get_tickers(self, symbols):
        self.calls.append(tuple(symbols))
        self._fail()
        return [self.quotes.get(symbol, ticker(symbol, source=self.name)) for symbol in symbols]

    async def get_ticker(self, symbol):
        return (await self.get_tickers([symbol]))[0]

    async def get_orderbook(self, symbol, depth=15):
        self.calls.append((symbol, depth))
        self._fail()
        return self.quotes.get(symbol, book(symbol, source=self.name))

    async def get_trades(self, symbol, count=100):
        self._fail()
        return self.trades[-count:]

    async def get_trade_page(self, symbol, count, *, before_id=None, days_ago=None):
        self.calls.append((count, before_id, days_ago))
        self._fail()
        rows = [] if days_ago else [t for t in self.trades if before_id is None or t.sequential_id < before_id]
        return sorted(rows, key=lambda t: t.sequential_id)[-count:]

    async def get_markets(self):
        self._fail()
        return [Market(symbol=Symbol(symbol), english_name=symbol) for symbol in sorted(self.listed)]

    async def check_symbol(self, symbol):
        self._fail()
        if symbol not in self.listed:
            msg = f"unknown symbol {symbol!r}"
            raise UnknownSymbolError(msg)

    async def close(self):
        self.is_closed = True


class FakeStream:
    """A stream whose items the test puts in."""

    def __init__(self):
        self.items = asyncio.Queue()
        self.abandoned = []
        self.life = 0
        self.topics = set()
        self.is_closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        item = await self.items.get()
        if isinstance(item, Exception):
            raise item
        return item

    def abandon(self, cause):
        self.abandoned.append(cause)

    def begin(self):
        self.life += 1
        self.items.put_nowait(LifeBegan(self.life))

    def end(self, cause="closed with 1000"):
        self.items.put_nowait(LifeEnded(self.life, cause))

    def give(self, topic, value, clock, *, is_snapshot=False):
        item = Received(
            topic=topic, value=value, life=self.life, is_snapshot=is_snapshot, received_at=clock.monotonic()
        )
        self.items.put_nowait(item)


class FakeLiveChannel(FakeChannel):
    """A channel that can be followed."""

    def __init__(self, name="websocket", *, canary="", **rest):
        follows = Capabilities(
            answers=frozenset(DataKind),
            follows=frozenset(DataKind),
            timeframes=frozenset({Timeframe.M1}),
            live_timeframes=frozenset({Timeframe.M1}),
            history=HistoryDepth.TIP,
            candles_per_call=1,
            trades_per_call=1,
            calls_are_free=True,
            canary=canary,
        )
        super().__init__(name, capabilities=follows, **rest)
        self.streams = []
        self.topics = []

    @asynccontextmanager
    async def open_stream(self, topics: Collection, *, canary=None):
        stream = FakeStream()
        self.streams.append(stream)
        stream.topics = {*topics, *([canary] if canary else [])}
        self.topics.append(stream.topics)
        try:
            yield stream
        finally:
            stream.is_closed = True


def broken(channel="rest", *, retryable=False, retry_after=None):
    """Make the error of a channel that fails."""
    return ChannelUnavailableError("broken on purpose", channel=channel, retryable=retryable, retry_after=retry_after)


class Kit:
    """Everything above in one place, for tests to reach as a fixture."""

    START, BTC, GRACE = START, BTC, GRACE
    candle = staticmethod(candle)
    trade = staticmethod(trade)
    ticker = staticmethod(ticker)
    book = staticmethod(book)
    broken = staticmethod(broken)
    Clock, ServerTime, Logger = JumpingClock, FakeServerTime, SpyLogger
    Channel, LiveChannel = FakeChannel, FakeLiveChannel

    @staticmethod
    async def turns(number=20):
        """Let other tasks run."""
        for _ in range(number):
            await asyncio.sleep(0)

    @staticmethod
    def minutes(series: Sequence[Candle]):
        """Return the minutes after START at which candles open."""
        return [round((row.opened_at - START).total_seconds() / 60) for row in series]
