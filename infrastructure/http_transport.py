"""HTTP as the adapters need it: one GET with bounds on time and size, and errors of our own tree."""

import asyncio
import ssl
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Protocol

import aiohttp
from attrs import define, frozen
from multidict import CIMultiDict

from ..domain.errors import ChannelTimeoutError, ChannelUnavailableError, ClosedError, MalformedReplyError
from ..domain.ports import Clock
from .sanitize import excerpt

GZIP = 16 + zlib.MAX_WBITS
USER_AGENT = "market-backbone"
LAST_DATE_S = 221_845_392_000.0
"""The year 9000: a clock that says more leaves nothing to reckon with."""


@frozen(kw_only=True)
class HttpLimits:
    """Bounds of one exchange of messages; time-outs are real seconds."""

    connect_timeout_s: float
    reply_timeout_s: float
    max_reply_bytes: int


@frozen(kw_only=True)
class Reply:
    """An answer of any status.

    ``sent`` and ``received`` are monotonic instants of market time; the request was not written before ``sent``.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent: float
    received: float

    @property
    def round_trip_s(self) -> float:
        """Market seconds from sending to having read the answer."""
        return self.received - self.sent

    def date_s(self) -> float | None:
        """Return the server's ``Date`` in epoch seconds (resolution 1 s); None where missing or odd."""
        try:
            date = parsedate_to_datetime(self.headers["Date"])
            at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (KeyError, ValueError, OverflowError):
            return None
        return at if 0 <= at < LAST_DATE_S else None


class SendHooks(Protocol):
    """Hears how a request fares."""

    def written(self) -> None:
        """Hear that its bytes were written: again, should the connection have been a dead one."""
        ...

    def answered(self) -> None:
        """Hear that the head of the answer has arrived."""
        ...


class Http(Protocol):
    """Calls to one host."""

    async def get(self, path: str, query: Mapping[str, str], hooks: SendHooks | None = None) -> Reply:
        """Return the answer to one GET, of any status; raises errors of our tree."""
        ...

    async def close(self) -> None:
        """Release every connection; idempotent."""
        ...


HttpFactory = Callable[[str, HttpLimits, Clock, ssl.SSLContext | None, str], Http]
"""Makes what calls a base address; the last argument names the channel, for errors."""


class GzipBody:
    """The body of an answer as its pieces arrive, unpacked where it was packed by gzip. No I/O.

    Unpacking here what aiohttp hands over as it came takes half the time of having aiohttp do it in pieces: of an
    answer of 72 kB that is a tenth of the time of the whole request.

    Invariant: it never holds more than one byte beyond the limit, however well the answer was packed.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        """Expect a body in an encoding, as the header names it.

        Raises:
            zlib.error: it is none that was asked for.

        """
        self._limit = limit
        self._body = bytearray()
        self._taken = 0
        self._gzip = zlib.decompressobj(GZIP) if encoding.strip().lower() in {"gzip", "x-gzip"} else None
        if self._gzip is None and encoding.strip().lower() not in {"", "identity"}:
            raise zlib.error(f"it is encoded as {encoding!r}, and only gzip was asked for")

    def take(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            zlib.error: it is not what gzip makes.

        """
        self._taken += len(piece)
        if self._gzip is None:
            self._body += piece
            return
        # Members after the first would be skipped silently: a half answer would look whole.
        if self._gzip.eof and piece:
            raise zlib.error("it goes on after its end")
        # One byte more than allowed: enough to see that it is too large, whatever it would unpack to.
        self._body += self._gzip.decompress(piece, self._limit + 1 - len(self._body))
        if self._gzip.unused_data:
            raise zlib.error("it goes on after its end")

    @property
    def is_too_large(self) -> bool:
        """Whether it is larger than allowed, packed or unpacked; nothing more may be taken then."""
        return max(self._taken, len(self._body)) > self._limit

    def body(self) -> bytes:
        """Return the whole.

        Raises:
            zlib.error: the end is missing.

        """
        if self._gzip is not None and self._taken and not self._gzip.eof:
            raise zlib.error("its end is missing")
        return bytes(self._body)


