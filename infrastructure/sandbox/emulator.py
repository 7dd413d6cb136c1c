"""The sandbox as one object: a market, a clock, faults and a server."""

import asyncio
import re
from collections.abc import Callable
from types import TracebackType
from typing import Self

import attrs

from ...domain.errors import ConfigurationError
from .clock import SandboxClock, wall_ms
from .config import SandboxConfig
from .counters import Counters
from .faults import Fault, FaultSchedule, read_script
from .limits import RateLimits
from .market.exchange import Exchange
from .market.sources import Source, seeded_sources
from .market.symbols import specs
from .market.tickers import TickerCalculator
from .number_format import label
from .replay.recorded import recorded_sources
from .replay.recording import read_recording
from .rest.admin import AdminHandler
from .rest.endpoints import Endpoints
from .rest.rest import RestHandler
from .server import Handlers, Server
from .units import DAY, HOUR, MINUTE, SECOND, ms
from .websocket.streams import Streams
from .websocket.upgrades import UpgradeHandler

# An exchange-wide outage lies this long before the start, so that every client meets one.
_OUTAGE_BEFORE = 10 * DAY - 18 * HOUR
_OUTAGE_LENGTH = 358 * MINUTE
_UNSAFE = re.compile(r"[^A-Za-z0-9._@:+-]+")


@attrs.frozen
class _Setting:
    """What to serve, from when, and under which name."""

    dataset: str
    start_ms: int
    sources: dict[str, Source]
    waits: bool = False
    outage_ms: int | None = None


class Sandbox:
    """An emulated Upbit on loopback.

    Use it as an async context manager, or call ``start`` and ``stop``; both may be called twice.
    """

    def __init__(self, config: SandboxConfig | None = None) -> None:
        """Build the market; nothing listens yet.

        Raises:
            ConfigurationError: the recording or the fault script cannot be used.

        """
        self.config = config or SandboxConfig()
        setting = _setting_of(self.config)
        self.dataset = setting.dataset
        self._clock = SandboxClock(setting.start_ms, self.config.speed, waits=setting.waits)
        self._faults = FaultSchedule(self.config.seed)
        self.market = Exchange(setting.sources, self._faults, self._clock.now_ms)
        self.counters = Counters()
        if setting.outage_ms is not None:
            self.market.close_all(setting.outage_ms, setting.outage_ms + _OUTAGE_LENGTH)
        for fault in [] if self.config.faults is None else read_script(self.config.faults):
            self._add(fault, setting.start_ms)
        self._server = Server(self.config, self._clock, self._handlers(), self.dataset)
        self._port: int | None = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    @property
    def rest_url(self) -> str:
        """Base address of REST."""
        return f"http://{self.config.host}:{self._listening_port()}"

    @property
    def websocket_url(self) -> str:
        """Address of the public socket."""
        return f"ws://{self.config.host}:{self._listening_port()}/websocket/v1"

    def now_ms(self) -> int:
        """Return the sandbox's time."""
        return self._clock.now_ms()

    async def start(self) -> None:
        """Listen; the sandbox's time begins.

        Raises:
            ConfigurationError: the address cannot be listened on.

        """
        if self._port is not None:
            return
        self._clock.restart()
        try:
            self._port = await self._server.start()
        except OSError as error:
            message = f"cannot listen on {self.config.host}:{self.config.port}: {error.strerror or error}"
            raise ConfigurationError(message) from error

    async def stop(self) -> None:
        """Drop every connection and free the port."""
        self._port = None
        await self._server.stop()

    def inject(self, fault: Fault) -> None:
        """Let a fault begin ``at_s`` sandbox seconds from now."""
        self._add(fault, self.now_ms())

    def clear_faults(self) -> None:
        """End all faults; what was not traded during an outage stays untraded."""
        self.market.withdraw(self._faults.clear())

    def describe(self) -> dict[str, object]:
        """Return what the admin endpoint tells."""
        now = self.now_ms()
        scheduled = self._faults.scheduled()
        faults = [each.fault.to_table() | {"active": each.starts_ms <= now < each.ends_ms} for each in scheduled]
        return {
            "dataset": self.dataset,
            "speed": self.config.speed,
            "now": f"{label(now)}Z",
            "now_ms": now,
            "region": self.config.region,
            "symbols": self.market.symbols(),
            "statistics": self.counters.to_table(),
            "faults": faults,
        }

    def _add(self, fault: Fault, from_ms: int) -> None:
        self.market.apply(self._faults.add(fault, from_ms))

    def _handlers(self) -> Handlers:
        config, korean = self.config, self.config.region == "kr"
        limits = RateLimits(enabled=config.limits, block_after=config.block_after)
        tickers = TickerCalculator(self.market)
        endpoints = Endpoints(self.market, tickers, self._faults, korean=korean)
        rest = RestHandler(endpoints, limits, self._faults, self.counters, json_refusals=config.json_refusals)
        streams = Streams(self.market, tickers, self._faults, korean=korean)
        admin = AdminHandler(self.describe, self.inject, self.clear_faults)
        upgrades = UpgradeHandler(config, streams, self._faults, limits, self.counters)
        return Handlers(rest, upgrades, admin, self.counters)

    def _listening_port(self) -> int:
        if self._port is None:
            raise RuntimeError("the sandbox is not running: start it first")
        return self._port


async def serve(config: SandboxConfig, announce: Callable[[str], None]) -> None:
    """Run a sandbox until cancelled, and tell where it listens.

    Raises:
        ConfigurationError: the recording, the fault script or the address cannot be used.

    """
    async with Sandbox(config) as sandbox:
        announce(f"dataset    {sandbox.dataset} (speed {config.speed:g})")
        announce(f"REST       {sandbox.rest_url}")
        announce(f"WebSocket  {sandbox.websocket_url}")
        await asyncio.Event().wait()


def _setting_of(config: SandboxConfig) -> _Setting:
    if config.replay is not None:
        recording = read_recording(config.replay)
        name = f"replay-{_UNSAFE.sub('_', config.replay.name)}-{recording.content_hash}"
        # Candles alone are history: there is nothing to wait for.
        streams = bool(recording.captures)
        start = recording.starts_ms - (int(config.replay_lead_s * SECOND) if streams else 0)
        return _Setting(name, start, recorded_sources(recording), waits=streams and config.replay_waits)
    start = wall_ms() // SECOND * SECOND if config.starts_at is None else ms(config.starts_at)
    sources = seeded_sources(config.seed, specs(config.region, start))
    region = "" if config.region == "kr" else f"-{config.region}"
    dataset = f"seed-{config.seed}{region}@{label(start)}Z"
    return _Setting(dataset, start, sources, outage_ms=start // DAY * DAY - _OUTAGE_BEFORE)
