"""How the parts are put together: each is made once, in an order in which it knows only those before it."""

from collections.abc import Callable, Mapping
from datetime import timedelta

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

    tasks = TaskSupervisor(report_task)
    directory = ChannelDirectory(channels, server_times)
    live_view, errors = LiveView(logger=telemetry), StoreErrors(telemetry)
    store = next((channel.store for channel in channels.values() if isinstance(channel, CandleCache)), None)
    write_behind = WriteBehind(store=store, clock=clock, tasks=tasks, errors=errors)
    cache = SeriesCache(directory=directory, live=live_view, errors=errors, write_behind=write_behind)
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
    hub = LiveHub(
        live_view=live_view,
        router=router,
        clock=clock,
        directory=directory,
        grace=options.grace,
        repair_bound=timedelta(seconds=options.repair_bound_s),
        rules=_feed_rules(options),
        tasks=tasks,
        write_behind=write_behind,
    )
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
    follow = FollowService(
        hub=hub,
        router=router,
        history=requests.get_candles,
        clock=clock,
        directory=directory,
        capacity=options.event_capacity,
        snapshot_timeout_s=options.snapshot_timeout_s,
        monitor=LoopMonitor(clock, tasks, telemetry),
    )
    return UnifiedMarketDataAPI(
        ApiParts(
            router=router,
            queue=queue,
            requests=requests,
            hub=hub,
            follow=follow,
            catalog=catalog,
            downloader=downloader,
            auditor=Auditor(downloader=downloader, ask=requests.get_candles),
            tasks=tasks,
            telemetry=telemetry,
            clock=clock,
        )
    )


def _feed_rules(options: ApiOptions) -> FeedOptions:
    return FeedOptions(
        polling_interval_s=options.polling_interval_s,
        stall_after_s=options.stall_after_s,
        snapshot_timeout_s=options.snapshot_timeout_s,
        hold_bound_s=options.repair_bound_s,
        frames_in_a_row=max(1, min(FRAMES_IN_A_ROW, options.event_capacity // 2)),  # readers keep up with half of it
    )
