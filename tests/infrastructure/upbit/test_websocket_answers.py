"""Single answers from SNAPSHOTs, the limits of a socket, and what cannot be opened; market time runs fast."""

import asyncio
import socket
from decimal import Decimal

import pytest
from socket_scripts import BTC, answers, drops, says, trade

from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.errors import (
    ChannelError,
    ChannelTimeoutError,
    ChannelUnavailableError,
    ClosedError,
    MalformedReplyError,
    RateLimitedError,
    UnsupportedRequestError,
)
from market_backbone.domain.finality import Finality
from market_backbone.domain.streaming import LifeBegan
from market_backbone.domain.timeframe import Timeframe
from market_backbone.infrastructure.budget import GroupBudget
from market_backbone.infrastructure.upbit.rate_limits import MINUTE, SECOND, MessageBudget


async def test_single_answers_come_from_snapshots_on_one_socket_that_is_kept(make_socket, make_websocket):
    server = await make_socket(answers)
    channel = make_websocket(server.url)

    ticker = await channel.get_ticker("KRW-BTC")
    tickers = await channel.get_tickers(["KRW-ETH", "KRW-BTC", "KRW-ETH"])
    book = await channel.get_orderbook("KRW-BTC", 3)
    trades = await channel.get_trades("KRW-BTC")
    candles = await channel.get_candles("KRW-BTC", count=1)

    assert ticker.price == Decimal("2.5")
    assert [one.symbol for one in tickers] == ["KRW-ETH", "KRW-BTC", "KRW-ETH"]
    assert (len(book.asks), trades[0].sequential_id) == (3, 1)
    assert (candles[0].finality, candles.coverage.proven) == (Finality.FORMING, ())
    assert await channel.get_tickers([]) == []
    assert len(server.upgrades) == 1
    assert server.subscriptions[2][1] == {"type": "orderbook", "codes": ["KRW-BTC.5"], "is_only_snapshot": True}
    assert (channel.name, channel.venue) == ("websocket", f"custom:127.0.0.1:{server.port}")
    assert channel.capabilities.can_follow(DataKind.CANDLE, Timeframe.M1)


async def test_a_snapshot_of_a_slot_that_is_over_is_closed(make_socket, make_websocket):
    server = await make_socket(answers)
    channel = make_websocket(server.url)
    now = channel._context.clock.monotonic()
    channel._context.server_time.observe_reply(1_800_000_000.0, sent=now, received=now)

    assert (await channel.get_candles("KRW-BTC"))[0].finality is Finality.CLOSED


@pytest.mark.parametrize(
    "ask",
    [
        lambda channel: channel.get_candles("KRW-BTC", count=2),
        lambda channel: channel.get_trades("KRW-BTC", 2),
        lambda channel: channel.get_orderbook("KRW-BTC", 31),
    ],
)
async def test_the_socket_knows_only_the_newest(make_websocket, ask):
    with pytest.raises(UnsupportedRequestError):
        await ask(make_websocket("ws://127.0.0.1:9"))


async def test_a_code_that_the_exchange_ignores_is_a_time_out_and_the_socket_is_given_up(make_socket, make_websocket):
    server = await make_socket(says(), answers)
    channel = make_websocket(server.url, reply_timeout_s=0.15)

    with pytest.raises(ChannelTimeoutError, match="says nothing about codes that it does not know"):
        await channel.get_ticker("KRW-XYZ")
    assert (await channel.get_ticker("KRW-BTC")).symbol == "KRW-BTC"
    assert len(server.upgrades) == 2


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (says({"error": {"name": "NO_CODES", "message": ""}}), ChannelUnavailableError),
        (says(trade(5), trade(0) | {"trade_price": -1}), MalformedReplyError),
        (drops, ChannelUnavailableError),
        (says(close=1000), ChannelUnavailableError),
    ],
)
async def test_a_question_that_fails_half_way_is_a_channel_error_and_the_next_one_gets_a_new_socket(
    make_socket, make_websocket, script, error
):
    server = await make_socket(script, answers)
    channel = make_websocket(server.url)

    with pytest.raises(error):
        await channel.get_ticker("KRW-BTC")
    assert (await channel.get_ticker("KRW-BTC")).symbol == "KRW-BTC"


