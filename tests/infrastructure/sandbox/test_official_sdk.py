"""Upbit's own SDK takes the sandbox for Upbit."""

import asyncio
from decimal import Decimal

import pytest
import upbit


def use_the_sdk(rest_url):
    """What a user of the SDK does first: list, page, stream."""
    with upbit.Upbit(base_url=rest_url, access_key="x", secret_key="x" * 64, max_retries=0) as client:
        markets = [row.market for row in client.trading_pairs.list(is_details=True)]
        rows, to = [], "2026-11-22T12:00:00Z"
        for _ in range(3):
            page = client.candles.list_minutes(1, market="KRW-BTC", count=200, to=to)
            rows += page
            to = f"{page[-1].candle_date_time_utc}Z"
        trades = client.trades.list(market="KRW-BTC", count=5)
        book = client.orderbooks.list(markets="KRW-BTC,KRW-ETH")
        with client.ws_stream.subscribe(
            ticker=["KRW-BTC"], orderbook=["KRW-BTC"], candle={"1s": ["KRW-BTC"]}
        ) as stream:
            subscribed = stream.list_subscriptions(timeout=5)
            events = [event for event, _ in zip(stream, range(12), strict=False)]
    return markets, rows, trades, book, subscribed, events


@pytest.mark.filterwarnings("default")
async def test_the_official_sdk_lists_markets_pages_candles_and_streams(sandbox):
    markets, rows, trades, book, subscribed, events = await asyncio.to_thread(use_the_sdk, sandbox.rest_url)
    assert set(markets) == set(sandbox.market.symbols())
    starts = [row.candle_date_time_utc for row in rows]
    assert len(set(starts)) == 600
    end = 1_795_348_800_000
    truth = sandbox.market.candles("KRW-BTC", "1m", end - 700 * 60_000, end)[-600:]
    assert [Decimal(row.candle_acc_trade_volume) for row in rows[::-1]] == [candle.volume for candle in truth]
    assert [Decimal(row.trade_price) for row in rows[::-1]] == [candle.close for candle in truth]
    assert trades[0].sequential_id > trades[-1].sequential_id
    assert [each.market for each in book] == ["KRW-BTC", "KRW-ETH"]
    assert [row.type for row in subscribed.result] == ["ticker", "orderbook", "candle.1s"]
    assert {event.type for event in events} >= {"ticker", "orderbook"}
