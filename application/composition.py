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
from .archive.catalog import CandleLibrary
from .archive.downloader import CandleFiller
from .archive.verification import StoreVerifier
from .cache.series_cache import CacheDesk
from .cache.write_behind import FinalKeeper
from .routing.channel_directory import Venues
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
    venues: Venues
    grace: Grace
    logger: Logger
    keeper: FinalKeeper = field(init=False)
    desk: CacheDesk = field(init=False)
    library: CandleLibrary = field(init=False)
    filler: CandleFiller = field(init=False)
    auditor: Auditor = field(init=False)
    _verifier: StoreVerifier = field(init=False)
    _told: str = ""

    def __attrs_post_init__(self) -> None:
        """Make what listens to streams."""
        self.keeper = FinalKeeper(store=self.store, clock=self.clock, tasks=self.tasks, report=self._report)

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

        self.desk = CacheDesk.of(
            self.venues,
            publish=publish,
            report=self._report,
            tip=hub.tip_of,
            flush=self.keeper.flush,
        )
        self.library = CandleLibrary(desk=self.desk, references=self.venues.references_of)
        self.filler = CandleFiller(
            library=self.library,
            router=self.router,
            queue=self.queue,
            clock=self.clock,
            venues=self.venues,
            grace=self.grace,
        )
        self.auditor = Auditor(filler=self.filler, ask=ask)
        self._verifier = StoreVerifier(
            store=self.store,
            queue=self.queue,
            tasks=self.tasks,
            venues=self.venues,
            decorate=lambda channel: self.desk.decorate(channel, reads=True),
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
        channels = self.venues.serving(series.symbol.venue_prefix)
        source = next((one for one in channels if self.desk.remembers(one) and one.venue == series.venue), None)
        await self._verifier.note_use(SeriesKey(series.venue, series.symbol, series.timeframe), source)
        return await self.library.label(series)
