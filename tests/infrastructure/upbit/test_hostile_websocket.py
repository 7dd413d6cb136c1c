"""A malicious WebSocket server: whatever it sends costs little and ends in an error of our tree."""

import asyncio
import json
from functools import partial

import pytest
from hostile import BINARY, MB, PIECE, PING, costs_at_most, deflated, frame, reply, switching
from socket_scripts import BTC, snapshots, trade

from market_backbone.domain.errors import (
    ChannelError,
    ChannelTimeoutError,
    ChannelUnavailableError,
    MalformedReplyError,
)
from market_backbone.domain.streaming import LifeBegan, LifeEnded, Received, Rejected

EXTENSION = "Sec-WebSocket-Extensions: permessage-deflate"


@pytest.fixture
async def start():
    """Start servers that answer an upgrade, and then whatever ``script(writer)`` writes."""
    servers, tasks = [], set()

    async def serve(script, *headers, upgrade=switching):
        async def connected(reader, writer):
            tasks.add(asyncio.current_task())
            try:
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(upgrade(request, *headers))
                await script(writer)
                await asyncio.sleep(60)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield serve
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def writes(pieces, writer):
    for piece in pieces:
        writer.write(piece)
        await writer.drain()


def once(*pieces):
    return partial(writes, pieces)


def for_ever(piece, first=b""):
    def pieces():
        yield first
        while True:
            yield piece

    return lambda writer: writes(pieces(), writer)


def spoiled(**changes):
    return frame(json.dumps(snapshots("ticker", "KRW-BTC") | changes).encode())


def with_price(number):
    return frame(json.dumps(snapshots("ticker", "KRW-BTC") | {"trade_price": "?"}).replace('"?"', number).encode())


FRAMES = {
    "a frame of 100 MB": (for_ever(b" " * 65536, frame(b"", length=100 * MB)), ChannelUnavailableError),
    "a frame of an exabyte": (for_ever(b" " * 65536, frame(b"", length=2**62)), ChannelUnavailableError),
    "a message of endless pieces": (
        for_ever(frame(b" " * 65536, kind=PIECE, is_last=False), frame(b"", is_last=False)),
        ChannelUnavailableError,
    ),
    "a message of endless empty pieces": (
        for_ever(frame(b"", kind=PIECE, is_last=False) * 4096, frame(b"", is_last=False)),
        ChannelError,
    ),
    "a reserved opcode": (once(frame(b"", kind=5)), ChannelUnavailableError),
    "a masked frame": (once(b"\x81\x85abcdHELLO"), ChannelUnavailableError),
    "wrong UTF-8": (once(frame(b"\xff\xfe")), MalformedReplyError),
    "wrong UTF-8 as bytes": (once(frame(b"\xff\xfe", kind=BINARY)), MalformedReplyError),
    "a surrogate": (once(frame(b"\xed\xa0\x80", kind=BINARY)), MalformedReplyError),
    "arrays 100,000 deep": (once(frame(b"[" * 100_000)), MalformedReplyError),
    "objects 100,000 deep": (once(frame(b'{"type":' * 100_000)), MalformedReplyError),
    "a price of 4 MB": (once(with_price("1" * 4_000_000)), MalformedReplyError),
    "1e999999999": (once(with_price("1e999999999")), MalformedReplyError),
    "1e-999999999": (once(with_price("1e-999999999")), MalformedReplyError),
    "NaN": (once(with_price("NaN")), MalformedReplyError),
    "NaN as text": (once(spoiled(trade_price="NaN")), MalformedReplyError),
    "a stamp of 4,000 digits": (once(spoiled(timestamp=10**4000)), MalformedReplyError),
    "a stamp before Christ": (once(spoiled(timestamp=-(10**17))), MalformedReplyError),
    "escape sequences for a code": (once(spoiled(code="KRW-\x1b[2J")), MalformedReplyError),
    "an error of 3 MB": (
        once(frame(b'{"error":{"name":"\\u001b[2J","message":"' + b"x" * 3 * MB + b'"}}')),
        ChannelUnavailableError,
    ),
    "a close with escapes": (once(frame(b"\x03\xe8\x1b[2J", kind=8)), ChannelUnavailableError),
    "silence": (once(), ChannelTimeoutError),
    "endless strangers": (for_ever(frame(json.dumps(snapshots("ticker", "KRW-ETH")).encode())), ChannelTimeoutError),
}


@pytest.mark.parametrize("case", FRAMES)
async def test_whatever_a_socket_says_ends_soon_and_small(case, start, make_websocket):
    script, expected = FRAMES[case]
    channel = make_websocket(await start(script), speed=1.0, reply_timeout_s=3.0)

    with costs_at_most(seconds=20, megabytes=96), pytest.raises(expected) as caught:
        await channel.get_ticker("KRW-BTC")

    assert len(str(caught.value)) < 2000
    assert str(caught.value).isprintable()


async def test_what_unpacks_to_more_than_a_frame_may_hold_is_refused(start, make_websocket):
    bomb = frame(deflated(3000), packed=True)
    channel = make_websocket(await start(once(bomb), EXTENSION), reply_timeout_s=10.0)

    with costs_at_most(seconds=20, megabytes=64), pytest.raises(ChannelUnavailableError, match="1009"):
        await channel.get_ticker("KRW-BTC")


