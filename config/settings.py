"""The tree of settings.

Default values live in ``default.toml`` and nowhere else; an environment (``development.toml`` and its
neighbours) is a set of values that differ from them. Names that end in ``_s`` are seconds.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from attrs import field, frozen

from ..domain.timeframe import Timeframe
from . import rules
from .conversion import OPTIONS

Region = Literal["kr", "sg", "id", "th"]
FrameFormat = Literal["DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LogFormat = Literal["console", "json"]
StoreKind = Literal["sqlite", "memory"]
Sharing = Literal["process", "machine"]


@frozen
class UpbitSettings:
    """Where Upbit is and how patiently to talk to it.

    Attributes:
        region: which of Upbit's exchanges; decides the official hosts.
        rest_url: address of the REST server; empty for the official host. Plain http on loopback only.
        websocket_url: address of the WebSocket server; empty for the official host. Plain ws on loopback only.
        verify_tls: check the servers' certificates.
        ca_file: file of certificates to trust instead of the system's; empty for the system's.
        connect_timeout_s: longest wait for a connection.
        reply_timeout_s: longest wait for a whole reply.
        max_reply_bytes: largest REST reply that is read.
        max_frame_bytes: largest WebSocket frame that is read.
        compression: ask for compressed replies and frames.
        ping_interval_s: time between pings on a socket.
        pong_timeout_s: longest wait for the answer to a ping.
        frame_format: form of the WebSocket frames, in Upbit's own words.

    """

    region: Region = field(validator=rules.one_of(get_args(Region)))
    rest_url: str = field(validator=rules.address("https", "http"))
    websocket_url: str = field(validator=rules.address("wss", "ws"))
    verify_tls: bool = field(validator=rules.FLAG)
    ca_file: str = field(validator=rules.PATH)
    connect_timeout_s: float = field(validator=rules.SECONDS)
    reply_timeout_s: float = field(validator=rules.SECONDS)
    max_reply_bytes: int = field(validator=rules.whole_number(1024))
    max_frame_bytes: int = field(validator=rules.whole_number(1024))
    compression: bool = field(validator=rules.FLAG)
    ping_interval_s: float = field(validator=rules.SECONDS)
    pong_timeout_s: float = field(validator=rules.SECONDS)
    frame_format: FrameFormat = field(validator=rules.one_of(get_args(FrameFormat)))


@frozen
class SandboxSettings:
    """The emulator in the box.

    Attributes:
        embedded: start one on this machine and let the Upbit adapters talk to it.
        port: TCP port of the embedded one; 0 for any that is free.
        seed: the market's seed; one seed is one market.
        speed: seconds of market time per second of real time.
        follow_speed: let the client scale its clock by the speed that a sandbox announces.

    """

    embedded: bool = field(validator=rules.FLAG)
    port: int = field(validator=rules.whole_number(0, 65535))
    seed: int = field(validator=rules.whole_number(0))
    speed: float = field(validator=rules.SPEED)
    follow_speed: bool = field(validator=rules.FLAG)


@frozen
class BudgetSettings:
    """What Upbit allows one address, until its replies say otherwise.

    Attributes:
        requests_per_s: REST requests per second and group.
        least_jitter_s: smallest spread of delays that is reckoned with.
        first_jitter_s: spread of delays that is reckoned with before it was measured.
        connects_per_s: WebSocket connections per second.
        messages_per_s: messages sent per second and socket.
        messages_per_minute: messages sent per minute and socket.
        shared: who goes by one budget: this ``process``, or all on this ``machine`` that use the same cache folder.

    """

    requests_per_s: int = field(validator=rules.whole_number(1))
    least_jitter_s: float = field(validator=rules.DELAY)
    first_jitter_s: float = field(validator=rules.DELAY)
    connects_per_s: int = field(validator=rules.whole_number(1))
    messages_per_s: int = field(validator=rules.whole_number(1))
    messages_per_minute: int = field(validator=rules.whole_number(1))
    shared: Sharing = field(validator=rules.one_of(get_args(Sharing)))


def _read_only(table: Mapping[Timeframe, float]) -> Mapping[Timeframe, float]:
    return MappingProxyType(dict(table))


@frozen
class FinalitySettings:
    """How long after its slot a candle may still change.

    Attributes:
        grace_s: market seconds after the slot's end, on the server's clock.
        grace_by_timeframe: the same for single timeframes, where it differs.

    """

    grace_s: float = field(validator=rules.DELAY)
    grace_by_timeframe: Mapping[Timeframe, float] = field(validator=rules.DELAYS, converter=_read_only, hash=False)

    def grace_s_of(self, timeframe: Timeframe) -> float:
        """Return the grace of one timeframe, in market seconds."""
        return self.grace_by_timeframe.get(timeframe, self.grace_s)


@frozen
class RoutingSettings:
    """How channels are chosen.

    Attributes:
        policy: name of an installed routing policy.
        cool_down_s: how long a failed channel is left alone.

    """

    policy: str = field(validator=rules.NAME)
    cool_down_s: float = field(validator=rules.SECONDS)


@frozen
class QueueSettings:
    """The queue of requests.

    Attributes:
        capacity: most requests that may wait.
        concurrency: most requests that are served at once.

    """

    capacity: int = field(validator=rules.whole_number(1))
    concurrency: int = field(validator=rules.whole_number(1))


@frozen
class FollowSettings:
    """Live streams.

    Attributes:
        event_capacity: most events kept for a follower who reads slowly.
        polling_interval_s: time between two reads when REST stands in for the socket.
        snapshot_timeout_s: longest wait for the first frame of a subscription.
        repair_bound_s: longest that FINAL candles are held back for a missing one.
        stall_after_s: silence of the busiest pair after which REST is asked.

    """

    event_capacity: int = field(validator=rules.whole_number(1))
    polling_interval_s: float = field(validator=rules.SECONDS)
    snapshot_timeout_s: float = field(validator=rules.SECONDS)
    repair_bound_s: float = field(validator=rules.SECONDS)
    stall_after_s: float = field(validator=rules.SECONDS)


@frozen
class PluginSettings:
    """Which installed entry points may be loaded, and what their authors let you set.

    Attributes:
        adapters: patterns of channel names.
        policies: patterns of policy names.
        options: the options of each channel by its name, as plain values; each adapter checks its own.

    """

    adapters: tuple[str, ...] = field(validator=rules.PATTERNS)
    policies: tuple[str, ...] = field(validator=rules.PATTERNS)
    options: OPTIONS = field(validator=rules.OPTIONS, hash=False)


@frozen
class CacheSettings:
    """The candle store on disk.

    Attributes:
        store: ``sqlite`` for a file that lasts, ``memory`` for nothing on disk.
        folder: where the file lies; empty for the platform's folder for caches.

    """

    store: StoreKind = field(validator=rules.one_of(get_args(StoreKind)))
    folder: str = field(validator=rules.PATH)


@frozen
class LogSettings:
    """What is logged and how.

    Attributes:
        level: least severity that is logged.
        format: for people (``console``) or for programs (``json``).

    """

    level: LogLevel = field(validator=rules.one_of(get_args(LogLevel)))
    format: LogFormat = field(validator=rules.one_of(get_args(LogFormat)))


@frozen
class MetricsSettings:
    """Metrics for Prometheus; they need the extra ``metrics``.

    Attributes:
        port: TCP port of the endpoint on this machine (127.0.0.1); 0 for any that is free, -1 for none.

    """

    port: int = field(validator=rules.whole_number(-1, 65535))


@frozen
class Settings:
    """All settings, by section."""

    upbit: UpbitSettings
    sandbox: SandboxSettings
    budget: BudgetSettings
    finality: FinalitySettings
    routing: RoutingSettings
    queue: QueueSettings
    follow: FollowSettings
    plugins: PluginSettings
    cache: CacheSettings
    log: LogSettings
    metrics: MetricsSettings

    def cache_folder(self) -> Path:
        """Return where the cache lies, the platform's own place when ``cache.folder`` is empty."""
        if self.cache.folder:
            return Path(self.cache.folder).expanduser()
        return user_cache_folder(sys.platform, os.environ) / "market-backbone"


def user_cache_folder(platform: str, environ: Mapping[str, str]) -> Path:
    """Return where programs keep caches on this platform (``sys.platform``) for this user."""
    if platform == "darwin":
        return Path.home() / "Library" / "Caches"
    variable, otherwise = ("LOCALAPPDATA", "AppData/Local") if platform == "win32" else ("XDG_CACHE_HOME", ".cache")
    folder = Path(environ.get(variable, ""))
    return folder if folder.is_absolute() else Path.home() / otherwise  # the XDG specification: relative is invalid
