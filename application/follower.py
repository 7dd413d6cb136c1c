"""One follower's side of a stream: what waits for it, and what it has had."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from datetime import datetime
from typing import Any, Self

from attrs import define, field, frozen

from ..domain.candle import Candle
from ..domain.errors import ClosedError, SlowConsumerError
from ..domain.events import (
    Backfilled,
    CandleUpdated,
    Degraded,
    Gap,
    HistoryLoaded,
    MarketEvent,
    OrderBookUpdated,
    Recovered,
    TickerUpdated,
    TradeReceived,
)
from ..domain.ports import Clock
from ..domain.trade import Trade
from .reordering import TradeReordering
from .trades import TradeGate

LEAST_WAIT_S = 0.01


_KEYS: dict[type, Callable[[Any], Hashable]] = {
    TickerUpdated: lambda event: ("ticker", event.ticker.symbol),
    OrderBookUpdated: lambda event: ("orderbook", event.orderbook.symbol),
    CandleUpdated: lambda event: None if event.candle.is_final else ("candle", event.candle.opened_at),
    Degraded: lambda _: ("state",),
    Recovered: lambda _: ("state",),
}


def conflation_key(event: MarketEvent) -> Hashable | None:
    """Return the key under which only the newest event matters; None for what may never be dropped."""
    key_of = _KEYS.get(type(event))
    return None if key_of is None else key_of(event)


@define(eq=False)
class _Place:
    """Where the events of one key wait: all that were read together, since nobody could have had them one by one."""

    key: Hashable
    read_at: float | None
    events: list[MarketEvent]


@define(eq=False)
class EventBuffer:
    """Events between the stream and one reader.

    Invariant: events that may be conflated occupy one place per key, which holds those of one reading of the
    socket; the rest keep their order and are never dropped: beyond ``capacity`` the reader gets
    ``SlowConsumerError`` instead.

    Attributes:
        on_fail: told, once, of the error that the reader will get.

    """

    capacity: int
    _queue: deque[_Place | MarketEvent] = field(factory=deque[_Place | MarketEvent])
    _places: dict[Hashable, _Place] = field(factory=dict[Hashable, _Place])
    _waiting: list[asyncio.Future[None]] = field(factory=list[asyncio.Future[None]])
    _error: Exception | None = None
    _is_ended: bool = False
    _before_end: Callable[[], None] = lambda: None
    on_fail: Callable[[Exception], None] = lambda _: None

    def ends_with(self, last: Callable[[], None]) -> None:
        """Call ``last`` before the first error or the end: it may put what was still held back."""
        self._before_end = last

    def put_history(self, events: Iterable[MarketEvent]) -> None:
        """Add trades and gaps, however many: the reader is not slow for having asked for them."""
        if self._error is not None or self._is_ended:
            return
        waiting = list(events)
        self._queue.extend(waiting)
        self.capacity += len(waiting)
        self._wake()

    def put(self, event: MarketEvent, read_at: float | None = None) -> None:
        """Add an event; after an error or the end it is ignored.

        ``read_at`` is when the socket was read, None where nothing was: it tells what came together.
        """
        if self._error is not None or self._is_ended:
            return
        key = conflation_key(event)
        place = None if key is None else self._places.get(key)
        if place is not None:
            if read_at is None or read_at != place.read_at:
                place.read_at = read_at
                place.events.clear()
            place.events.append(event)
            return
        if key is None:
            self.append(event)
        else:
            self._places[key] = place = _Place(key, read_at, [event])
            self.append(place)

    def extend(self, events: Sequence[MarketEvent]) -> None:
        """Add events that may never be dropped; after an error or the end they are ignored."""
        if len(self._queue) + len(events) > self.capacity:
            for event in events:
                self.append(event)
        elif self._error is None and not self._is_ended:
            self._queue.extend(events)
            if self._waiting:
                self._wake()

    def append(self, event: "MarketEvent | _Place") -> None:
        """Add an event that may never be dropped; after an error or the end it is ignored."""
        if self._error is not None or self._is_ended:
            return
        if len(self._queue) >= self.capacity:
            msg = f"{self.capacity} events are waiting and none may be dropped; read faster, or follow less at once"
            self.fail(SlowConsumerError(msg))
            return
        self._queue.append(event)
        if self._waiting:
            self._wake()

    def fail(self, error: Exception) -> None:
        """Let the reader have what waits, then raise ``error``."""
        self._flush()
        if self._error is None:
            self._error = error
            self.on_fail(error)
        self._wake()

    def end(self) -> None:
        """Let the reader have what waits, then stop."""
        self._flush()
        self._is_ended = True
        self._wake()

    def _wake(self) -> None:
        """Let readers go on; a future each, which costs half of what an event does for a thousand of them."""
        for come in self._waiting:
            if not come.done():
                come.set_result(None)
        self._waiting.clear()

    def _flush(self) -> None:
        before_end, self._before_end = self._before_end, lambda: None
        if self._error is None and not self._is_ended:
            before_end()

    def drain(self) -> list[MarketEvent]:
        """Return everything that waits, and keep nothing."""
        drained: list[MarketEvent] = []
        while self._queue:
            drained.append(self.take())
        return drained

    @property
    def waiting(self) -> list[MarketEvent]:
        """What waits and may never be dropped, oldest first."""
        return [event for event in self._queue if not isinstance(event, _Place)]

    @property
    def has_failed(self) -> bool:
        """Whether the reader will get an error; of its own accord a buffer fails when it is full."""
        return self._error is not None

    def take(self) -> MarketEvent:
        """Return the next event; there has to be one."""
        first = self._queue.popleft()
        if not isinstance(first, _Place):
            return first
        event = first.events.pop(0)
        if first.events:
            self._queue.appendleft(first)
        else:
            del self._places[first.key]
        return event

    async def get(self) -> MarketEvent:
        """Return the next event.

        Raises:
            StopAsyncIteration: the stream has ended.
            MarketDataError: why it ended.

        """
        queue = self._queue
        while not queue:
            if self._error is not None:
                raise self._error
            if self._is_ended:
                raise StopAsyncIteration
            come = asyncio.get_running_loop().create_future()
            self._waiting.append(come)
            await come
        return self.take()

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._queue)


@define(eq=False)
class Follower:
    """One reader of one topic.

    Until its history has been read, events wait, conflated as they are for the reader; then those about slots
    that the history already holds FINAL are left out.

    Trades pass the gate of a follower that resumes, and are held while they are put in order; those of a plain
    follower, who neither waits nor does one of these, go through as they are.

    Invariant: no slot is FINAL twice, and nothing about a slot follows its FINAL candle but a revision.
    """

    buffer: EventBuffer
    _pending: EventBuffer | None = None
    _promised_from: datetime | None = None
    _final_until: datetime | None = None
    _gate: TradeGate | None = None
    _order: "OrderKeeper | None" = None
    _waits_for: str = ""
    _is_plain: bool = field(init=False)

    @classmethod
    def of(cls, capacity: int, *, waits_for_history: bool) -> Self:
        """Return a follower that holds events back until ``open`` if it waits for history."""
        return cls(EventBuffer(capacity), EventBuffer(capacity) if waits_for_history else None)

    def __attrs_post_init__(self) -> None:
        """Begin plain, unless something has to come first."""
        self._is_plain = self._pending is None

    def give(self, event: MarketEvent, read_at: float | None = None) -> None:
        """Hand an event to the reader, unless it has had it already; ``read_at`` is when the socket was read."""
        if self._pending is not None:
            self._pending.put(event)
            if self._pending.has_failed:
                self.buffer.fail(SlowConsumerError("the history took so long that live events would have been dropped"))
            return
        if isinstance(event, TradeReceived):
            self._give_trade(event)
            return
        if isinstance(event, Gap) and self._order is not None:
            self._order.flush()
        if self._is_wanted(event):
            self.buffer.put(event, read_at)

    def give_trades(self, events: Sequence[MarketEvent]) -> None:
        """Hand over trades that came together."""
        if self._is_plain:
            self.buffer.extend(events)
            return
        for event in events:
            self.give(event)

    def _is_wanted(self, event: MarketEvent) -> bool:
        """Return whether the reader has not had what the event tells; notes what is FINAL now."""
        if isinstance(event, CandleUpdated):
            if not self._is_news(event):
                return False
            if event.candle.is_final:
                self._final_until = event.candle.opened_at
        return not (isinstance(event, Backfilled) and self._was_promised_later(event))

    def _give_trade(self, event: TradeReceived) -> None:
        admitted = event.trade if self._gate is None else self._gate.admit(event.trade)
        if admitted is None:
            return
        if self._order is not None:
            self._order.hold(admitted)
        else:
            self.buffer.put(event if admitted is event.trade else TradeReceived(admitted))

    def put_in_order(self, hold_s: float, clock: Clock) -> "OrderKeeper":
        """Hold trades for ``hold_s`` from now on; what is returned has to be run."""
        self._is_plain = False
        self._order = OrderKeeper(self.buffer, TradeReordering(hold_s), clock)
        self.buffer.ends_with(self._order.flush)
        return self._order

    @property
    def waiting_trades(self) -> list[Trade]:
        """The live trades that wait until what was missed has been read."""
        waiting = [] if self._pending is None else self._pending.waiting
        return [event.trade for event in waiting if isinstance(event, TradeReceived)]

    def resume(self, before: Iterable[Gap], missed: list[Trade], after: Iterable[Gap], gate: TradeGate) -> None:
        """Deliver what was missed, with the gaps around it, then what has happened meanwhile, once each."""
        pending = self._release()
        self._gate, self._is_plain = gate, False
        self.buffer.put_history([*before, *map(TradeReceived, missed), *after])
        if self._order is not None:
            self._order.note(missed)
        for event in pending:
            self.give(event)

    def tell_of_waiting(self, told: Degraded) -> None:
        """Say why what comes first has not come yet; everything else goes on waiting for it."""
        self._waits_for = told.channel
        self.buffer.put(told)

    def _release(self) -> list[MarketEvent]:
        if self._waits_for:
            self.buffer.put(Recovered(self._waits_for))
            self._waits_for = ""
        pending, self._pending = self._pending, None
        self._is_plain = self._gate is None and self._order is None
        return [] if pending is None else pending.drain()

    def greet(self, events: Iterable[MarketEvent]) -> None:
        """Hand over what the feed has held since before this follower came."""
        for event in events:
            self.give(event)

    def open(self, history: HistoryLoaded, promised_from: datetime | None, held: Iterable[Candle]) -> None:
        """Deliver the history, then what the feed has held since before, then what has happened meanwhile."""
        pending = self._release()
        self._promised_from = promised_from
        self.buffer.put(history)
        for event in (*map(CandleUpdated, held), *pending):
            self.give(event)

    def _is_news(self, event: CandleUpdated) -> bool:
        opened_at = event.candle.opened_at
        if self._final_until is not None and opened_at <= self._final_until:
            return False
        return self._promised_from is None or opened_at >= self._promised_from

    def _was_promised_later(self, event: Backfilled) -> bool:
        return self._promised_from is not None and event.candle.opened_at < self._promised_from


@frozen(eq=False)
class OrderKeeper:
    """Lets a follower's trades go when their time is up."""

    buffer: EventBuffer
    reordering: TradeReordering
    clock: Clock

    async def run(self) -> None:
        """Let trades go until cancelled."""
        while True:
            await self.clock.sleep(max(LEAST_WAIT_S, self.reordering.wait_s(self.clock.monotonic())))
            self._put(self.reordering.release(self.clock.monotonic()))

    def hold(self, trade: Trade) -> None:
        """Hold a trade that has just arrived."""
        self.reordering.take(trade, self.clock.monotonic())

    def note(self, delivered: list[Trade]) -> None:
        """Count sorted trades as delivered."""
        self.reordering.note(delivered)

    def flush(self) -> None:
        """Let all go at once: something follows that must not overtake them."""
        self._put(self.reordering.flush())

    def _put(self, trades: list[Trade]) -> None:
        for trade in trades:
            self.buffer.put(TradeReceived(trade))


class FollowedEvents:
    """The iterator that ``follow`` yields."""

    def __init__(self, buffer: EventBuffer) -> None:
        """Read from one buffer."""
        self._buffer = buffer

    def __aiter__(self) -> Self:
        """Iterate over the events."""
        return self

    def __anext__(self) -> Awaitable[MarketEvent]:
        """Return the next event as soon as there is one."""
        return self._buffer.get()


def closed_stream_error() -> ClosedError:
    """Return the error of a stream whose API was closed."""
    return ClosedError("the API was closed while this stream was followed")
