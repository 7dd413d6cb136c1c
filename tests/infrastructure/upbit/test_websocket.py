"""The WebSocket channel over real sockets; market time runs fifty times faster, so that waits are short."""

import asyncio
import json
import socket
from contextlib import suppress
from decimal import Decimal

import pytest
from websockets.exceptions import ConnectionClosed

from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.errors import (
    ChannelError,
    ChannelTimeoutError,
    ChannelUnavailableError,
    ClosedError,
    MalformedReplyError,
    UnsupportedRequestError,
)
from market_backbone.domain.finality import Finality
from market_backbone.domain.ports import LiveChannel
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import LifeBegan, LifeEnded, Rejected
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.timeframe import Timeframe
from market_backbone.infrastructure.rate_budget import GroupBudget
from market_backbone.infrastructure.upbit.socket import MINUTE, SECOND, MessageBudget

BTC = Topic(DataKind.TRADE, Symbol("KRW-BTC"))
ETH = Topic(DataKind.TRADE, Symbol("KRW-ETH"))
CANDLE = Topic(DataKind.CANDLE, Symbol("KRW-BTC"), Timeframe.M1)


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


async def test_values_arrive_in_order_with_the_number_of_their_life(make_socket, make_websocket):
    server = await make_socket(says(trade(1, stream_type="SNAPSHOT"), json.dumps(trade(2)).encode()))
    channel = make_websocket(server.url)

    async with channel.open_stream([BTC]) as stream:
        began, snapshot, live = await items_of(stream, 3)

    assert isinstance(channel, LiveChannel)
    assert began == LifeBegan(1)
    assert (snapshot.value.sequential_id, snapshot.is_snapshot, snapshot.life) == (1, True, 1)
    assert (live.value.sequential_id, live.is_snapshot, live.topic) == (2, False, BTC)
    assert live.value.venue == f"custom:127.0.0.1:{server.port}"
    assert server.subscriptions[0][1:] == [{"type": "trade", "codes": ["KRW-BTC"]}, {"format": "DEFAULT"}]


async def test_compression_is_offered_and_where_we_come_from_is_never_said(make_socket, make_websocket):
    server = await make_socket(says(trade(1)))

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        await items_of(stream, 2)
        (connection,) = server.server.connections
        assert [extension.name for extension in connection.protocol.extensions] == ["permessage-deflate"]
    async with make_websocket(server.url, compression=False).open_stream([BTC]) as stream:
        await items_of(stream, 2)

    assert all("Origin" not in headers for headers in server.upgrades)
    assert [("Sec-WebSocket-Extensions" in headers) for headers in server.upgrades] == [True, False]
    assert server.upgrades[0]["User-Agent"] == "market-backbone"


@pytest.mark.parametrize(
    ("first_life", "cause"),
    [(says(trade(1), close=1000), "closed with 1000"), (drops, "without a close frame")],
    ids=["a normal close", "a lost connection"],
)
async def test_whatever_ends_a_life_there_is_a_next_one(make_socket, make_websocket, first_life, cause):
    server = await make_socket(first_life, says(trade(2)))

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        seen = await items_of(stream, 4 if first_life is drops else 5)

    ended = next(index for index, item in enumerate(seen) if isinstance(item, LifeEnded))
    assert cause in seen[ended].cause
    assert (seen[ended].life, seen[ended + 1]) == (1, LifeBegan(2))
    assert seen[ended + 2].life == 2


async def test_a_server_that_is_down_at_the_first_retries_is_found_when_it_returns(make_socket, make_websocket):
    server = await make_socket(says(trade(1)))
    port = server.port

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        await items_of(stream, 2)
        await server.stop()
        seen = await items_of(stream, 4)
        assert all(isinstance(item, LifeEnded) for item in seen), "nothing between the lives"
        await server.start(port)
        while not isinstance(item := await anext(stream), LifeBegan):
            assert isinstance(item, LifeEnded)
        assert item == LifeBegan(2)
        assert (await anext(stream)).life == 2


