"""The WebSocket channel over real sockets; market time runs fifty times faster, so that waits are short."""

import asyncio
import json

import pytest
from socket_scripts import BTC, drops, items_of, says, snapshots, trade

from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.errors import (
    ChannelError,
    ChannelUnavailableError,
    UnsupportedRequestError,
)
from market_backbone.domain.ports import LiveChannel
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import LifeBegan, LifeEnded, Rejected
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.timeframe import Timeframe


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
    [
        ([], "name at least one"),
        ([Topic(DataKind.CANDLE, Symbol("KRW-BTC"), Timeframe.D1)], "streams no 1d candles"),
        ([Topic(DataKind.TRADE, Symbol("binance:BTC/USDT"))], "its own symbols"),
    ],
)
async def test_what_has_no_stream_is_refused_before_a_socket_is_opened(make_socket, make_websocket, topics, message):
    server = await make_socket(says())

    with pytest.raises(UnsupportedRequestError, match=message):
        async with make_websocket(server.url).open_stream(topics):
            pass
    assert not server.upgrades


async def test_a_symbol_of_another_venue_is_refused_at_once(make_socket, make_websocket):
    server = await make_socket(says())
    channel = make_websocket(server.url)
    for asking in (channel.get_ticker("websocket:BTC/KRW"), channel.get_candles("binance:BTC/USDT", "1m", 1)):
        with pytest.raises(UnsupportedRequestError, match="its own symbols, such as KRW-BTC"):
            await asking
    assert not server.upgrades
