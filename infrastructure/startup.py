"""From nothing to a ready API: ``create_unified_api``."""

from collections.abc import Generator, Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

from ..application.api import UnifiedMarketDataAPI
from ..config import LoadedSettings, load_settings
from ..domain.ports import RoutingPolicy
from .container import Container
from .sandbox import Sandbox, SandboxConfig


class OpeningApi:
    """An API that is about to be opened: ``await`` it, or use it with ``async with``.

    Awaited, the caller closes the API; the embedded sandbox of ``development`` ends with it.
    """

    def __init__(
        self,
        environment: str | None,
        settings: Mapping[str, object] | None,
        policy: RoutingPolicy | str | None,
    ) -> None:
        """Remember what was asked for."""
        self._environment = environment
        self._overrides = settings
        self._policy = policy
        self._api: UnifiedMarketDataAPI | None = None

    def __await__(self) -> Generator[Any, None, UnifiedMarketDataAPI]:
        """Open the API."""
        return self._open().__await__()

    async def __aenter__(self) -> UnifiedMarketDataAPI:
        """Open the API for the length of a block."""
        self._api = await self._open()
        return self._api

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._api is not None:
            await self._api.close()

    async def _open(self) -> UnifiedMarketDataAPI:
        async with AsyncExitStack() as resources:
            container = await open_container(resources, self._environment, self._overrides, self._policy)
            api: UnifiedMarketDataAPI = container.api()
            api.closes_with(resources.pop_all())
        return api


async def open_container(
    resources: AsyncExitStack,
    environment: str | None = None,
    overrides: Mapping[str, object] | None = None,
    policy: RoutingPolicy | str | None = None,
) -> Container:
    """Return the wiring of an environment; its embedded sandbox, if any, ends with ``resources``."""
    loaded = load_settings(environment, overrides)
    addresses = await start_sandbox(loaded, resources)
    if addresses:
        loaded = load_settings(environment, {**flat(overrides), **addresses})
    return Container(settings=loaded.settings, policy=policy)


def flat(overrides: Mapping[str, object] | None) -> dict[str, object]:
    """Return nested overrides with dotted keys."""
    found: dict[str, object] = {}
    for key, value in (overrides or {}).items():
        if isinstance(value, Mapping):
            nested = cast("Mapping[str, object]", value)
            found |= {f"{key}.{inner}": leaf for inner, leaf in flat(nested).items()}
        else:
            found[key] = value
    return found


async def start_sandbox(loaded: LoadedSettings, resources: AsyncExitStack) -> dict[str, object]:
    """Start the embedded sandbox if the settings want one and name no address; answers where it is."""
    settings = loaded.settings
    if not settings.sandbox.embedded or settings.upbit.rest_url or settings.upbit.websocket_url:
        return {}
    config = SandboxConfig(
        seed=settings.sandbox.seed,
        speed=settings.sandbox.speed,
        port=settings.sandbox.port,
        region=settings.upbit.region,
    )
    sandbox = await resources.enter_async_context(Sandbox(config))
    return {
        "upbit.rest_url": sandbox.rest_url,
        "upbit.websocket_url": sandbox.websocket_url,
        "cache.store": "memory",  # the market ends with this process; nobody will ask for its past again
    }


def create_unified_api(
    environment: str | None = None,
    settings: Mapping[str, object] | None = None,
    policy: RoutingPolicy | str | None = None,
) -> OpeningApi:
    """Open the API: await the result, or use it with ``async with``.

    Args:
        environment: ``production`` (the exchange itself), ``development`` or ``test`` (an embedded sandbox);
            ``MARKET_BACKBONE_ENV`` when left out, and ``production`` without it.
        settings: values that go before every file and variable, nested or dotted.
        policy: a routing policy or the name of an installed one; ``routing.policy`` when left out.

    Raises:
        ConfigurationError: settings are wrong; every mistake is named.
        PluginError: no channel or no such policy is installed.

    """
    return OpeningApi(environment, settings, policy)