async def test_a_pong_that_never_comes_ends_the_life(make_websocket):
    """A raw server accepts the upgrade and then says nothing at all, not even pongs."""
    from websockets.server import ServerProtocol  # noqa: PLC0415 - the sans-I/O half, for this test only

    async def mute(reader, writer):
        protocol = ServerProtocol()
        protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
        (request,) = protocol.events_received()
        protocol.send_response(protocol.accept(request))
        writer.write(b"".join(protocol.data_to_send()))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with make_websocket(url, pong_timeout_s=0.1).open_stream([BTC]) as stream:
            assert await items_of(stream, 1) == [LifeBegan(1)]
            async with asyncio.timeout(5):
                ended, again = await items_of(stream, 2)
    finally:
        server.close()

    assert ended == LifeEnded(1, "websocket: no pong within 0.1 s")
    assert again == LifeBegan(2)


async def test_pings_keep_a_quiet_socket_alive(make_socket, make_websocket):
    server = await make_socket(says())
    channel = make_websocket(server.url, speed=2000.0)

    async with channel.open_stream([BTC]) as stream:
        await anext(stream)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(stream)
        assert channel._context.clock.monotonic() > 0


@pytest.mark.parametrize(("status", "text", "wait_s"), [(429, "Too many", 1.0), (418, "blocked for 90 seconds", 90.0)])
async def test_a_refused_upgrade_is_waited_out_for_the_time_it_states(
    make_socket, make_websocket, status, text, wait_s
):
    server = await make_socket(says(trade(1)), refusals=[(status, text)])
    channel = make_websocket(server.url, speed=500.0)
    clock = channel._context.clock

    async with channel.open_stream([BTC]) as stream:
        refused = await anext(stream)
        refused_at = clock.monotonic()
        began = await anext(stream)

    assert isinstance(refused, LifeEnded)
    assert refused.life == 0
    assert str(status) in refused.cause
    assert began == LifeBegan(1)
    assert clock.monotonic() - refused_at >= wait_s


async def test_a_redirect_is_a_refusal(make_socket, make_websocket):
    elsewhere = await make_socket(says(trade(1)))
    server = await make_socket(says(trade(2)), refusals=[(302, "", {"Location": elsewhere.url})])
    channel = make_websocket(server.url)

    with pytest.raises(ChannelUnavailableError, match="HTTP 302"):
        await channel.get_ticker("KRW-BTC")
    assert not elsewhere.upgrades


async def test_a_malformed_frame_is_told_and_the_stream_goes_on(make_socket, make_websocket):
    server = await make_socket(says('{"type":"trade"', b"\xff\xff", trade(-1), {"status": "UP"}, trade(2)))

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        began, *rejected, received = await items_of(stream, 5)

    assert began == LifeBegan(1)
    assert [type(item) for item in rejected] == [Rejected] * 3
    assert received.value.sequential_id == 2


async def test_frames_that_nobody_asked_for_are_dropped(make_socket, make_websocket):
    server = await make_socket(says(trade(1, "KRW-ETH"), snapshots("candle.1m", "KRW-BTC"), trade(2)))

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        _, received = await items_of(stream, 2)

    assert received.value.sequential_id == 2


async def test_a_subscription_that_is_refused_for_its_content_ends_the_stream_for_good(make_socket, make_websocket):
    server = await make_socket(says({"error": {"name": "WRONG_FORMAT", "message": "..."}}, close=1000))

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        began, ended = await items_of(stream, 2)
        for _ in range(2):
            with pytest.raises(ChannelError, match="WRONG_FORMAT") as caught:
                await anext(stream)

    assert (began, ended.life) == (LifeBegan(1), 1)
    assert not caught.value.retryable
    assert len(server.upgrades) == 1, "the same bad request is never repeated"


async def test_too_many_messages_are_waited_out(make_socket, make_websocket):
    server = await make_socket(says({"error": {"name": "TOO_MANY_REQUEST", "message": ""}}), says(trade(2)))

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        _, ended, began, received = await items_of(stream, 4)

    assert "TOO_MANY_REQUEST" in ended.cause
    assert (began, received.life) == (LifeBegan(2), 2)


async def test_a_frame_beyond_the_limit_ends_the_life_and_not_the_memory(make_socket, make_websocket):
    server = await make_socket(says(" " * 200_000, trade(1)), says(trade(2)))

    async with make_websocket(server.url, max_frame_bytes=10_000).open_stream([BTC]) as stream:
        _, ended, began, received = await items_of(stream, 4)

    assert "1009" in ended.cause
    assert (began, received.value.sequential_id) == (LifeBegan(2), 2)