UPGRADES = {
    "garbage": lambda _: b"\x16\x03\x01\0\xff" * 1000,
    "no HTTP": lambda _: b"SSH-2.0-OpenSSH_9.6\r\n",
    "a flood of headers": lambda _: b"HTTP/1.1 101 X\r\n" + b"X-Flood: 1\r\n" * 100_000,
    "a header without end": lambda _: b"HTTP/1.1 101 X\r\nX: " + b"x" * 4 * MB,
    "a wrong accept": lambda _: (
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
    ),
    "an extension of its own": lambda request: switching(request, "Sec-WebSocket-Extensions: x-own"),
    "a refusal of 100 MB": lambda _: reply(b"x" * 100 * MB, status=b"503 Busy"),
    "a refusal of digits": lambda _: reply(b"1" * MB, "Retry-After: " + "9" * 400, status=b"418 Teapot"),
    "a refusal that waits twice": lambda _: reply(b"", "Retry-After: 1", "Retry-After: 2", status=b"429 Slow"),
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("case", UPGRADES)
async def test_whatever_answers_the_upgrade_ends_soon_and_small(case, start, make_websocket):
    url = await start(once(), upgrade=lambda request, *_: UPGRADES[case](request))
    channel = make_websocket(url, connect_timeout_s=2.0)

    with costs_at_most(seconds=20, megabytes=320), pytest.raises(ChannelError) as caught:
        await channel.get_ticker("KRW-BTC")

    assert str(caught.value).isprintable()
    assert caught.value.retry_after is None or caught.value.retry_after <= 86_400


async def test_a_slow_upgrade_is_not_waited_for(start, make_websocket):
    async def drip(writer):
        while True:
            await writes([b"x"], writer)
            await asyncio.sleep(0.2)

    url = await start(drip, upgrade=lambda *_: b"HTTP/1.1 101 X\r\nX: ")
    channel = make_websocket(url, connect_timeout_s=1.0)

    with costs_at_most(seconds=10, megabytes=32), pytest.raises(ChannelTimeoutError):
        await channel.get_ticker("KRW-BTC")


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary", b"308 Permanent"])
async def test_a_redirected_upgrade_is_never_followed(status, start, make_websocket):
    visits = []

    async def visited(writer):
        visits.append(writer)

    elsewhere = await start(visited)
    url = await start(once(), upgrade=lambda *_: reply(b"", f"Location: {elsewhere}", status=status))

    with pytest.raises(ChannelUnavailableError, match="upgrade refused with HTTP 3"):
        await make_websocket(url).get_ticker("KRW-BTC")
    assert visits == []


@pytest.mark.parametrize("told", ["speed=" + "9" * 308, "speed=nan", "speed=0.0000000001", "speed=1; dataset=\x9b2J"])
async def test_an_odd_announcement_changes_neither_clock_nor_screen(told, start, make_websocket):
    headers = [f"X-Market-Sandbox: {told}", "X-Market-Sandbox: dataset=twice"]
    tick = frame(json.dumps(snapshots("ticker", "KRW-BTC")).encode())
    channel = make_websocket(await start(once(tick), *headers), speed=1.0)

    ticker = await channel.get_ticker("KRW-BTC")

    assert channel._context.clock.speed == 1.0
    assert ticker.venue.isprintable()


async def test_a_stream_survives_hostile_frames_and_goes_on(start, make_websocket):
    hostile = [frame(b"[" * 50_000), spoiled(code="KRW-\x1b[2J"), with_price("1e999999999"), frame(b"\0", kind=BINARY)]
    huge = frame(json.dumps(trade(6) | {"timestamp": 10**4000}).encode())
    good = frame(json.dumps(trade(7)).encode())
    channel = make_websocket(await start(once(*hostile, huge, good)))

    async with channel.open_stream([BTC]) as stream:
        items = [await anext(stream) for _ in range(7)]

    assert [type(item) for item in items] == [LifeBegan, *[Rejected] * 5, Received]
    assert all(item.excerpt.isprintable() and item.reason.isprintable() for item in items[1:6])


@pytest.mark.parametrize(
    "script",
    [
        for_ever(b" " * 65536, frame(b"", length=2**40)),
        for_ever(frame(b"", kind=PIECE, is_last=False) * 512, frame(b"", is_last=False)),
        for_ever(frame(b"x" * 125, kind=PING) * 512),
        once(frame(b"\x03\xe8", kind=8)),
    ],
    ids=[
        "an endless frame",
        "endless empty pieces",
        "pings, and never a look at the pongs",
        "a good-bye, and no hanging up",
    ],
)
async def test_a_stream_that_is_misled_begins_a_new_life(script, start, make_websocket):
    channel = make_websocket(await start(script), speed=50.0, ping_interval_s=3000.0)
    ended = 0

    with costs_at_most(seconds=40, megabytes=96):
        async with channel.open_stream([BTC]) as stream:
            while ended < 2:
                ended += isinstance(await anext(stream), LifeEnded)
