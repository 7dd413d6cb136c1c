"""An exchange that refuses one element of a subscription, over real sockets: the others go on, its follower is told."""

import asyncio
import json
from contextlib import suppress

import pytest
from socket_scripts import snapshots, subscribed, trade
from websockets.exceptions import ConnectionClosed

from market_backbone import ChannelUnavailableError, DataKind, SmartRoutingPolicy, Timeframe
from market_backbone.application.cache.write_behind import WriteBehind
from market_backbone.application.routing.channel_directory import ChannelDirectory
from market_backbone.application.routing.router import SmartChannelRouter
from market_backbone.application.runtime.tasks import TaskSupervisor
from market_backbone.application.runtime.telemetry import StoreErrors
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.feeds.context import FeedOptions
from market_backbone.application.streaming.feeds.route import FeedRoute
from market_backbone.application.streaming.hub import LiveHub
from market_backbone.domain.finality import Grace
from market_backbone.domain.request import Topic
from market_backbone.domain.symbol import Symbol

CODES = ("KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL")
GUILTY = Topic(DataKind.CANDLE, Symbol("KRW-BTC"), Timeframe.M3)
REFUSAL = {"error": {"name": "INVALID_PARAM", "message": "candle.3m is not supported"}}


async def refuses_three_minutes(server, connection):
    """Script: refuse a subscription that holds candles of three minutes, naming no element; serve any other."""
    request = await subscribed(server, connection)
    wanted = [(each["type"], code) for each in request[1:-1] for code in each["codes"]]
    with suppress(ConnectionClosed):
        if any(kind == "candle.3m" for kind, _ in wanted):
            await connection.send(json.dumps(REFUSAL))
            await connection.close(1000)
            return
        for kind, code in wanted:
            await connection.send(json.dumps(snapshots(kind, code)))
        number = 1
        while True:
            await asyncio.sleep(0.02)
            number += 1
            for _, code in wanted:
                await connection.send(json.dumps(trade(number, code)))


async def read_to_the_end(subscriber):
    while True:
        await subscriber.buffer.get()


@pytest.fixture
async def hub_of():
    owners = []

    def make(channel):
        clock, server_time = channel._context.clock, channel._context.server_time
        tasks = TaskSupervisor(lambda name, error: None)
        owners.append(tasks)
        return LiveHub(
            router=SmartChannelRouter({"websocket": channel}, SmartRoutingPolicy(), clock, cool_down_s=1.0),
            clock=clock, directory=ChannelDirectory({"websocket": channel}, lambda _: server_time), grace=Grace(),
            options=FeedOptions(polling_interval_s=1.0, stall_after_s=2.0, snapshot_timeout_s=10.0), tasks=tasks,
            write_behind=WriteBehind(store=None, clock=clock, tasks=tasks, errors=StoreErrors()),
        )  # fmt: skip

    yield make
    for tasks in owners:
        await tasks.close()


async def test_only_the_refused_element_ends_and_the_others_are_served(make_socket, make_websocket, hub_of):
    server = await make_socket(refuses_three_minutes)
    hub = hub_of(make_websocket(server.url))
    route = FeedRoute("websocket", None)
    followers = {}
    for topic in (GUILTY, *(Topic(DataKind.TRADE, Symbol(code)) for code in CODES)):
        followers[topic] = Subscriber.of(10_000, waits_for_history=False)
        hub.join(topic, route, followers[topic])
    guilty = followers.pop(GUILTY)
    async with asyncio.timeout(10):
        with pytest.raises(ChannelUnavailableError, match="INVALID_PARAM"):
            await read_to_the_end(guilty)
        for subscriber in followers.values():
            for _ in range(5):
                await subscriber.buffer.get()
    assert len(server.upgrades) <= 2 * (len(CODES) + 1)
    carried = [{code for each in request[1:-1] for code in each["codes"]} for request in server.subscriptions]
    assert any(len(codes) > 1 for codes in carried[1:]), "the innocent are not all set apart"
