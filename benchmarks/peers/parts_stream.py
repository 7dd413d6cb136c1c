"""Frames to a callback by the best parts, with nothing around them.

Run: python parts_stream.py PART KIND ADDRESS, where PART is websockets, aiohttp (both to floats) or bytes (a bare
socket that counts messages, to know what the server can do).
"""

import asyncio
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
import websockets
import websockets.client
import websockets.uri
from parts_frames import reader_of
from tally import Tally, addresses, subscription

END = b'"stream_type"'


async def by_websockets(url: str, text: str, take: Callable[[bytes], None]) -> None:
    """Receive with the package websockets."""
    async with websockets.connect(url, compression=None, ping_interval=None, proxy=None) as socket:
        await socket.send(text)
        while True:
            take(await socket.recv(decode=False))


async def by_aiohttp(url: str, text: str, take: Callable[[bytes], None]) -> None:
    """Receive with aiohttp."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_str(text)
        async for message in socket:
            take(message.data)


async def bytes_only(url: str, text: str, tally: Tally) -> None:
    """Count messages in what a bare socket brings, without parsing anything."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port, limit=1 << 22)
    protocol = websockets.client.ClientProtocol(websockets.uri.parse_uri(url))
    protocol.send_request(protocol.connect())
    writer.writelines(protocol.data_to_send())
    await reader.readuntil(b"\r\n\r\n")
    protocol.state = websockets.protocol.State.OPEN
    protocol.send_text(text.encode())
    writer.writelines(protocol.data_to_send())
    rest = b""
    while data := rest + await reader.read(1 << 20):
        tally.hits(data.count(END))
        rest = data[-len(END) + 1 :]  # too short to hold the end of a message that was counted


async def main(part: str) -> None:
    """Receive until the flow ends."""
    kind, _, url = addresses()
    tally, text = Tally(), subscription(kind)
    if part == "bytes":
        receiving = bytes_only(url, text, tally)
    else:
        way = {"websockets": by_websockets, "aiohttp": by_aiohttp}[part]
        receiving = way(url, text, reader_of(kind, tally))
    task = asyncio.create_task(receiving)
    await tally.watch()
    task.cancel()
    tally.tell()


if __name__ == "__main__":
    chosen = sys.argv.pop(1)
    asyncio.run(main(chosen))
