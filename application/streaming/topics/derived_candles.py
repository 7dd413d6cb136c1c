"""Follow a timeframe without a stream: its minutes are followed as anybody follows them, REST says FINAL."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from attrs import define, field

from ....domain.candle import Candle
from ....domain.errors import ChannelUnavailableError, MarketDataError, RequestError
from ....domain.events import (
    Backfilled,
    CandleRevised,
    CandleUpdated,
    ChannelSwitched,
    Degraded,
    Gap,
    HistoryRewritten,
    ItemRejected,
    MarketEvent,
    Recovered,
)
from ....domain.ports import Channel, Clock, ServerTime
from ....domain.series import CandleSeries
from ....domain.streaming import LiveValue
from ...paging.readers import read_candles
from ..delivery.subscriber import Subscriber
from .aggregator import Aggregator, cover_with_timeframes
from .candles import CandleTopic
from .topic import TopicState

REFRESH_S = 60.0
"""How often the venue's own view of the slot is read, to compare."""

RETRY_S = 1.0
UNDATED = "it has not yet told the time"


@define(eq=False)
class DerivedCandleTopic(CandleTopic):
    """Candles made of minutes while they form; FINAL by REST only.

    Attributes:
        wants_rows: set while the rows before the followed minutes have to be read, or read anew.

    """

    aggregator: Aggregator = field(init=False)
    wants_rows: asyncio.Event = field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        """Tell nothing before the first rows have been read."""
        self.aggregator = Aggregator(self.timeframe)
        self.wants_rows.set()

    def apply(self, *values: LiveValue) -> Iterator[MarketEvent]:
        """Take newer views of minutes."""
        for value in values:
            derived = self.aggregator.add(value) if isinstance(value, Candle) else None
            if derived is not None:
                yield from self._tell(derived)

    def begin(self, slot: datetime, rows: list[Candle]) -> Iterator[MarketEvent]:
        """Take the rows that were asked for, oldest first."""
        for derived in self.aggregator.begin(slot, rows):
            yield from self._tell(derived)

    def invalidate(self) -> None:
        """Tell nothing until the rows have been read anew."""
        self.aggregator.forget()
        self.wants_rows.set()

    def _tell(self, derived: Candle) -> Iterator[MarketEvent]:
        self._newest = derived
        yield from self.tracker.apply_derived(derived)

    def _join(self, series: CandleSeries, channel: str) -> Iterator[MarketEvent]:
        """Compare the venue's view with what was derived; where they contradict each other, the venue's stands."""
        # before the page is applied: what it refutes must not win against it
        if len(series) and not series[-1].is_final and self.aggregator.is_refuted_by(series[-1]):
            self.tracker.forget_view(series[-1].opened_at)
            self.invalidate()
        yield from super()._join(series, channel)


@define(eq=False, kw_only=True)
class DerivedCandleFeed:
    """Keeps one derived topic going while it is followed.

    Attributes:
        minutes: the topic of the minutes, which ``subscriber`` follows already: first subscribed, then read,
            so that no minute lies between.
        settled_after: how long after its end a row of any timeframe is FINAL.
        on_minute: called whenever a minute has moved.

    """

    topic: DerivedCandleTopic
    minutes: TopicState
    subscriber: Subscriber
    rest: Channel
    clock: Clock
    server_time: ServerTime
    timeout_s: float
    settled_after: timedelta
    on_minute: Callable[[], None]

    async def run(self) -> None:
        """Derive until cancelled; an end of the minutes is the end of the topic."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_rows())
            tasks.create_task(self._follow_minutes())

    async def _follow_minutes(self) -> None:
        while True:
            try:
                event = await self.subscriber.buffer.get()
            except MarketDataError as error:
                self.topic.subscribers.fail(error)
                return
            self._on_event(event)

    def _on_event(self, event: MarketEvent) -> None:
        match event:
            case CandleUpdated(candle=minute):
                self.on_minute()
                self.topic.subscribers.publish(self.topic.apply(minute))
            case Backfilled(candle=minute) | CandleRevised(new=minute):
                if self.topic.aggregator.holds(minute):
                    self.topic.invalidate()
            case Gap() | HistoryRewritten():
                self.topic.invalidate()
            case ChannelSwitched() | Degraded() | Recovered() | ItemRejected():
                self.topic.subscribers.publish((event,))
            case _:
                return

    async def _keep_rows(self) -> None:
        await self.minutes.subscribers.wait_until_live(self.clock.to_real_s(self.timeout_s))
        while True:
            await self.topic.wants_rows.wait()
            self.topic.wants_rows.clear()  # a doubt that comes while rows are read asks for others
            try:
                await self._read_rows()
            except RequestError:
                return  # the feed, which asks the same channel, tells the followers
            except MarketDataError:
                self.topic.wants_rows.set()
                await self.clock.sleep(RETRY_S)

    async def _read_rows(self) -> None:
        now = self.server_time.earliest()
        if now is None:
            raise ChannelUnavailableError(UNDATED, channel=self.rest.name)
        parts = cover_with_timeframes(self.topic.timeframe, now, now - self.settled_after)
        rows: list[Candle] = []
        for timeframe, span in parts:
            rows += await read_candles(self.rest, self.topic.topic.symbol, timeframe, span)
        followed = self.minutes.held_since(parts[-1][1].start)
        self.topic.subscribers.publish(self.topic.begin(self.topic.timeframe.floor(now), [*rows, *followed]))
