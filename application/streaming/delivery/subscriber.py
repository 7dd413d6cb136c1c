"""One follower's side of a stream: what waits for it, and what it has had."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Self

from attrs import define, field

from ....domain.candle import Candle
from ....domain.errors import ClosedError, SlowConsumerError
from ....domain.events import (
    Backfilled,
    CandleUpdated,
    Degraded,
    Gap,
    HistoryLoaded,
    MarketEvent,
    Recovered,
    TradeReceived,
)
from ....domain.trade import Trade
from .event_buffer import EventBuffer, conflation_key
from .reorder_buffer import ReorderBuffer
from .replay_filter import ReplayFilter


@define(eq=False)
class Subscriber:
    """One reader of one topic.

    Until its history has been read, events wait, conflated as they are for the reader; then those about slots
    that the history already holds FINAL are left out.

    Trades pass the filter of a follower that resumes, and are held while they are put in order; those of a plain
    follower, who neither waits nor does one of these, go through as they are.

    Invariant: no slot is FINAL twice, and nothing about a slot follows its FINAL candle but a revision.
    """

    buffer: EventBuffer
    _pending: EventBuffer | None = None
    _promised_from: datetime | None = None
    _final_until: datetime | None = None
    _replay_filter: ReplayFilter | None = None
    _waits_for: str = ""
    _is_plain: bool = field(init=False)

    @classmethod
    def of(
        cls,
        capacity: int,
        *,
        waits_for_history: bool,
        on_fail: Callable[[Exception], None] = lambda _: None,
        reorder: ReorderBuffer | None = None,
    ) -> Self:
        """Return a subscriber that holds events back until ``deliver_history`` if it waits for history.

        ``on_fail`` is called with the error that the reader will get; a subscriber with ``reorder`` has to be run.
        """
        return cls(EventBuffer(capacity, on_fail, reorder), EventBuffer(capacity) if waits_for_history else None)

    def __attrs_post_init__(self) -> None:
        """Begin plain, unless something has to come first."""
        self._is_plain = self._pending is None and self.buffer.reorder is None

    def deliver(self, event: MarketEvent, read_at: float | None = None) -> None:
        """Hand an event to the reader, unless it has had it already; ``read_at`` is when the socket was read."""
        if self._pending is not None:
            self._pending.put(event)
            if self._pending.has_failed:
                self.buffer.fail(SlowConsumerError("the history took so long that live events would have been dropped"))
            return
        if isinstance(event, TradeReceived):
            self._deliver_trade(event)
            return
        if isinstance(event, Gap):
            self.buffer.flush_held()
        if self._is_wanted(event):
            self.buffer.put(event, read_at)

    def deliver_batch(self, events: Sequence[MarketEvent], read_at: float | None) -> None:
        """Hand over trades, or quotes, that came together."""
        if not self._is_plain:
            for event in events:
                self.deliver(event, read_at)
        # nearly everybody is plain: nothing has to be looked at one by one
        elif (key := conflation_key(events[0])) is None:
            self.buffer.extend(events)
        else:
            self.buffer.put_batch(key, events, read_at)

    def _is_wanted(self, event: MarketEvent) -> bool:
        """Return whether the reader has not had what the event tells; notes what is FINAL now."""
        if isinstance(event, CandleUpdated):
            if not self._is_news(event):
                return False
            if event.candle.is_final:
                self._final_until = event.candle.opened_at
        return not (isinstance(event, Backfilled) and self._was_promised_later(event))

    def _deliver_trade(self, event: TradeReceived) -> None:
        admitted = event.trade if self._replay_filter is None else self._replay_filter.admit(event.trade)
        if admitted is None:
            return
        if self.buffer.reorder is not None:
            self.buffer.reorder.add(admitted)
        else:
            self.buffer.put(event if admitted is event.trade else TradeReceived(admitted))

    async def keep_order(self) -> None:
        """Let trades that are put in order go when their time is up, until cancelled."""
        while self.buffer.reorder is not None:
            await self.buffer.reorder.wait()
            self.buffer.release_held()

    @property
    def waiting_trades(self) -> list[Trade]:
        """The live trades that wait until what was missed has been read."""
        waiting = [] if self._pending is None else self._pending.waiting
        return [event.trade for event in waiting if isinstance(event, TradeReceived)]

    def resume(
        self, before: Iterable[Gap], missed: list[Trade], after: Iterable[Gap], replay_filter: ReplayFilter
    ) -> None:
        """Deliver what was missed, with the gaps around it, then what has happened meanwhile, once each."""
        pending = self._release()
        self._replay_filter, self._is_plain = replay_filter, False
        self.buffer.put_history([*before, *map(TradeReceived, missed), *after])
        if self.buffer.reorder is not None:
            # before what waits is held: late is who comes after a later trade that has left
            self.buffer.reorder.note(missed)
        for event in pending:
            self.deliver(event)

    def report_waiting(self, event: Degraded) -> None:
        """Say why what comes first has not come yet; everything else goes on waiting for it."""
        self._waits_for = event.channel
        self.buffer.put(event)

    def _release(self) -> list[MarketEvent]:
        if self._waits_for:
            # before the history: it is what was waited for
            self.buffer.put(Recovered(self._waits_for))
            self._waits_for = ""
        pending, self._pending = self._pending, None
        self._is_plain = self._replay_filter is None and self.buffer.reorder is None
        return [] if pending is None else pending.drain()

    def deliver_snapshot(self, events: Iterable[MarketEvent]) -> None:
        """Hand over what the feed has held since before this follower came."""
        for event in events:
            self.deliver(event)

    def deliver_history(self, history: HistoryLoaded, promised_from: datetime | None, held: Iterable[Candle]) -> None:
        """Deliver the history, then what the feed has held since before, then what has happened meanwhile."""
        pending = self._release()
        # before what waits is delivered: what the history holds FINAL is left out
        self._promised_from = promised_from
        self.buffer.put(history)
        for event in (*map(CandleUpdated, held), *pending):
            self.deliver(event)

    def _is_news(self, event: CandleUpdated) -> bool:
        opened_at = event.candle.opened_at
        if self._final_until is not None and opened_at <= self._final_until:
            return False
        return self._promised_from is None or opened_at >= self._promised_from

    def _was_promised_later(self, event: Backfilled) -> bool:
        return self._promised_from is not None and event.candle.opened_at < self._promised_from


def closed_stream_error() -> ClosedError:
    """Return the error of a stream whose API was closed."""
    return ClosedError("the API was closed while this stream was followed")
