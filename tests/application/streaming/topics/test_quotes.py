"""Tickers and books: only ever the newest, and no answer that comes too late."""

import pytest

from market_backbone import DataKind
from market_backbone.application.streaming.topics.quotes import QuoteTopic
from market_backbone.domain.request import Topic


class CrossedQuotes:
    """REST whose quote is under way while the socket delivers one."""

    def __init__(self, value, meanwhile):
        self._value = value
        self._meanwhile = meanwhile

    async def get_ticker(self, symbol):
        self._meanwhile()
        return self._value

    async def get_orderbook(self, symbol, depth):
        return await self.get_ticker(symbol)


@pytest.mark.parametrize("kind", [DataKind.TICKER, DataKind.ORDERBOOK])
async def test_a_quote_that_was_asked_for_before_the_socket_delivered_again_is_thrown_away(kit, kind):
    """Its stamp may run ahead (recorded: microseconds told as milliseconds), and would keep live values out."""
    topic = QuoteTopic(Topic(kind, kit.BTC))
    make = kit.ticker if kind is DataKind.TICKER else kit.book
    live = make(second=10, source="websocket")
    assert await topic.catch_up(CrossedQuotes(make(second=3600), lambda: topic.apply(live))) == []
    assert topic.newest == live
    assert len(topic.apply(make(second=11, source="websocket"))) == 1


async def test_a_quote_of_rest_is_passed_on_while_no_socket_delivers(kit):
    topic = QuoteTopic(Topic(DataKind.TICKER, kit.BTC))
    topic.apply(kit.ticker(second=1, source="websocket"))
    events = await topic.catch_up(CrossedQuotes(kit.ticker(second=2), lambda: None))
    assert [event.ticker.source for event in events] == ["rest"]
