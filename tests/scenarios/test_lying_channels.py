"""Channels that do not keep what they declare: named, passed over, and never believed."""

from contextlib import contextmanager

import pytest
from attrs import evolve

from market_backbone import (
    AllChannelsFailedError,
    DataKind,
    MalformedReplyError,
    create_candle_request,
    create_orderbook_request,
    create_ticker_request,
)
from market_backbone.application.paging.prefetch import check_page


class Liar:
    """Declares everything that the channel behind it can do, and answers as it likes."""

    def __init__(self, honest, **answers):
        self._honest, self._answers = honest, answers
        self.capabilities = evolve(honest.capabilities, answers=frozenset(DataKind))

    def __getattr__(self, name):
        if name in self._answers:

            async def lie(*_, **__):
                return self._answers[name]

            return lie
        return getattr(self._honest, name)


@contextmanager
def refused(why):
    """Expect every channel to fail, and one of the causes to say why."""
    with pytest.raises(AllChannelsFailedError) as caught:
        yield
    assert why in str(caught.value)


@pytest.fixture
def lie(monkeypatch):
    """Have both channels of an API lie in one way."""

    def told(api, **answers):
        for name in ("rest", "websocket"):
            api._channel_router.channels[name] = Liar(api._channel_router.channels[name], **answers)

    return told


async def test_candles_of_another_market_are_no_answer(open_market, lie):
    async with open_market() as (_, api):
        wrong = await api.get_candles("KRW-ETH", "1m", 5)
        lie(api, get_candles=wrong)
        with refused("asked for candles of KRW-BTC 1m, got some of KRW-ETH 1m"):
            await api.request_data_sync(create_candle_request("KRW-BTC", "1m", 5))
        held = await api.inventory()
        assert [line.key.symbol for line in held] == ["KRW-ETH"]


async def test_what_is_no_series_at_all_is_no_answer(open_market, lie):
    async with open_market() as (_, api):
        await api.get_markets()
        lie(api, get_candles=None)
        with refused("got NoneType; report this to the author"):
            await api.request_data_sync(create_candle_request("KRW-BTC", "1m", 5))


async def test_a_book_and_a_price_of_another_market_are_no_answer(open_market, lie):
    async with open_market() as (_, api):
        book, ticker = await api.get_orderbook("KRW-ETH"), await api.get_ticker("KRW-ETH")
        lie(api, get_orderbook=book, get_tickers=[ticker])
        with refused("asked for KRW-BTC, got KRW-ETH"):
            await api.request_data_sync(create_orderbook_request("KRW-BTC"))
        with refused("asked for KRW-BTC, got KRW-ETH"):
            await api.request_data_sync(create_ticker_request("KRW-BTC"))


async def test_a_channel_without_the_method_that_it_declares_is_named(open_market):
    async with open_market() as (_, api):
        await api.get_markets()
        for name in ("rest", "websocket"):
            channel = api._channel_router.channels[name]
            api._channel_router.channels[name] = Liar(channel)
            del channel  # what is declared and not there
            api._channel_router.channels[name]._answers["get_orderbook"] = object()
        with refused("report this to the channel's author"):
            await api.request_data_sync(create_orderbook_request("KRW-BTC"))


def test_a_page_is_of_the_series_that_was_asked_for(kit):
    with pytest.raises(MalformedReplyError, match="got list"):
        check_page([], "KRW-BTC", "1m", "files")
