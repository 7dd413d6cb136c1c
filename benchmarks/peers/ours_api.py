"""What our own clients share: an API that talks to the server of the bench, and the faster loop where there is one."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tally import addresses

from market_backbone import UnifiedMarketDataAPI, create_realtime_request, create_unified_api

try:
    from uvloop import run
except ImportError:
    from asyncio import run

__all__ = ["follow", "opened", "run"]


def opened(**settings: object) -> AbstractAsyncContextManager[UnifiedMarketDataAPI]:
    """Open an API that holds nothing; more settings by their name, with a double underscore for the dot."""
    _, rest, websocket = addresses()
    given = {name.replace("__", "."): value for name, value in settings.items()}
    chosen = {"upbit.rest_url": rest, "upbit.websocket_url": websocket, "cache.store": "memory", "log.level": "ERROR"}
    return create_unified_api("test", chosen | given)


async def follow(api: UnifiedMarketDataAPI, symbol: str, kind: str, take: Callable[[object], object]) -> None:
    """Follow one topic until cancelled, and call back with each event."""
    async with api.follow(create_realtime_request(symbol, kind=kind)) as events:
        async for event in events:
            take(event)
