"""The candles of one API that outlive a request, and everything that keeps them true."""

from collections.abc import Awaitable, Callable

from attrs import define, field

from ..domain.capabilities import DataKind
from ..domain.events import MarketEvent
from ..domain.finality import Grace
from ..domain.ledger import SeriesKey
from ..domain.ports import CandleCache, CandleStore, Clock, Logger
from ..domain.request import CandleRequest, Topic
from ..domain.series import CandleSeries
from .archive.audit import Auditor
from .archive.catalog import CandleCatalog
from .archive.downloader import Downloader
from .archive.verification import StoreVerifier
from .cache.series_cache import SeriesCache
from .cache.write_behind import WriteBehind
from .routing.channel_directory import ChannelDirectory
from .routing.router import SmartChannelRouter
from .runtime.tasks import TaskSupervisor
from .scheduling.request_queue import DataRequestQueue
from .streaming.hub import LiveHub


@define(eq=False, kw_only=True)
class Archive:
    """Wires the parts together; ``open`` has to be called once the live side is there."""

    router: SmartChannelRouter
    queue: DataRequestQueue
    tasks: TaskSupervisor
    clock: Clock
    directory: ChannelDirectory
    grace: Grace
    logger: Logger
    write_behind: WriteBehind = field(init=False)
    desk: SeriesCache = field(init=False)
    catalog: CandleCatalog = field(init=False)
    downloader: Downloader = field(init=False)
    auditor: Auditor = field(init=False)
    _verifier: StoreVerifier = field(init=False)
    _told: str = ""

    def __attrs_post_init__(self) -> None:
        """Make what listens to streams."""
        self.write_behind = WriteBehind(store=self.store, clock=self.clock, tasks=self.tasks, report=self._report)

    @property
    def store(self) -> CandleStore | None:
        """The store of the first channel that has one."""
        channels = self.router.channels.values()
        return next((channel.store for channel in channels if isinstance(channel, CandleCache)), None)

    def open(self, hub: LiveHub, ask: Callable[[CandleRequest], Awaitable[CandleSeries]]) -> None:
        """Stand between requests and the venue; ``ask`` answers what is not held."""

        def publish(key: SeriesKey, event: MarketEvent) -> None:
            self.logger.warning("history_changed", series=str(key), change=type(event).__name__)
            hub.publish(Topic(DataKind.CANDLE, key.symbol, key.timeframe), event)

        self.desk = SeriesCache.of(
            self.directory,
            publish=publish,
            report=self._report,
            tip=hub.tip_of,
            flush=self.write_behind.flush,
        )
        self.catalog = CandleCatalog(desk=self.desk, references=self.directory.reference_symbols_of)
        self.downloader = Downloader(
            catalog=self.catalog,
            router=self.router,
            queue=self.queue,
            clock=self.clock,
            directory=self.directory,
            grace=self.grace,
        )
        self.auditor = Auditor(downloader=self.downloader, ask=ask)
        self._verifier = StoreVerifier(
            store=self.store,
            queue=self.queue,
            tasks=self.tasks,
            directory=self.directory,
            wrap=lambda channel: self.desk.wrap(channel, reads=True),
            report=self._report,
        )
        self.router.watch_holdings(self.desk.held)

    def _report(self, error: str) -> None:
        """Say it once: a disk that is full fails every request alike."""
        if error != self._told:
            self._told = error
            self.logger.warning("store_failed", error=error)

    async def finish(self, series: CandleSeries) -> CandleSeries:
        """Return an answer with outages told; what was used is compared with the venue again if that is due."""
        channels = self.directory.serving(series.symbol.venue_prefix)
        source = next((one for one in channels if self.desk.remembers(one) and one.venue == series.venue), None)
        await self._verifier.verify_if_due(SeriesKey(series.venue, series.symbol, series.timeframe), source)
        return await self.catalog.label(series)
