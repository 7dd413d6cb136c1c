"""What streams have sealed goes into the store: a few slots at a time, and soon.

Invariant: a slot is written as proven only because its FINAL candle is there; what a stream watched
between two of them is written as provisional, and never across a gap.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain

from attrs import define, field

from ...domain.candle import Candle
from ...domain.coverage import Coverage
from ...domain.errors import ChannelError
from ...domain.events import Backfilled, CandleRevised, CandleUpdated, Gap, MarketEvent
from ...domain.ledger import SeriesKey
from ...domain.ports import CandleStore, Clock
from ...domain.request import Topic
from ...domain.series import CandleSeries
from ...domain.time_range import TimeRange
from ..runtime.tasks import TaskSupervisor
from ..runtime.telemetry import StoreErrors

FLUSH_S = 5.0


@define
class _Batch:
    candles: dict[datetime, Candle] = field(factory=dict[datetime, Candle])
    watched: list[TimeRange] = field(factory=list[TimeRange])


@define(eq=False, kw_only=True)
class WriteBehind:
    """Listens to feeds and writes what is FINAL; ``store`` None keeps nothing."""

    store: CandleStore | None
    clock: Clock
    tasks: TaskSupervisor
    errors: StoreErrors
    _pages: list[CandleSeries] = field(factory=list[CandleSeries])
    _batches: dict[SeriesKey, _Batch] = field(factory=dict[SeriesKey, _Batch])
    _watched_until: dict[Topic, datetime] = field(factory=dict[Topic, datetime])
    _is_flushing: bool = False

    def listener(self, topic: Topic) -> Callable[[MarketEvent], None]:
        """Return what a feed tells its events of one topic to; a new feed has watched nothing yet."""
        self._watched_until.pop(topic, None)
        return lambda event: self._hear(topic, event)

    def _hear(self, topic: Topic, event: MarketEvent) -> None:
        match event:
            case CandleUpdated(candle=candle) if candle.is_final:
                self._keep(candle, self._watched_until.get(topic, candle.opened_at))
                self._watched_until[topic] = candle.closed_at
            case Backfilled(candle=candle) | CandleRevised(new=candle):
                self._keep(candle, candle.opened_at)
            case Gap():
                self._watched_until.pop(topic, None)
            case _:
                return

    def _keep(self, candle: Candle, watched_from: datetime) -> None:
        if self.store is None:
            return
        key = SeriesKey(candle.venue, candle.symbol, candle.timeframe)
        batch = self._batches.setdefault(key, _Batch())
        batch.candles[candle.opened_at] = candle
        batch.watched.append(TimeRange(min(watched_from, candle.opened_at), candle.closed_at))
        self._begin_flushing()

    def take_page(self, series: CandleSeries) -> None:
        """Keep an answer of the venue that a feed asked for: it proves silence, too."""
        if self.store is not None and series.coverage.proven:
            self._pages.append(series)
            self._begin_flushing()

    @property
    def is_waiting(self) -> bool:
        """Whether something was sealed that is not written yet."""
        return bool(self._batches or self._pages)

    def _begin_flushing(self) -> None:
        if not self._is_flushing and not self.tasks.is_closed:
            self._is_flushing = True
            self.tasks.start(self._flush_soon(), "keep what streams sealed")

    async def _flush_soon(self) -> None:
        await self.clock.sleep(FLUSH_S)
        self._is_flushing = False
        await self.flush()

    async def flush(self) -> None:
        """Write what waits; what cannot be written is reported and given up."""
        for series in chain(self._taken_batches(), self._taken_pages()):
            try:
                await self._write(series)
            except ChannelError as error:
                self.errors.report(str(error))
            await asyncio.sleep(0)  # a store in memory never waits, and a minute seals all codes at once

    def _taken_batches(self) -> Iterator[CandleSeries]:
        for key in tuple(self._batches):
            batch = self._batches.pop(key, None)  # another may have been flushing meanwhile
            if batch is not None:
                yield _series_of(key, batch)

    def _taken_pages(self) -> Iterator[CandleSeries]:
        for _ in tuple(self._pages):
            if self._pages:
                yield self._pages.pop(0)

    async def _write(self, series: CandleSeries) -> None:
        if self.store is not None:
            await self.store.write(series)


def _series_of(key: SeriesKey, batch: _Batch) -> CandleSeries:
    """Return a batch as a series that claims no more than it shows."""
    proven = [TimeRange(candle.opened_at, candle.closed_at) for candle in batch.candles.values()]
    asked = TimeRange(min(span.start for span in batch.watched), max(span.end for span in batch.watched))
    coverage = Coverage(asked=asked, proven=proven, provisional=batch.watched)
    return CandleSeries.of(key.venue, key.symbol, key.timeframe, batch.candles.values(), coverage)
