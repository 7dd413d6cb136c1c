"""Exchanges that tell one lie about quotes each, refuse wrongly, or behave badly."""

import asyncio
from contextlib import asynccontextmanager

from attrs import evolve
from fake_exchange import FakeExchange, FakeStream
from lying_candles import tampered

from market_backbone import ChannelUnavailableError, DataKind, Symbol, Timeframe
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import LifeBegan, LifeEnded, Received


class WithoutStream(FakeExchange):
    breaks = "R-01"
    open_stream = None


class NotAwaitable(FakeExchange):
    breaks = "R-01"

    def close(self):
        return asyncio.sleep(0)


class TradesUnsorted(FakeExchange):
    breaks = "R-29"

    async def get_trades(self, symbol, count=20):
        return (await super().get_trades(symbol, count))[::-1]


class TradesTwice(FakeExchange):
    breaks = "R-29"

    async def get_trades(self, symbol, count=20):
        trades = await super().get_trades(symbol, count)
        return [*trades[:-1], trades[0]] if count > 1 else trades


class FloatTrades(FakeExchange):
    breaks = "R-30"

    def trade(self, market, number):
        return tampered(super().trade(market, number), price=100.5)


class SidesAsText(FakeExchange):
    breaks = "R-30"

    def trade(self, market, number):
        return tampered(super().trade(market, number), taker_side="bid")


class FloatTickers(FakeExchange):
    breaks = "R-31"

    def ticker(self, market):
        return tampered(super().ticker(market), high=100.5)


class TickersInTheirOwnOrder(FakeExchange):
    breaks = "R-32"

    async def get_tickers(self, symbols):
        return await super().get_tickers(sorted(symbols))


class WorstFirst(FakeExchange):
    breaks = "R-33"

    def book(self, market, depth):
        book = super().book(market, depth)
        return tampered(book, bids=book.bids[::-1])


class CrossedBook(FakeExchange):
    breaks = "R-34"

    def book(self, market, depth):
        book = super().book(market, depth)
        return tampered(book, bids=tuple(evolve(level, price=level.price + 5) for level in book.bids))


class DeepBook(FakeExchange):
    breaks = "R-35"

    def book(self, market, depth):
        return super().book(market, 30)


class InventsWhatIsNotListed(FakeExchange):
    breaks = "R-36"

    async def reach(self, symbol):
        return Symbol(symbol)


class CrashesAtStrangers(FakeExchange):
    breaks = "R-36"

    async def reach(self, symbol):
        return {"KRW-BTC": Symbol("KRW-BTC")}[symbol]


class BlamesItself(FakeExchange):
    breaks = "R-37"

    async def reach(self, symbol):
        if symbol == "KRW-UNLISTED":
            raise ChannelUnavailableError("something went wrong", channel=self.name)
        return await super().reach(symbol)


class GuessesSymbols(FakeExchange):
    breaks = "R-38"

    async def get_trades(self, symbol, count=20):
        return await super().get_trades("KRW-BTC", count)


class RoundsTimeframes(FakeExchange):
    breaks = "R-39"

    async def get_candles(self, symbol, timeframe="1m", *arguments, **bounds):
        frame = timeframe if timeframe in {"1m", "5m"} else "1m"
        return await super().get_candles(symbol, frame, *arguments, **bounds)


class NothingInsteadOfRefusing(FakeExchange):
    breaks = "R-40"
    capabilities = evolve(
        FakeExchange.capabilities,
        answers=frozenset({DataKind.CANDLE, DataKind.TRADE, DataKind.TICKER}),
    )

    async def get_orderbook(self, symbol, depth=15):
        return None


class LeaksATask(FakeExchange):
    breaks = "R-41"

    async def reach(self, symbol):
        self.kept = asyncio.get_running_loop().create_task(asyncio.sleep(60))
        return await super().reach(symbol)


class DeafAfterCancelling(FakeExchange):
    breaks = "R-42"
    is_busy = False

    async def reach(self, symbol):
        if self.is_busy:
            await asyncio.sleep(60)
        self.is_busy = True
        found = await super().reach(symbol)
        self.is_busy = False
        return found


class MixesCallersUp(FakeExchange):
    breaks = "R-43"

    async def get_candles(self, symbol, timeframe="1m", count=None, *, start=None, end=None):
        self.bounds = {"start": start, "end": end}
        await asyncio.sleep(0)
        return await super().get_candles(symbol, timeframe, count, **self.bounds)


class AnswersOnlyAFew(FakeExchange):
    breaks = "R-44"
    callers = 0

    async def reach(self, symbol):
        self.callers += 1
        try:
            if self.callers > 4:
                raise IndexError("no connection is free")
            return await super().reach(symbol)
        finally:
            self.callers -= 1


