"""Upbit as two channels, ``rest`` and ``websocket``.

Links: https://docs.upbit.com/kr/reference · limits: 10 calls a second per group and address, 5 connects
a second, 5 messages a second and 100 a minute per socket · quirks: no server clock but ``Date``, no
acknowledgement of subscriptions, a new subscription replaces the old one, unknown codes are ignored in
silence, sockets idle for 60 s are closed without a word.
"""

from ...domain.adapter import AdapterContext
from .options import UpbitOptions
from .rest import UpbitRest
from .websocket import UpbitWebSocket

__all__ = ["UpbitOptions", "UpbitRest", "UpbitWebSocket", "rest_channel", "websocket_channel"]


def _options(context: AdapterContext) -> UpbitOptions:
    """Read the sections ``upbit`` and ``budget``."""
    return UpbitOptions.read({**context.section("upbit"), **context.section("budget")})


def rest_channel(context: AdapterContext) -> UpbitRest:
    """Build the channel ``rest``."""
    return UpbitRest(_options(context), context)


def websocket_channel(context: AdapterContext) -> UpbitWebSocket:
    """Build the channel ``websocket``."""
    return UpbitWebSocket(_options(context), context)
