"""Candles of one topic: which events follow from a frame, or from an answer of REST."""

from collections.abc import Iterator
from datetime import datetime

from attrs import define, evolve, field

from ....domain.candle import Candle
from ....domain.coverage import Coverage
from ....domain.coverage_report import Completeness
from ....domain.events import HistoryLoaded, MarketEvent
from ....domain.ports import Channel
from ....domain.series import CandleSeries
from ....domain.streaming import LiveValue
from ....domain.time_range import TimeRange
from ....domain.timeframe import Timeframe
from ...paging.readers import read_candles
from ..delivery.subscriber import Subscriber
from .candle_tracker import CandleTracker
from .topic import Ask, TopicState

RECENT_ROWS = 10
MIN_REPAIR_S = 1.0
RANGES_PER_REPAIR = 4


@define(eq=False)
class CandleTopic(TopicState):
    """Candles: FORMING and CLOSED at once, FINAL once and in order."""

    tracker: CandleTracker
    _newest: Candle | None = field(init=False, default=None)

    @property
    def newest(self) -> Candle | None:
        """The newest candle."""
        return self._newest

    @property
    def timeframe(self) -> Timeframe:
        """The width of the slots."""
        return self.tracker.options.timeframe

    def begin_life(self) -> None:
        """A new socket proves nothing about what the last one carried."""
        self.tracker.begin_life()

    def end_life(self) -> None:
        """What the lost socket carried proves nothing any more."""
        self.tracker.begin_life()

    def mark_suspect(self) -> None:
        """Frames may be missing: what was held before the silence can be sealed by REST only."""
        self.tracker.begin_life()

    def apply(self, *values: LiveValue) -> Iterator[MarketEvent]:
        """Take frames."""
        for value in values:
            if isinstance(value, Candle):
                self._newest = value
                yield from self.tracker.apply_frame(value)

    def apply_from_standby(self, *values: LiveValue) -> Iterator[MarketEvent]:
        """Take frames of a second socket."""
        for value in values:
            if isinstance(value, Candle):
                self._newest = value
                yield from self.tracker.apply_from_standby(value)

    def hand_over(self, first: LiveValue, newest: LiveValue) -> None:
        """Let the second socket witness from the slot on that it showed first."""
        if isinstance(first, Candle) and isinstance(newest, Candle):
            self.tracker.hand_over(first.opened_at, newest.opened_at)

    @property
    def frontier(self) -> datetime | None:
        """The first slot that is still to be delivered FINAL."""
        return self.tracker.frontier

    def held_since(self, start: datetime) -> list[Candle]:
        """Return what is remembered of the slots from ``start`` on, FINAL and not, oldest first."""
        return self.tracker.held_since(start)

    def open_for(self, subscriber: Subscriber, history: CandleSeries, first_missed: datetime | None) -> None:
        """Deliver the history, and promise every slot that follows it."""
        promised_from, held = self._promised_from(history, first_missed), list[Candle]()
        if promised_from is not None:
            self.tracker.start_at(promised_from, history[-1].source if len(history) else "")
            seam, held = self.tracker.seams.newest, self.held_since(promised_from)
            history = evolve(history, seams=(*history.seams, seam)) if len(history) and seam is not None else history
        subscriber.deliver_history(HistoryLoaded(history), promised_from, held)

    def _promised_from(self, history: CandleSeries, first_missed: datetime | None) -> datetime | None:
        if len(history):
            open_slots = (candle.opened_at for candle in history if not candle.is_final)
            return next(open_slots, history[-1].closed_at)
        return first_missed or self.frontier

    async def catch_up(self, rest: Channel, span: TimeRange | None = None) -> list[MarketEvent]:
        """Read the newest page, or the slots of ``span``."""
        page = rest.capabilities.candles_per_call
        if span is None:
            series = await rest.get_candles(self.topic.symbol, self.timeframe, min(page, RECENT_ROWS))
        else:
            series = await read_candles(rest, self.topic.symbol, self.timeframe, span)
        return list(self._join(series, rest.name))

    def _join(self, series: CandleSeries, channel: str) -> Iterator[MarketEvent]:
        """Return what an answer of REST tells."""
        if self.tracker.frontier is None and len(series):
            promised_from = next((c.opened_at for c in series if not c.is_final), series[-1].closed_at)
            self.tracker.start_at(promised_from, channel)
        if len(series):
            self._newest = series[-1]
        # the store first: who is told of a FINAL candle may ask for it at once
        for read in self.subscribers.on_page:
            read(series)
        yield from self.tracker.apply_series(series)

    def tip(self) -> CandleSeries | None:
        """Return the slots that are not FINAL yet, oldest first; None before the first of them."""
        current, frontier = self.tracker.current(), self.tracker.frontier
        if frontier is None or not current or self._newest is None:
            return None
        coverage = Coverage(asked=TimeRange(frontier, max(frontier, current[-1].closed_at)))
        return CandleSeries.of(self._newest.venue, self.topic.symbol, self.timeframe, current, coverage)

    def is_at_rest(self, server_now: datetime) -> bool:
        """Return whether the slot that comes next has not ended yet."""
        return self.tracker.is_at_rest(server_now)

    def settle(self, server_now: datetime, position: datetime | None = None) -> list[MarketEvent]:
        """Return what time alone has decided."""
        if position is not None:
            self.tracker.witness(position)
        return [*self.tracker.settle(server_now), *self.tracker.give_up(server_now)]

    def needs_repair(self, now: float, server_now: datetime | None, *, is_live: bool) -> bool:  # noqa: ARG002
        """Return whether REST has to settle slots, whoever carries them; asked once a second at most."""
        if server_now is None or now - self.repaired_at < MIN_REPAIR_S:
            return False
        return bool(self.tracker.unsettled(server_now))

    async def repair(self, rest: Channel, ask: Ask, now: float, server_now: datetime | None) -> None:
        """Read the newest of the ranges that lack."""
        self.repaired_at = now
        spans = () if server_now is None else self.tracker.unsettled(server_now)
        for span in spans[:RANGES_PER_REPAIR]:
            await ask(self.catch_up(rest, span))

    def completeness(self, received: int) -> Completeness:
        """Return what became of the slots from the first promise to the frontier."""
        return self.tracker.completeness(received)