async def test_a_life_that_was_given_up_delivers_nothing_more(make_socket, make_websocket):
    server = await make_socket(says(*(trade(number) for number in range(1, 9))), says(trade(100)))

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        await items_of(stream, 2)
        await asyncio.sleep(0.05)  # real: let frames arrive that nobody has read yet
        stream.abandon("the canary is silent")
        stream.abandon("again")
        ended, began, received = await items_of(stream, 3)

    assert ended == LifeEnded(1, "websocket: the canary is silent")
    assert (began, received.value.sequential_id) == (LifeBegan(2), 100)


async def test_giving_up_before_there_is_a_life_does_nothing(make_socket, make_websocket):
    server = await make_socket(says(trade(1)))

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        stream.abandon("too early")
        assert await anext(aiter(stream)) == LifeBegan(1)


@pytest.mark.parametrize(
    ("topics", "message"),
    [([], "name at least one"), ([Topic(DataKind.CANDLE, Symbol("KRW-BTC"), Timeframe.D1)], "streams no 1d candles")],
)
async def test_what_has_no_stream_is_refused_before_a_socket_is_opened(make_socket, make_websocket, topics, message):
    server = await make_socket(says())

    with pytest.raises(UnsupportedRequestError, match=message):
        async with make_websocket(server.url).open_stream(topics):
            pass
    assert not server.upgrades


async def until_alone(server):
    async with asyncio.timeout(2):
        while server.server.connections:  # noqa: ASYNC110 - websockets tells nobody
            await asyncio.sleep(0.01)


async def test_closing_a_stream_leaves_no_task_and_no_socket(make_socket, make_websocket):
    server = await make_socket(says(trade(1)))
    before = asyncio.all_tasks()

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        await items_of(stream, 2)
        assert len(server.server.connections) == 1
    await until_alone(server)

    ours = {task for task in asyncio.all_tasks() - before if "keep_alive" in repr(task) or "upbit" in repr(task)}
    assert not ours
    await stream.close()
    with pytest.raises(ClosedError):
        await anext(stream)


async def test_cancelling_at_any_turn_of_the_loop_leaves_nothing_behind(make_socket, make_websocket):
    """Connecting, subscribing, receiving: the driver cancels after 0, 1, 2 … turns of the loop."""
    server = await make_socket(says(trade(1)))
    channel = make_websocket(server.url, connects_per_s=1000)

    async def follow():
        async with channel.open_stream([BTC]) as stream:
            await items_of(stream, 3)

    for turns in [*range(40), 80, 160]:
        task = asyncio.create_task(follow())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await until_alone(server)
    assert not [one for one in asyncio.all_tasks() if "keep_alive" in repr(one) or "follow" in repr(one)]


async def test_a_stream_that_is_closed_while_it_connects_opens_nothing(make_websocket):
    """The server accepts the connection and answers the upgrade only after the stream was closed."""
    from websockets.server import ServerProtocol  # noqa: PLC0415 - the sans-I/O half, for this test only

    arrived, go, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(reader, writer):
        protocol = ServerProtocol()
        protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
        arrived.set()
        await go.wait()
        (request,) = protocol.events_received()
        protocol.send_response(protocol.accept(request))
        writer.write(b"".join(protocol.data_to_send()))
        with suppress(ConnectionError):
            await reader.read()
        ended.set()
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    channel = make_websocket(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        async with channel.open_stream([BTC]) as stream:
            reading = asyncio.create_task(anext(stream))
            await arrived.wait()
            await stream.close()
            go.set()
            with pytest.raises(ClosedError):
                await reading
            await ended.wait()
            for event in (arrived, go, ended):
                event.clear()
        asking = asyncio.create_task(channel.get_ticker("KRW-BTC"))
        await arrived.wait()
        await channel.close()
        go.set()
        with pytest.raises(ClosedError):
            await asking
        await ended.wait()
    finally:
        server.close()


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

    connects = channel._connects.limit.sends
    assert all(later - earlier >= SECOND for earlier, later in zip(connects, connects[2:], strict=False))
    assert len(server.upgrades) == lives


async def test_questions_wait_for_their_turn_to_speak(make_socket, make_websocket):
    server = await make_socket(answers)
    channel = make_websocket(server.url)
    before = channel._context.clock.monotonic()

    for _ in range(7):
        await channel.get_ticker("KRW-BTC")

    assert channel._context.clock.monotonic() - before >= 1.0
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
