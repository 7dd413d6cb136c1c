"""A text endpoint on loopback, served by the loop that the API runs in."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from ...domain.errors import ClosedError, ConfigurationError

HOST = "127.0.0.1"
PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def serving(text: Callable[[], bytes], port: int) -> AsyncGenerator[str]:
    """Answer a GET of /metrics with ``text`` until the context ends; yields the address.

    Args:
        text: makes the answer; ``ClosedError`` becomes status 503.
        port: 0 for any that is free.

    Raises:
        ConfigurationError: the port cannot be had.

    """

    async def answer(_: web.Request) -> web.Response:
        try:
            body = text()
        except ClosedError as error:
            return web.Response(status=503, text=str(error))
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    application = web.Application()
    application.router.add_get(PATH, answer)
    runner = web.AppRunner(application, access_log=None)
    try:
        await runner.setup()
        site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            msg = f"metrics.port: cannot listen on {HOST}:{port} ({error.strerror}); choose another, or 0 for any"
            raise ConfigurationError(msg) from error
        bound: int = runner.addresses[0][1]
        yield f"http://{HOST}:{bound}{PATH}"
    finally:
        await runner.cleanup()
