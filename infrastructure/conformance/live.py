"""Promises about live streams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import cast

from ...domain.candle import Candle
from ...domain.capabilities import DataKind
from ...domain.errors import RequestError
from ...domain.orderbook import OrderBook
from ...domain.ports import LiveChannel, LiveStream, ReadyStream
from ...domain.request import Topic
from ...domain.streaming import LifeBegan, LifeEnded, Received, StreamItem
from ...domain.symbol import Symbol
from ...domain.ticker import Ticker
from ...domain.trade import Trade
from .promises import promise, refused, require, require_equal, require_is_a
from .targets import BREAKABLE, CANARY, SOMETHING_LIVE, ChannelUnderTest, do
from .task_watch import TaskWatch

_MAX_ITEMS = 200
_TYPES = {DataKind.CANDLE: Candle, DataKind.TICKER: Ticker, DataKind.TRADE: Trade, DataKind.ORDERBOOK: OrderBook}


def opened(under_test: ChannelUnderTest, *, canary: Topic | None = None) -> AbstractAsyncContextManager[LiveStream]:
    """Follow one topic of each kind that is declared."""
    channel = cast("LiveChannel", under_test.channel)
    return channel.open_stream(under_test.topics, canary=canary)


async def as_read(stream: LiveStream) -> AsyncIterator[StreamItem]:
    """Iterate as the backbone does, which takes what a ``ReadyStream`` has read already without waiting for it."""
    async for item in stream:
        yield item
        if isinstance(stream, ReadyStream):
            for more in stream.ready():
                yield more


async def heard(under_test: ChannelUnderTest, *, canary: Topic | None = None) -> list[StreamItem]:
    """Return the items up to the first value, and of a short while after it."""
    async with opened(under_test, canary=canary) as stream:
        source = as_read(stream)
        items = await take_until(source, lambda item: isinstance(item, Received))
        try:
            async with asyncio.timeout(under_test.listen_s):
                while len(items) < _MAX_ITEMS:
                    items.append(await anext(source))
        except TimeoutError:
            pass
        return items


async def take_until(source: AsyncIterator[StreamItem], is_last: Callable[[StreamItem], bool]) -> list[StreamItem]:
    """Return the items up to the first of which ``is_last`` is true."""
    items: list[StreamItem] = []
    while not items or not is_last(items[-1]):
        items.append(await anext(source))
    return items


def require_whole_lives(items: list[StreamItem]) -> None:
    """Fail unless every value lies inside a life, and a life ends before the next begins."""
    life: int | None = None
    newest = 0
    for item in items:
        match item:
            case LifeBegan():
                require(life is None, f"life {item.life} began, and life {life} has not ended")
                require(item.life > newest, f"life {item.life} began after life {newest}")
                life = newest = item.life
            case LifeEnded():
                life = None
            case Received():
                require(life is not None, f"a value came outside of a life: {item!r}")
                require_equal(item.life, life, "the life that a value names")
            case _:
                pass


class LivePromises:
    """What a follower may rely on."""

    @promise(SOMETHING_LIVE)
    async def test_l01_life_first(self, under_test: ChannelUnderTest) -> None:
        """L-01: A stream tells LifeBegan before the first value, and every value names its life.

        Do: follow one topic of each kind that is declared.
        Pass: `LifeBegan` comes before the first `Received`, whose `life` is the same number.
        """
        require_whole_lives(await heard(under_test))

    @promise(SOMETHING_LIVE)
    async def test_l02_only_what_was_asked(self, under_test: ChannelUnderTest) -> None:
        """L-02: A stream brings only topics that were asked for.

        Do: follow as for L-01, and listen for `listen_s`.
        Pass: every topic that comes is one of those.
        """
        topics = {item.topic for item in await heard(under_test) if isinstance(item, Received)}
        require(topics <= set(under_test.topics), f"nobody asked for {topics - set(under_test.topics)}")

    @promise(SOMETHING_LIVE)
    async def test_l03_values_of_their_topic(self, under_test: ChannelUnderTest) -> None:
        """L-03: A value is of the kind, the symbol and the timeframe that its topic names, and of the channel's venue.

        Do: follow as for L-01.
        Pass: so is each.
        """
        for item in await heard(under_test):
            if not isinstance(item, Received):
                continue
            value, topic = item.value, item.topic
            require_is_a(value, _TYPES[topic.kind], f"{topic} brought {value!r}")
            require_equal(
                (value.symbol, value.venue), (topic.symbol, under_test.channel.venue), f"what {topic} brought"
            )
            frame = value.timeframe if isinstance(value, Candle) else None
            require_equal(frame, topic.timeframe, f"the timeframe of what {topic} brought")

    @promise(SOMETHING_LIVE)
    async def test_l04_leaving(self, under_test: ChannelUnderTest) -> None:
        """L-04: Leaving the context of a stream leaves nothing running.

        Do: open a stream and leave at once, after the first item, and while waiting for the next.
        Pass: one second later no task is left that the stream started.
        """
        for most in (0, 1, _MAX_ITEMS):
            with TaskWatch() as watch:
                await _left_after(under_test, most)
                left = await watch.left()
            require(not left, f"a stream that was left after {most} items left {', '.join(left)}")

    @promise(SOMETHING_LIVE)
    async def test_l05_again(self, under_test: ChannelUnderTest) -> None:
        """L-05: After a stream was left, another can be opened.

        Do: follow as for L-01, leave, and follow again.
        Pass: values come both times.
        """
        for _ in range(2):
            require(any(isinstance(item, Received) for item in await heard(under_test)), "no value came")

    @promise(SOMETHING_LIVE, CANARY)
    async def test_l06_canary(self, under_test: ChannelUnderTest) -> None:
        """L-06: A canary is carried beside what was asked for.

        Do: follow as for L-01 with the book of `capabilities.canary` as canary.
        Pass: its values come, and besides them only what was asked for.
        """
        canary = Topic(DataKind.ORDERBOOK, Symbol(under_test.channel.capabilities.canary))
        async with opened(under_test, canary=canary) as stream:
            found = await take_until(as_read(stream), lambda item: isinstance(item, Received) and item.topic == canary)
        topics = {item.topic for item in found if isinstance(item, Received)}
        require(topics <= {*under_test.topics, canary}, f"nobody asked for {topics - {*under_test.topics, canary}}")

    @promise(SOMETHING_LIVE, BREAKABLE)
    async def test_l07_lives(self, under_test: ChannelUnderTest) -> None:
        """L-07: A lost source is an item of the stream: LifeEnded comes before the next LifeBegan, and nothing between.

        Do: follow as for L-01, break the source, wait for `LifeEnded`, mend it, and wait for a value.
        Pass: the stream goes on by itself with a life of a higher number; no value comes between the two.
        """
        async with opened(under_test) as stream:
            source = as_read(stream)
            items = await take_until(source, lambda item: isinstance(item, Received))
            await do(under_test.break_source)
            try:
                items += await take_until(source, lambda item: isinstance(item, LifeEnded))
            finally:
                await do(under_test.mend_source)
            items += await take_until(source, lambda item: isinstance(item, LifeBegan))
            items += await take_until(source, lambda item: isinstance(item, Received))
        require_whole_lives(items)

    @promise(SOMETHING_LIVE)
    async def test_l08_nothing_to_follow(self, under_test: ChannelUnderTest) -> None:
        """L-08: A stream of nothing, or of what is not declared, is refused with a RequestError.

        Do: open a stream of no topic, and of each timeframe of candles that is not declared.
        Pass: each is refused when it is opened.
        """
        channel, able = cast("LiveChannel", under_test.channel), under_test.channel.capabilities
        every = [Topic(DataKind.CANDLE, Symbol(under_test.symbol), frame) for frame in type(under_test.frame)]
        undeclared = [topic for topic in every if topic.timeframe and topic.timeframe not in able.live_timeframes]
        for topics in ([], *([topic] for topic in undeclared)):
            with refused(f"a stream of {', '.join(map(str, topics)) or 'nothing'}", RequestError):
                async with channel.open_stream(topics):
                    pass


async def _left_after(under_test: ChannelUnderTest, most: int) -> None:
    async with opened(under_test) as stream:
        source = as_read(stream)
        try:
            async with asyncio.timeout(under_test.listen_s):
                for _ in range(most):
                    await anext(source)
        except TimeoutError:
            return