@define
class _Sending:
    """When the bytes of a request were written: the last time, should the connection have been a dead one."""

    clock: Clock
    hooks: SendHooks | None
    at: float

    def written(self) -> None:
        """Note the present instant."""
        self.at = self.clock.monotonic()
        if self.hooks is not None:
            self.hooks.written()

    def answered(self) -> None:
        """Pass it on."""
        if self.hooks is not None:
            self.hooks.answered()


async def _note_written(
    _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.written()


class HttpTransport:
    """A pool of warm connections to one host; never follows a redirect, keeps no cookies, sends no Origin."""

    def __init__(self, base_url: str, limits: HttpLimits, clock: Clock, tls: ssl.SSLContext | None, name: str) -> None:
        self._base_url = base_url
        self._limits = limits
        self._clock = clock
        self._tls = tls
        self._name = name
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def get(self, path: str, query: Mapping[str, str], hooks: SendHooks | None = None) -> Reply:
        """Return the answer to one GET. A request that is abandoned, by time-out or cancelling, is cut off.

        Raises:
            ChannelTimeoutError: no whole answer in time.
            ChannelUnavailableError: no connection, a broken one, or a TLS certificate of somebody else.
            MalformedReplyError: the answer is larger than allowed, or not HTTP.
            ClosedError: after ``close``.

        """
        sending = _Sending(self._clock, hooks, self._clock.monotonic())
        try:
            async with self._open().get(
                self._base_url + path, params=query, allow_redirects=False, trace_request_ctx=sending
            ) as response:
                sending.answered()
                body = await self._read(response)
                return Reply(
                    status=response.status,
                    headers=CIMultiDict(response.headers),
                    body=body,
                    sent=sending.at,
                    received=self._clock.monotonic(),
                )
        # Before OSError, of which it is one.
        except TimeoutError as error:
            msg = f"no answer from {self._base_url} within {self._limits.reply_timeout_s:g} s; check the network"
            raise ChannelTimeoutError(msg, channel=self._name) from error
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
            msg = f"the answer of {self._base_url} is broken: {excerpt(str(error))}"
            raise MalformedReplyError(msg, channel=self._name, retryable=True) from error
        except (aiohttp.ClientError, OSError) as error:
            cause = excerpt(str(error)) or type(error).__name__
            msg = f"cannot reach {self._base_url}: {cause}; run 'market-backbone doctor'"
            raise ChannelUnavailableError(msg, channel=self._name) from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            gzip_body = GzipBody(response.headers.get("Content-Encoding", ""), self._limits.max_reply_bytes)
            async for piece in response.content.iter_any():
                gzip_body.take(piece)
                if gzip_body.is_too_large:
                    break
            else:
                return gzip_body.body()
        except zlib.error as error:
            response.close()
            msg = f"the answer of {self._base_url} is broken: {excerpt(str(error))}"
            raise MalformedReplyError(msg, channel=self._name, retryable=True) from error
        # Closed, not released: the rest of the body would be read as the next answer.
        response.close()
        msg = f"the answer is larger than {self._limits.max_reply_bytes} bytes; it was not read to its end"
        raise MalformedReplyError(msg, channel=self._name)

    def _open(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise ClosedError(f"the channel {self._name!r} is closed; create a new API object")
        if self._session is None:
            timeout = aiohttp.ClientTimeout(
                total=self._limits.reply_timeout_s, sock_connect=self._limits.connect_timeout_s
            )
            tracing = aiohttp.TraceConfig()
            tracing.on_request_headers_sent.append(_note_written)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls or True, limit=32, keepalive_timeout=50),
                timeout=timeout,
                trace_configs=[tracing],
                # GzipBody unpacks, within the limit.
                auto_decompress=False,
                # No Origin and no cookie: with an Origin Upbit allows one call in 10 s (since 2024-07-17).
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"},
            )
        return self._session

    async def close(self) -> None:
        """Release every connection; idempotent."""
        self._is_closed = True
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()
            # aiohttp's transports close in the next turn of the loop (its docs, Graceful Shutdown).
            await asyncio.sleep(0)
