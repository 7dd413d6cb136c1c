"""An exchange in memory, as a newcomer would write one for a test: two markets, everything answered and followed."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from market_backbone import (
    BookLevel,
    Candle,
    CandleRequest,
    CandleSeries,
    Capabilities,
    ChannelUnavailableError,
    ClosedError,
    DataKind,
    HistoryDepth,
    OrderBook,
    Symbol,
    TakerSide,
    Ticker,
    Timeframe,
    TimeRange,
    Trade,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from market_backbone.domain.coverage import PageRead, page_coverage
from market_backbone.domain.finality import judge_rest_row
from market_backbone.domain.request import check_count, check_depth
from market_backbone.domain.streaming import LifeBegan, LifeEnded, Received
from market_backbone.domain.ticker import PriceChange
from market_backbone.infrastructure.conformance import ChannelUnderTest

NOW = datetime(2026, 11, 1, 12, 0, 30, tzinfo=UTC)
LISTED_AT = NOW.replace(second=0) - timedelta(minutes=400)
GRACE = timedelta(seconds=5)
MARKETS = ("KRW-BTC", "KRW-ETH")
FRAMES = frozenset({Timeframe.M1, Timeframe.M5})


class FakeExchange:
    """Time stands still at ``NOW``; nobody trades in every seventh slot."""

    venue = "fake"
    capabilities = Capabilities(
        answers=frozenset(DataKind),
        follows=frozenset(DataKind),
        timeframes=FRAMES,
        live_timeframes=FRAMES,
        history=HistoryDepth.FULL,
        candles_per_call=50,
        trades_per_call=20,
        canary="KRW-BTC",
    )

    def __init__(self, name):
        self.name = name
        self.is_closed = False
        self.is_well = asyncio.Event()
        self.is_well.set()
        self.is_broken = asyncio.Event()

    def under_test(self):
        return ChannelUnderTest(
            self,
            second_symbol="KRW-ETH",
            now=lambda: NOW,
            break_source=self.fail,
            mend_source=self.recover,
            listen_s=0.02,
            timeout_s=5,
        )

    def fail(self):
        self.is_well.clear()
        self.is_broken.set()

    def recover(self):
        self.is_broken.clear()
        self.is_well.set()

    async def reach(self, symbol):
        """Do what every call begins with: check the symbol, and wait for the answer."""
        if self.is_closed:
            raise ClosedError("the fake is closed")
        market = Symbol(symbol)
        await asyncio.sleep(0)
        if self.is_broken.is_set():
            raise ChannelUnavailableError("the fake was told to fail", channel=self.name)
        if market not in MARKETS:
            raise UnknownSymbolError(f"{market} is not listed; listed are {', '.join(MARKETS)}")
        return market

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        asked = CandleRequest(symbol=symbol, timeframe=timeframe, count=count, start=start, end=end)
        if asked.timeframe not in FRAMES or (asked.start is not None and asked.end is None):
            raise UnsupportedRequestError("the fake has 1m and 5m, and pages backwards only")
        if count is not None:
            check_count(count, self.capabilities.candles_per_call, "candles")
        market = await self.reach(symbol)
        most = min(asked.count or 50, 50)
        page = [row for row in self.rows(market, asked.timeframe) if asked.end is None or row.opened_at < asked.end]
        page = page[-most:]
        read = PageRead(to=asked.end, count=most, read_at=NOW, grace=GRACE)
        coverage = page_coverage([row.opened_at for row in page], asked.timeframe, read)
        if asked.start is not None:
            begin = min(max(asked.start, coverage.asked.start), coverage.asked.end)
            coverage = coverage.within(TimeRange(begin, coverage.asked.end))
            page = [row for row in page if row.opened_at >= asked.start]
        return CandleSeries.of(self.venue, market, asked.timeframe, page, coverage)

    def rows(self, market, frame):
        slots = frame.slots(TimeRange(LISTED_AT, NOW))
        return [self.candle(market, frame, at, number) for number, at in enumerate(slots) if number % 7 != 3]

    def candle(self, market, frame, opened_at, number):
        price = Decimal(100 + number % 13)
        finality, sealed_by = judge_rest_row(frame.next(opened_at), NOW, GRACE)
        return Candle(
            venue=self.venue,
            symbol=market,
            timeframe=frame,
            opened_at=opened_at,
            open=price,
            high=price + 1,
            low=price - 1,
            close=price,
            volume=Decimal("0.5"),
            source=self.name,
            finality=finality,
            sealed_by=sealed_by,
        )

    async def get_trades(self, symbol, count=20):
        check_count(count, self.capabilities.trades_per_call, "trades")
        market = await self.reach(symbol)
        return [self.trade(market, number) for number in range(-count, 0)]

    def trade(self, market, number):
        return Trade(
            venue=self.venue,
            symbol=market,
            sequential_id=10**15 + number,
            price=Decimal(100),
            volume=Decimal("0.1"),
            taker_side=TakerSide.BUY,
            traded_at=NOW + timedelta(milliseconds=number),
            source=self.name,
        )

    async def get_ticker(self, symbol):
        return (await self.get_tickers([symbol]))[0]

    async def get_tickers(self, symbols):
        return [self.ticker(await self.reach(symbol)) for symbol in symbols]

    def ticker(self, market):
        names = ("price", "open", "high", "low", "previous_close", "signed_change", "signed_change_rate")
        names += ("last_volume", "volume", "quote_volume", "volume_24h", "quote_volume_24h")
        figures = dict.fromkeys((*names, "highest_52_week", "lowest_52_week"), Decimal(100))
        times = {"traded_at": NOW, "updated_at": NOW}
        return Ticker(venue=self.venue, symbol=market, change=PriceChange.EVEN, source=self.name, **figures, **times)

    async def get_orderbook(self, symbol, depth=15):
        check_depth(depth)
        return self.book(await self.reach(symbol), depth)

    def book(self, market, depth):
        bids = tuple(BookLevel(Decimal(100 - number), Decimal(1)) for number in range(1, depth + 1))
        asks = tuple(BookLevel(Decimal(100 + number), Decimal(1)) for number in range(1, depth + 1))
        return OrderBook(venue=self.venue, symbol=market, bids=bids, asks=asks, updated_at=NOW, source=self.name)

    @asynccontextmanager
    async def open_stream(self, topics, *, canary=None):
        if not topics or any(topic.timeframe not in {None, *FRAMES} for topic in topics):
            raise UnsupportedRequestError("the fake streams 1m and 5m; name at least one topic")
        yield FakeStream(self, [*topics, *([canary] if canary else [])])

    def value(self, topic):
        match topic.kind:
            case DataKind.CANDLE:
                return self.rows(topic.symbol, topic.timeframe)[-1]
            case DataKind.TICKER:
                return self.ticker(topic.symbol)
            case DataKind.TRADE:
                return self.trade(topic.symbol, 0)
            case DataKind.ORDERBOOK:
                return self.book(topic.symbol, 1)

    async def close(self):
        self.is_closed = True


class FakeStream:
    """One value of each topic in every life, and then silence until the source fails."""

    def __init__(self, exchange, topics):
        self.exchange = exchange
        self.topics = topics
        self.items = self.lives()

    def __aiter__(self):
        return self.items

    def abandon(self, cause):
        self.exchange.fail()

    async def lives(self):
        life = 0
        while True:
            await self.exchange.is_well.wait()
            life += 1
            yield LifeBegan(life)
            for topic in self.topics:
                value = self.exchange.value(topic)
                yield Received(topic=topic, value=value, life=life, is_snapshot=True, received_at=0.0)
            await self.exchange.is_broken.wait()
            yield LifeEnded(life, "the fake was told to fail")
