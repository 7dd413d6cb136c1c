"""Closing and cancelling leave no task and no socket, wherever they strike."""

import asyncio
from contextlib import suppress

import pytest
from socket_scripts import BTC, items_of, says, trade, until_alone

from market_backbone.domain.errors import (
    ChannelUnavailableError,
    ClosedError,
)
from market_backbone.domain.streaming import LifeBegan, LifeEnded


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


async def test_a_stream_that_was_closed_tells_nothing_of_what_it_had_read(make_socket, make_websocket):
    server = await make_socket(says(*map(trade, range(1, 30))))

    async with make_websocket(server.url).open_stream([BTC]) as stream:
        await items_of(stream, 1)
        await asyncio.sleep(0.1)  # all have come
        await anext(stream)
        assert stream._frames
    assert list(stream.ready()) == []
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


async def test_a_subscription_on_a_socket_that_has_just_died_ends_its_life(make_socket, make_websocket):
    """The connection dies between the upgrade and the first message."""

    async def dies(server, connection):
        connection.transport.abort()

    server = await make_socket(dies, says(trade(2)))
    channel = make_websocket(server.url, messages_per_s=1)

    async with channel.open_stream([BTC]) as stream:
        items = [await anext(stream)]
        while not isinstance(items[-1], LifeBegan) or len(server.upgrades) < 2:
            items.append(await anext(stream))

    assert any(isinstance(item, LifeEnded) for item in items)


async def test_a_message_that_cannot_be_sent_any_more_is_a_channel_error(make_socket, make_websocket):
    server = await make_socket(says())
    channel = make_websocket(server.url, speed=4000.0)

    async with channel.open_stream([BTC]) as stream:
        await anext(stream)
        dead = stream._socket
        dead.abandon("gone")
        with pytest.raises(ChannelUnavailableError, match="gone"):
            await dead.receive()
        with pytest.raises(ChannelUnavailableError, match="gone"):
            await dead.subscribe("t", [BTC])
        assert not dead.is_open
        await asyncio.wait([stream._keeper], timeout=2)
        assert stream._keeper.done(), "a lost connection is not pinged"
