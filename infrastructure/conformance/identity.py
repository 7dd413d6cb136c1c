"""Promises about what a channel is."""

import inspect

from ...domain.capabilities import DataKind, HistoryDepth
from ...domain.ports import Channel
from .promises import promise, require, require_equal, require_is_a
from .targets import CANDLES, ChannelUnderTest

_COROUTINES = ("get_candles", "get_ticker", "get_tickers", "get_orderbook", "get_trades", "close")


class IdentityPromises:
    """A channel can be told from others, and says what it can do."""

    @promise()
    async def test_r01_protocol(self, under_test: ChannelUnderTest) -> None:
        """R-01: A channel has every member of the port, and open_stream if it declares to follow anything.

        Do: look at the object; ask it for nothing.
        Pass: it is a `Channel`, its methods are coroutine functions, and what it declares to follow can be opened.
        """
        channel = under_test.channel
        require_is_a(channel, Channel, f"{channel!r} lacks members of the port `Channel`")
        plain = [name for name in _COROUTINES if not inspect.iscoroutinefunction(getattr(channel, name))]
        require(not plain, f"{', '.join(plain)} cannot be awaited; write `async def`")
        has_stream = callable(getattr(channel, "open_stream", None))
        require(has_stream or not channel.capabilities.follows, "it declares to follow, and has no open_stream")

    @promise()
    async def test_r02_coherent_capabilities(self, under_test: ChannelUnderTest) -> None:
        """R-02: What is declared fits together.

        Do: read the capabilities.
        Pass: candles come with timeframes, a depth and a page size of at least 1; trades with at least 1 a call;
            live candles with live timeframes; nothing else has any of these.
        """
        able = under_test.channel.capabilities
        has_candles = DataKind.CANDLE in able.answers
        require_equal(bool(able.timeframes), has_candles, "timeframes are declared")
        require_equal(able.history is not HistoryDepth.NONE, has_candles, "a depth of history is declared")
        require_equal(able.candles_per_call >= 1, has_candles, "a page of candles is declared")
        require_equal(able.trades_per_call >= 1, DataKind.TRADE in able.answers, "trades a call are declared")
        require_equal(bool(able.live_timeframes), DataKind.CANDLE in able.follows, "live timeframes are declared")

    @promise(CANDLES)
    async def test_r03_constant(self, under_test: ChannelUnderTest) -> None:
        """R-03: The name and the capabilities never change, and what comes belongs to the venue that is named.

        Do: read them, ask for candles, and read them again.
        Pass: name and capabilities are equal before and after and the name is not empty; the candles' venue is the
            channel's, and their source is not empty.
        """
        channel = under_test.channel
        before = (channel.name, channel.capabilities)
        series = await under_test.newest()
        require(channel.name, "its name is empty")
        require_equal((channel.name, channel.capabilities), before, "name and capabilities after a call")
        require_equal({series.venue, *(row.venue for row in series)}, {channel.venue}, "the venue of what came")
        require(all(row.source for row in series), "a candle does not say where it comes from")
