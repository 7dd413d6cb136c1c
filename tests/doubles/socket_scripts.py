"""What a scripted WebSocket server says: subscriptions read, frames spoken, connections ended."""

import asyncio
import json
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.request import Topic
from market_backbone.domain.symbol import Symbol

BTC = Topic(DataKind.TRADE, Symbol("KRW-BTC"))


def trade(number, code="KRW-BTC", stream_type="REALTIME"):
    return {
        "type": "trade",
        "code": code,
        "trade_price": 1.5,
        "trade_volume": 0.25,
        "ask_bid": "BID",
        "sequential_id": number,
        "trade_timestamp": 1785395043779,
        "timestamp": 1785395043831,
        "stream_type": stream_type,
    }


def snapshots(kind, code):
    """Return what the exchange answers to a subscription of one code."""
    if kind == "trade":
        return trade(1, code, "SNAPSHOT")
    if kind == "orderbook":
        unit = {"ask_price": 11, "bid_price": 10, "ask_size": 1, "bid_size": 1}
        units = [{**unit, "ask_price": 11 + step, "bid_price": 10 - step} for step in range(5)]
        return {
            "type": kind,
            "code": code.split(".")[0],
            "orderbook_units": units,
            "timestamp": 1785395043831,
            "stream_type": "SNAPSHOT",
        }
    if kind == "ticker":
        names = (
            "trade_price opening_price high_price low_price prev_closing_price signed_change_price signed_change_rate "
            "trade_volume acc_trade_price acc_trade_price_24h acc_trade_volume acc_trade_volume_24h "
            "highest_52_week_price lowest_52_week_price"
        )
        figures = dict.fromkeys(names.split(), 2.5)
        stamps = {"trade_timestamp": 1785395043779, "timestamp": 1785395043831}
        return {"type": kind, "code": code, "change": "EVEN", "stream_type": "SNAPSHOT"} | figures | stamps
    return {
        "type": kind,
        "code": code,
        "candle_date_time_utc": "2026-07-30T07:04:00",
        "opening_price": 2,
        "high_price": 3,
        "low_price": 1,
        "trade_price": 2,
        "candle_acc_trade_volume": 1,
        "candle_acc_trade_price": 2,
        "timestamp": 1785395043831,
        "stream_type": "SNAPSHOT",
    }


async def subscribed(server, connection):
    request = json.loads(await connection.recv())
    server.subscriptions.append(request)
    return request


async def until_closed(connection):
    with suppress(ConnectionClosed):
        while True:
            await connection.recv()


def says(*frames, close=None):
    """Script: wait for the subscription, say these frames, then close or stay."""

    async def script(server, connection):
        await subscribed(server, connection)
        for frame in frames:
            text = frame if isinstance(frame, (str, bytes)) else json.dumps(frame)
            await connection.send(text)
        if close is not None:
            await connection.close(close)
        await until_closed(connection)

    return script


async def answers(server, connection):
    """Script: answer every request with a SNAPSHOT per code, as binary frames."""
    with suppress(ConnectionClosed):
        while True:
            request = await subscribed(server, connection)
            for wanted in request[1:-1]:
                for code in wanted["codes"]:
                    await connection.send(json.dumps(snapshots(wanted["type"], code)).encode())


async def drops(server, connection):
    await subscribed(server, connection)
    connection.transport.abort()


async def items_of(stream, count):
    return [await anext(stream) for _ in range(count)]


async def until_alone(server):
    async with asyncio.timeout(2):
        while server.server.connections:  # noqa: ASYNC110 - websockets tells nobody
            await asyncio.sleep(0.01)