class ForeignException(FakeExchange):
    breaks = "R-45"

    async def reach(self, symbol):
        if self.is_broken.is_set():
            raise KeyError("result")
        return await super().reach(symbol)


class NamesAnother(FakeExchange):
    breaks = "R-45"

    async def reach(self, symbol):
        if self.is_broken.is_set():
            raise ChannelUnavailableError("the fake was told to fail", channel="rest")
        return await super().reach(symbol)


class NeverRecovers(FakeExchange):
    breaks = "R-46"

    def recover(self):
        pass


class ClosesOnce(FakeExchange):
    breaks = "R-47"

    async def close(self):
        if self.is_closed:
            raise RuntimeError("Session is closed")
        await super().close()


class AnswersWhenClosed(FakeExchange):
    breaks = "R-48"

    async def close(self):
        pass


class RunsOnWhenClosed(FakeExchange):
    breaks = "R-49"
    kept = None

    async def reach(self, symbol):
        self.kept = self.kept or asyncio.get_running_loop().create_task(asyncio.sleep(60))
        return await super().reach(symbol)


class LiesInStreams(FakeExchange):
    Stream = FakeStream

    @asynccontextmanager
    async def open_stream(self, topics, *, canary=None):
        async with super().open_stream(topics, canary=canary) as honest:
            yield self.Stream(self, honest.topics)


class ValueBeforeLife(LiesInStreams):
    breaks = "L-01"

    class Stream(FakeStream):
        async def lives(self):
            items = super().lives()
            began = await anext(items)
            yield await anext(items)
            yield began
            async for item in items:
                yield item


class UnaskedTopic(FakeExchange):
    breaks = "L-02"

    @asynccontextmanager
    async def open_stream(self, topics, *, canary=None):
        stranger = Topic(DataKind.TRADE, Symbol("KRW-ETH"))
        async with super().open_stream(topics, canary=stranger) as stream:
            yield stream


class WrongTopic(FakeExchange):
    breaks = "L-03"

    def value(self, topic):
        return super().value(Topic(topic.kind, Symbol("KRW-ETH"), topic.timeframe))


class WrongTimeframe(FakeExchange):
    breaks = "L-03"

    def value(self, topic):
        frame = topic.timeframe and Timeframe.M5
        return super().value(Topic(topic.kind, topic.symbol, frame))


class LeavesATask(FakeExchange):
    breaks = "L-04"

    @asynccontextmanager
    async def open_stream(self, topics, *, canary=None):
        self.pump = asyncio.get_running_loop().create_task(asyncio.sleep(60))
        async with super().open_stream(topics, canary=canary) as stream:
            yield stream


class FollowsOnce(FakeExchange):
    breaks = "L-05"
    is_used = False

    @asynccontextmanager
    async def open_stream(self, topics, *, canary=None):
        if self.is_used:
            raise RuntimeError("the stream is closed")
        self.is_used = True
        async with super().open_stream(topics, canary=canary) as stream:
            yield stream


class ForgetsTheCanary(FakeExchange):
    breaks = "L-06"

    @asynccontextmanager
    async def open_stream(self, topics, *, canary=None):
        async with super().open_stream([topics[0]]) as stream:
            yield stream


class NeverSaysThatItEnded(LiesInStreams):
    breaks = "L-07"

    class Stream(FakeStream):
        async def lives(self):
            async for item in super().lives():
                if not isinstance(item, LifeEnded):
                    yield item


class ValueBetweenLives(LiesInStreams):
    breaks = "L-07"

    class Stream(FakeStream):
        async def lives(self):
            last = None
            async for item in super().lives():
                yield item
                if isinstance(item, LifeEnded):
                    yield last
                last = item if isinstance(item, Received) else last


class CountsLivesAnew(LiesInStreams):
    breaks = "L-07"

    class Stream(FakeStream):
        async def lives(self):
            async for item in super().lives():
                yield LifeBegan(1) if isinstance(item, LifeBegan) else tampered(item, life=1)


class ReadyOfAnotherLife(LiesInStreams):
    breaks = "L-01"

    class Stream(FakeStream):
        last = None

        async def lives(self):
            async for item in super().lives():
                self.last = item if isinstance(item, Received) else self.last
                yield item

        def ready(self):
            return [] if self.last is None else [tampered(self.last, life=99)]


class FollowsNothing(FakeExchange):
    breaks = "L-08"

    @asynccontextmanager
    async def open_stream(self, topics, *, canary=None):
        yield FakeStream(self, topics)


LIES = [
    lie
    for lie in list(globals().values())
    if isinstance(lie, type) and issubclass(lie, FakeExchange) and hasattr(lie, "breaks")
]
