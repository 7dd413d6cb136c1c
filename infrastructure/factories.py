"""From settings to the values that the parts want; called by the container only."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType

import attrs

from ..application.composition import ApiOptions
from ..application.runtime.telemetry import Telemetry
from ..config import Settings
from ..config.settings import FinalitySettings
from ..domain.adapter import AdapterContext
from ..domain.errors import PluginError
from ..domain.finality import Grace
from ..domain.ports import Channel, Clock, RoutingPolicy, ServerTime
from .registry import Registry


def grace(settings: FinalitySettings) -> Grace:
    """Return the grace of every timeframe."""
    table = {frame: timedelta(seconds=seconds) for frame, seconds in settings.grace_by_timeframe.items()}
    return Grace(timedelta(seconds=settings.grace_s), MappingProxyType(table))


def channels(  # noqa: PLR0917 - the container injects by position
    registry: Registry,
    settings: Settings,
    clock: Clock,
    server_times: Callable[[str], ServerTime],
    grace: Grace,
    telemetry: Telemetry,
) -> Mapping[str, Channel]:
    """Build every installed channel; one that cannot be built is reported and left out.

    Raises:
        PluginError: no channel is left.

    """
    sections = attrs.asdict(settings, recurse=True)
    sections["cache"]["folder"] = str(settings.cache_folder())
    options: Mapping[str, object] = MappingProxyType(sections)

    def warn(event: str, text: str) -> None:
        telemetry.warning(event, detail=text)

    def context_of(name: str) -> AdapterContext:
        return AdapterContext(
            name=name,
            options=options,
            clock=clock,
            server_time=server_times(""),
            server_times=server_times,
            grace=grace,
            warn=warn,
            observe=telemetry.observe,
        )

    built = registry.build_channels(context_of)
    for problem in registry.problems:
        telemetry.warning(
            "plugin_skipped", name=problem.name, group=problem.group, origin=problem.origin, error=problem.error
        )
    if not built:
        reasons = "; ".join(f"{problem.name}: {problem.error}" for problem in registry.problems)
        msg = f"no channel is installed or allowed ({reasons or 'check plugins.adapters'}); reinstall market-backbone"
        raise PluginError(msg)
    return built


def policy(registry: Registry, given: RoutingPolicy | str | None, configured: str) -> RoutingPolicy:
    """Return the policy that was given, by object or by name, or the configured one."""
    if isinstance(given, str) or given is None:
        return registry.policy(given or configured)
    return given


def options(settings: Settings, grace: Grace) -> ApiOptions:
    """Return what the API wants to know of the settings."""
    return ApiOptions(
        cool_down_s=settings.routing.cool_down_s,
        queue_capacity=settings.queue.capacity,
        queue_concurrency=settings.queue.concurrency,
        event_capacity=settings.follow.event_capacity,
        polling_interval_s=settings.follow.polling_interval_s,
        snapshot_timeout_s=settings.follow.snapshot_timeout_s,
        repair_bound_s=settings.follow.repair_bound_s,
        stall_after_s=settings.follow.stall_after_s,
        grace=grace,
    )
