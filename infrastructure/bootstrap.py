"""From nothing to a ready API: ``create_unified_api``.

What an environment needs is imported when it is opened, not with the package: the container and the adapters
bring aiohttp, websockets, structlog and more, and the sandbox and the metrics a whole web server.
"""

import os
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

from ..domain.ports import Observer, RoutingPolicy

if TYPE_CHECKING:
    from ..application.api import UnifiedMarketDataAPI
    from ..config import LoadedSettings
    from .container import Container
    from .metrics.prometheus import PrometheusObserver


_OPEN: "weakref.WeakSet[UnifiedMarketDataAPI]" = weakref.WeakSet()


def _disown_all() -> None:
    """Have every API of the parent refuse to work in its child: sockets, loop and threads stayed behind."""
    for api in tuple(_OPEN):
        api.disown("this API was opened by the process that forked this one; create one API in each process")


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_disown_all)


class OpeningApi:
    """An API that is about to be opened: ``await`` it, or use it with ``async with``.

    Awaited, the caller closes the API; the embedded sandbox of ``development`` ends with it.
    """

    def __init__(
        self,
        environment: str | None,
        settings: Mapping[str, object] | None,
        policy: RoutingPolicy | str | None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._observers = tuple(observers)
        self._environment = environment
        self._overrides = settings
        self._policy = policy
        self._api: UnifiedMarketDataAPI | None = None

    def __await__(self) -> "Generator[Any, None, UnifiedMarketDataAPI]":
        """Open the API."""
        return self._open().__await__()

    async def __aenter__(self) -> "UnifiedMarketDataAPI":
        """Open the API for the length of a block."""
        self._api = await self._open()
        return self._api

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._api is not None:
            await self._api.close()

    async def _open(self) -> "UnifiedMarketDataAPI":
        async with AsyncExitStack() as resources:
            loaded = await load(resources, self._environment, self._overrides)
            metrics = await _serve_metrics(loaded, resources)
            observers = self._observers if metrics is None else (*self._observers, metrics.observer)
            container = wired(loaded, self._policy, observers)
            api: UnifiedMarketDataAPI = container.api()
            if metrics is not None:
                metrics.observer.watch(api.status)
                api.metrics_address = metrics.address
                container.logger().info("metrics_served", address=metrics.address)
            api.closes_with(resources.pop_all())
            _OPEN.add(api)
        return api


@frozen
class _Metrics:
    """Metrics that are being served."""

    observer: "PrometheusObserver"
    address: str


async def _serve_metrics(loaded: "LoadedSettings", resources: AsyncExitStack) -> "_Metrics | None":
    """Serve metrics until ``resources`` end, if the settings want it."""
    port = loaded.settings.metrics.port
    if port < 0:
        return None
    from .metrics import prometheus_observer
    from .metrics.endpoint import serving

    observer = prometheus_observer()
    return _Metrics(observer, await resources.enter_async_context(serving(observer.text, port)))


async def open_container(
    resources: AsyncExitStack,
    environment: str | None = None,
    overrides: Mapping[str, object] | None = None,
    policy: RoutingPolicy | str | None = None,
) -> "Container":
    """Return the wiring of an environment; its embedded sandbox, if any, ends with ``resources``."""
    return wired(await load(resources, environment, overrides), policy)


def wired(
    loaded: "LoadedSettings", policy: RoutingPolicy | str | None, observers: Sequence[Observer] = ()
) -> "Container":
    """Return the wiring of settings."""
    from .container import Container

    return Container(settings=loaded.settings, policy=policy, observers=tuple(observers))


async def load(
    resources: AsyncExitStack, environment: str | None, overrides: Mapping[str, object] | None
) -> "LoadedSettings":
    """Return the settings in force; the embedded sandbox that they want, if any, ends with ``resources``."""
    from ..config import load_settings

    loaded = load_settings(environment, overrides)
    addresses = await start_sandbox(loaded, resources)
    if addresses:
        loaded = load_settings(environment, {**flat(overrides), **addresses})
    return loaded


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


async def start_sandbox(loaded: "LoadedSettings", resources: AsyncExitStack) -> dict[str, object]:
    """Start the embedded sandbox if the settings want one and name no address; answers where it is."""
    settings = loaded.settings
    if not settings.sandbox.embedded or settings.upbit.rest_url or settings.upbit.websocket_url:
        return {}
    from .sandbox import Sandbox, SandboxConfig

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
    *,
    observers: Sequence[Observer] = (),
) -> OpeningApi:
    """Open the API: await the result, or use it with ``async with``.

    Args:
        environment: ``production`` (the exchange itself), ``development`` or ``test`` (an embedded sandbox);
            ``MARKET_BACKBONE_ENV`` when left out, and ``production`` without it.
        settings: values that go before every file and variable, nested or dotted.
        policy: a routing policy or the name of an installed one; ``routing.policy`` when left out.
        observers: told of everything that happens; see docs/observability.md.

    Raises:
        ConfigurationError: settings are wrong; every mistake is named. Or metrics cannot be served.
        PluginError: no channel or no such policy is installed.

    """
    return OpeningApi(environment, settings, policy, observers)
