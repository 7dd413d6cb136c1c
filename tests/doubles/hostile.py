"""What a malicious server sends, and what it may cost us at most."""

import asyncio
import gzip
import resource
import struct
import sys
import time
import tracemalloc
import zlib
from base64 import b64encode
from contextlib import contextmanager
from hashlib import sha1

MB = 1 << 20
OK_HEAD = b"HTTP/1.1 200 OK\r\nDate: Wed, 11 Mar 2026 14:40:59 GMT\r\nContent-Type: application/json\r\n"
CHUNKED = OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


@contextmanager
def costs_at_most(*, seconds, megabytes):
    """Fail if the block takes longer, allocates more at once, or makes the process grow by more."""
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    began = time.monotonic()
    try:
        yield
        took = time.monotonic() - began
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown) * _MAXRSS_UNIT
    assert took < seconds, f"{took:.1f} s, allowed were {seconds} s"
    assert max(peak, grown) < megabytes * MB, f"{peak / MB:.0f} MB traced, {grown / MB:.0f} MB grown"


def gzip_bomb(gigabytes):
    """Return a small gzip of so many gigabytes of spaces."""
    packer = zlib.compressobj(9, wbits=31)
    head, block = (packer.compress(b" " * MB) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return head + block * (gigabytes << 10)


def reply(body, *headers, status=b"200 OK"):
    """Return a whole HTTP answer."""
    head = OK_HEAD.replace(b"200 OK", status)
    told = b"".join(header.encode() + b"\r\n" for header in headers)
    return head + told + b"Content-Length: %d\r\n\r\n" % len(body) + body


def gzipped(body):
    return reply(gzip.compress(body), "Content-Encoding: gzip")


def endless(head, piece, *, pause=0.0):
    """Script: write ``head``, and then ``piece`` for as long as anybody listens."""

    async def script(_, writer):
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return script


def switching(request, *headers):
    """Return the answer that accepts the upgrade of ``request``."""
    key = next(
        line.split(b":")[1].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    accept = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324 - RFC 6455
    told = b"".join(header.encode() + b"\r\n" for header in headers)
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return head + b"Sec-WebSocket-Accept: " + accept + b"\r\n" + told + b"\r\n"


TEXT, BINARY, PING, PIECE = 1, 2, 9, 0


def frame(body, *, kind=TEXT, is_last=True, packed=False, length=None):
    """Return a frame of a server; ``length`` is what its head says, be it a lie."""
    first = kind | (0x80 if is_last else 0) | (0x40 if packed else 0)
    length = len(body) if length is None else length
    if length < 126:
        return struct.pack("!BB", first, length) + body
    return struct.pack("!BBQ", first, 127, length) + body


def deflated(megabytes):
    """Return a permessage-deflate body of so many megabytes of spaces."""
    packer = zlib.compressobj(9, wbits=-15)
    return (packer.compress(b" " * MB) + packer.flush(zlib.Z_FULL_FLUSH)) * megabytes
