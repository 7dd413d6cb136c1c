"""Every format and every region of the wire gives the same values through the API."""

import asyncio

import pytest

from market_backbone import (
    CandleUpdated,
    ChannelSwitched,
    OrderBookUpdated,
    TickerUpdated,
    TradeReceived,
    create_realtime_request,
)
from market_backbone.infrastructure.sandbox import Fault

EVENTS = {"candle": CandleUpdated, "ticker": TickerUpdated, "trade": TradeReceived, "orderbook": OrderBookUpdated}


async def first(api, symbol, kind, *, seconds=15):
    """Return the first live event of a kind that came by the socket."""
    async with asyncio.timeout(seconds), api.follow(create_realtime_request(symbol, kind=kind)) as events:
        async for event in events:
            if isinstance(event, EVENTS[kind]):
                value = getattr(event, kind)
                if value.source == "websocket":
                    return value
    return None


@pytest.mark.parametrize("frame_format", ["DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"])
async def test_every_format_carries_every_kind(open_market, frame_format):
    async with open_market(settings={"upbit.frame_format": frame_format}) as (sandbox, api):
        values = await asyncio.gather(*(first(api, "KRW-BTC", kind) for kind in EVENTS))
        assert {value.venue for value in values} == {f"sandbox:{sandbox.dataset}"}
        trade = values[2]
        at = round(trade.traded_at.timestamp() * 1000)
        truth = {known.sequential_id: known for known in sandbox.market.trades("KRW-BTC", at, at + 1)}
        assert (trade.price, trade.volume) == (truth[trade.sequential_id].price, truth[trade.sequential_id].volume)
        assert (await api.get_ticker("KRW-BTC")).symbol == "KRW-BTC"
        assert (await api.get_orderbook("KRW-BTC", depth=5)).best_bid


@pytest.mark.parametrize(
    ("region", "symbol"), [("kr", "KRW-BTC"), ("sg", "SGD-BTC"), ("id", "IDR-BTC"), ("th", "THB-BTC")]
)
async def test_every_region_is_spoken_to_in_its_own_words(open_market, region, symbol):
    async with open_market(region=region, settings={"upbit.region": region}) as (_, api):
        series = await api.get_candles(symbol, "1m", 3)
        assert len(series) == 3
        assert (await api.get_orderbook(symbol, depth=3)).asks
        assert (await first(api, symbol, "ticker")).symbol == symbol
        (listed,) = [market for market in await api.get_markets() if market.symbol == symbol]
        assert (listed.korean_name is not None) == (region == "kr")


@pytest.mark.parametrize("pongs", [True, False])
async def test_a_silent_stall_is_noticed_with_and_without_pongs_and_rest_takes_over(open_market, pongs):
    request = create_realtime_request("KRW-BTC", kind="ticker")
    async with open_market(speed=10.0) as (sandbox, api), asyncio.timeout(30), api.follow(request) as events:
        stalled_at = None
        async for event in events:
            if isinstance(event, ChannelSwitched) and stalled_at is not None:
                assert (event.old, event.new) == ("websocket", "rest")
                assert "silent for" in event.reason
                break
            if isinstance(event, TickerUpdated) and stalled_at is None and event.ticker.source == "websocket":
                stalled_at = sandbox.now_ms()
                sandbox.inject(Fault("stall", pongs=pongs, duration_s=60))
        assert sandbox.now_ms() - stalled_at < 10_000
