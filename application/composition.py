"""How the parts are put together: each is made once, in an order in which it knows only those before it."""

from collections.abc import Callable, Mapping

from attrs import frozen

from ..domain.finality import Grace
from ..domain.ports import CandleCache, Channel, Clock, RoutingPolicy, ServerTime
from .api import ApiParts, UnifiedMarketDataAPI
from .archive.audit import Auditor
from .archive.catalog import CandleCatalog
from .archive.downloader import Downloader
from .archive.verification import StoreVerifier
from .cache.series_cache import SeriesCache
from .cache.write_behind import WriteBehind
from .requests.answer_cache import AnswerCache
from .requests.service import RequestService
from .routing.channel_directory import ChannelDirectory
from .routing.router import SmartChannelRouter
from .runtime.loop_monitor import LoopMonitor
from .runtime.tasks import TaskSupervisor
from .runtime.telemetry import StoreErrors, Telemetry
from .scheduling.request_queue import DataRequestQueue
from .streaming.feeds.context import FRAMES_IN_A_ROW, FeedOptions
from .streaming.follow import FollowService
from .streaming.hub import LiveHub
from .streaming.live_view import LiveView


@frozen(kw_only=True)
class ApiOptions:
    """Everything about the API that settings decide; seconds are market seconds."""

    cool_down_s: float
    queue_capacity: int
    queue_concurrency: int
    event_capacity: int
    polling_interval_s: float
    snapshot_timeout_s: float
    repair_bound_s: float
    stall_after_s: float
    grace: Grace


def build_api(  # noqa: PLR0917 - the container injects by position
    channels: Mapping[str, Channel],
    policy: RoutingPolicy,
    options: ApiOptions,
    clock: Clock,
    server_times: Callable[[str], ServerTime],
    telemetry: Telemetry,
    rng: Callable[[], float],
) -> UnifiedMarketDataAPI:
    """Return an API over these channels, which are closed with it.

    ``server_times`` returns the clock of each venue by its prefix; ``rng`` draws from [0, 1).
    """

    def report_task(task: str, error: Exception) -> None:
        telemetry.warning("task_failed", task=task, error=f"{type(error).__name__}: {error}")

    tasks, directory = TaskSupervisor(report_task), ChannelDirectory(channels, server_times)
    live_view = LiveView(logger=telemetry)
    cache = _new_cache(directory, live_view, clock, tasks, telemetry)
    router = SmartChannelRouter(
        channels,
        policy,
        clock,
        cool_down_s=options.cool_down_s,
        rng=rng,
        telemetry=telemetry,
        followed=live_view.followed,
        held=cache.held,
    )
    queue = DataRequestQueue(options.queue_capacity, options.queue_concurrency, tasks, clock)
    hub = _new_hub(live_view, cache, router, clock, tasks, options)
    catalog = CandleCatalog(cache=cache)
    requests = RequestService(
        router=router,
        queue=queue,
        live_view=live_view,
        cache=cache,
        catalog=catalog,
        verifier=StoreVerifier(cache=cache, queue=queue, tasks=tasks),
        clock=clock,
        answers=AnswerCache(router=router, live_view=live_view, cache=cache, clock=clock),
    )
    downloader = Downloader(catalog=catalog, router=router, queue=queue, clock=clock, grace=options.grace)
    auditor = Auditor(downloader=downloader, ask=requests.get_candles)
    follow = _new_follow(hub, requests, LoopMonitor(clock, tasks, telemetry), options)
    parts = ApiParts(requests, hub, follow, downloader, auditor, tasks, telemetry)
    return UnifiedMarketDataAPI(parts)


def _new_cache(
    directory: ChannelDirectory, live_view: LiveView, clock: Clock, tasks: TaskSupervisor, telemetry: Telemetry
) -> SeriesCache:
    channel = next((one for one in directory.channels.values() if isinstance(one, CandleCache)), None)
    errors = StoreErrors(telemetry)
    write_behind = WriteBehind(
        store=None if channel is None else channel.store, clock=clock, tasks=tasks, errors=errors
    )
    return SeriesCache(directory=directory, channel=channel, live=live_view, errors=errors, write_behind=write_behind)


def _new_hub(  # noqa: PLR0917 - called once, above
    live_view: LiveView,
    cache: SeriesCache,
    router: SmartChannelRouter,
    clock: Clock,
    tasks: TaskSupervisor,
    options: ApiOptions,
) -> LiveHub:
    feed_options = FeedOptions(
        polling_interval_s=options.polling_interval_s,
        stall_after_s=options.stall_after_s,
        snapshot_timeout_s=options.snapshot_timeout_s,
        hold_bound_s=options.repair_bound_s,
        frames_in_a_row=max(1, min(FRAMES_IN_A_ROW, options.event_capacity // 2)),  # a reader keeps up with half of it
    )
    return LiveHub(
        live_view=live_view,
        router=router,
        clock=clock,
        directory=cache.directory,
        grace=options.grace,
        options=feed_options,
        tasks=tasks,
        write_behind=cache.write_behind,
    )


def _new_follow(hub: LiveHub, requests: RequestService, monitor: LoopMonitor, options: ApiOptions) -> FollowService:
    return FollowService(
        hub=hub,
        router=requests.router,
        history=requests.get_candles,
        clock=requests.clock,
        directory=requests.cache.directory,
        capacity=options.event_capacity,
        snapshot_timeout_s=options.snapshot_timeout_s,
        monitor=monitor,
    )