async def test_a_kept_socket_that_the_exchange_closed_is_replaced(make_socket, make_websocket):
    server = await make_socket(answers)
    channel = make_websocket(server.url)
    await channel.get_ticker("KRW-BTC")
    for connection in server.server.connections:
        connection.transport.abort()
    async with asyncio.timeout(2):
        while channel._kept.is_open:  # noqa: ASYNC110 - as the exchange, it closes without a word
            await asyncio.sleep(0.01)

    assert (await channel.get_ticker("KRW-BTC")).symbol == "KRW-BTC"
    assert len(server.upgrades) == 2


async def test_a_closed_channel_says_so(make_websocket):
    channel = make_websocket("ws://127.0.0.1:9")
    await channel.close()
    await channel.close()

    with pytest.raises(ClosedError):
        await channel.get_ticker("KRW-BTC")
    with pytest.raises(ClosedError):
        async with channel.open_stream([BTC]):
            pass


@pytest.mark.parametrize("kind", ["nobody listens", "no answer to the upgrade", "another protocol"])
async def test_a_socket_that_cannot_be_opened_is_a_channel_error(make_websocket, raw_server, kind):
    if kind == "nobody listens":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"ws://127.0.0.1:{free.getsockname()[1]}"
    else:

        async def silent(reader, writer):
            await reader.read()

        url = (await raw_server(silent if kind.startswith("no ") else b"SSH-2.0\r\n")).replace("http", "ws")
    expected = ChannelTimeoutError if kind.startswith("no ") else ChannelUnavailableError

    with pytest.raises(expected) as caught:
        await make_websocket(url, connect_timeout_s=0.2).get_ticker("KRW-BTC")
    assert caught.value.retryable


async def test_a_socket_over_tls_of_nobody_is_refused(make_websocket, raw_server):
    url = (await raw_server(b"")).replace("http", "wss")

    with pytest.raises(ChannelError):
        await make_websocket(url, connect_timeout_s=1.0).get_ticker("KRW-BTC")


def test_a_connection_sends_five_messages_a_second_and_a_hundred_a_minute():
    budget, now, sent = MessageBudget(GroupBudget(5), GroupBudget(100)), 0.0, []
    for _ in range(320):
        now += max(0.0, budget.delay(now))
        budget.record(now)
        sent.append(now)

    for index, at in enumerate(sent):
        assert sum(1 for other in sent[index:] if other < at + SECOND) <= 5
        assert sum(1 for other in sent[index:] if other < at + MINUTE) <= 100


async def test_connects_are_spread_over_the_seconds(make_socket, make_websocket):
    server = await make_socket(says(close=1000))
    channel = make_websocket(server.url, connects_per_s=2)
    lives = 0

    async with channel.open_stream([BTC]) as stream:
        while lives < 5:
            lives += isinstance(await anext(stream), LifeBegan)

    connects = channel._connects._budget._address.group("websocket").budget.sends
    second = channel._context.clock.to_real_s(1.0)
    assert all(later - earlier >= second for earlier, later in zip(connects, connects[2:], strict=False))
    assert len(server.upgrades) == lives


async def test_who_would_have_to_wait_for_a_turn_to_speak_is_told_at_once_and_the_socket_is_not_to_blame(
    make_socket, make_websocket
):
    server = await make_socket(answers)
    channel = make_websocket(server.url)
    for _ in range(5):
        await channel.get_ticker("KRW-BTC")

    with pytest.raises(RateLimitedError, match="next message in") as caught:
        await channel.get_ticker("KRW-BTC")
    assert (caught.value.retryable, caught.value.is_fault) == (False, False)
    await channel._context.clock.sleep(caught.value.retry_after)
    await channel.get_ticker("KRW-BTC")
    assert len(server.upgrades) == 1


async def test_a_sandbox_makes_itself_known_on_the_upgrade(make_socket, make_websocket):
    server = await make_socket(answers)
    server.server.close()
    await server.server.wait_closed()
    from websockets.asyncio.server import serve  # noqa: PLC0415

    def announce(connection, request, response):
        response.headers["X-Market-Sandbox"] = "dataset=seed-9; speed=70"
        return response

    server.server = await serve(server.connected, "127.0.0.1", 0, process_response=announce)
    channel = make_websocket(f"ws://127.0.0.1:{server.server.sockets[0].getsockname()[1]}")

    assert (await channel.get_ticker("KRW-BTC")).venue == "sandbox:seed-9"
    assert channel._context.clock.speed == 70
