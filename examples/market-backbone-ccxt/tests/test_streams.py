"""Streams through ccxt.pro: lives that are told, and a follower that loses nothing which REST can give back."""

import asyncio

import pytest
from conftest import BTC
from test_candles import _opened

from market_backbone import (
    CandleUpdated,
    DataKind,
    Degraded,
    HistoryLoaded,
    OrderBookUpdated,
    Timeframe,
    TradeReceived,
    UnknownSymbolError,
    create_realtime_request,
)
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import LifeBegan, LifeEnded, Received
from market_backbone.infrastructure.sandbox import Fault

TRADES = Topic(DataKind.TRADE, BTC)


async def until(stream, is_last):
    items = []
    async with asyncio.timeout(20):
        while not items or not is_last(items[-1]):
            items.append(await anext(stream))
    return items


def is_value(item):
    return isinstance(item, Received)


async def test_a_life_that_is_given_up_ends_and_another_begins(make_live):
    async with make_live().open_stream([TRADES]) as stream:
        first = await until(stream, is_value)
        stream.abandon("it was seen to be dead")
        ended = (await until(stream, lambda item: isinstance(item, LifeEnded)))[-1]
        again = await until(stream, is_value)
    assert isinstance(first[0], LifeBegan)
    assert (ended.life, "it was seen to be dead" in ended.cause) == (1, True)
    assert [item.life for item in again] == [2, 2]
    assert again[-1].is_snapshot


async def test_a_connection_that_ccxt_replaces_on_the_quiet_ends_the_life(make_live, monkeypatch):
    channel = make_live()
    made = []
    make = channel._exchange.make
    channel._exchange.make = lambda: made.append(make()) or made[-1]
    async with channel.open_stream([TRADES]) as stream:
        await until(stream, is_value)
        made[-1].clients = {"wss://elsewhere": object.__new__(_Deaf)}
        ended = (await until(stream, lambda item: isinstance(item, LifeEnded)))[-1]
    assert "another connection" in ended.cause


class _Deaf:
    async def close(self):
        pass


async def test_what_cannot_be_followed_ends_the_stream_with_an_error(make_live):
    async with make_live().open_stream([Topic(DataKind.TRADE, "upbit:NO/KRW")]) as stream:
        with pytest.raises(UnknownSymbolError):
            await anext(stream)


async def test_trades_of_a_second_venue_are_followed_and_each_comes_once(sandbox):
    async with _opened(sandbox) as api:
        request = create_realtime_request(BTC, kind="trade")
        assert api.explain(request).channels == ("ccxt-pro", "ccxt")
        async with api.follow(request) as events:
            taken = await until(events, lambda event: isinstance(event, TradeReceived))
            sandbox.inject(Fault("drop-sockets"))
            for _ in range(10):
                taken += await until(events, lambda event: isinstance(event, TradeReceived))
        ids = [event.trade.sequential_id for event in taken if isinstance(event, TradeReceived)]
        assert len(ids) == len(set(ids))
        assert taken[-1].trade.venue == api.venue_of("upbit")


async def test_a_book_is_followed(sandbox):
    async with _opened(sandbox) as api, api.follow(create_realtime_request(BTC, kind="orderbook")) as events:
        (*_, event) = await until(events, lambda event: isinstance(event, OrderBookUpdated))
        assert (event.orderbook.symbol, event.orderbook.source) == (BTC, "ccxt-pro")


async def test_candles_without_a_stream_are_polled_with_their_history(sandbox):
    async with _opened(sandbox) as api:
        request = create_realtime_request(BTC, "1m", history=10)
        assert api.explain(request).channels == ("ccxt",)
        async with api.follow(request) as events:
            taken = await until(events, lambda event: isinstance(event, CandleUpdated))
        (loaded,) = [event for event in taken if isinstance(event, HistoryLoaded)]
        assert (len(loaded.series), loaded.series.venue) == (10, api.venue_of("upbit"))
        assert taken[-1].candle.source == "ccxt"
        assert not any(isinstance(event, Degraded) for event in taken)


async def test_seconds_are_streamed_and_sealed_by_rest_alone(make_live):
    topic = Topic(DataKind.CANDLE, BTC, Timeframe.S1)
    async with make_live().open_stream([topic]) as stream:
        value = (await until(stream, is_value))[-1].value
    assert (value.timeframe, value.is_final, value.updated_at) == (Timeframe.S1, False, None)
