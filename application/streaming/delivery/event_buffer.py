"""What waits between a stream and one reader, conflated where only the newest matters."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Any, Self

from attrs import define, field

from ....domain.errors import ClosedError, SlowConsumerError
from ....domain.events import (
    CandleUpdated,
    Degraded,
    MarketEvent,
    OrderBookUpdated,
    Recovered,
    TickerUpdated,
    TradeReceived,
)
from .reorder_buffer import ReorderBuffer

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
class _Entry:
    """Where the events of one key wait: all that were read together, since nobody could have had them one by one."""

    key: Hashable
    read_at: float | None
    events: list[MarketEvent]


@define(eq=False)
class EventBuffer:
    """Events between the stream and one reader.

    Invariant: events that may be conflated occupy one entry per key, which holds those of one reading of the
    socket; the rest keep their order and are never dropped: beyond ``capacity`` the reader gets
    ``SlowConsumerError`` instead.

    Attributes:
        on_fail: called, once, with the error that the reader will get.
        reorder: holds trades that are to be put in order; None for the order in which they come.

    """

    capacity: int
    on_fail: Callable[[Exception], None] = lambda _: None
    reorder: ReorderBuffer | None = None
    _queue: deque[_Entry | MarketEvent] = field(init=False, factory=deque[_Entry | MarketEvent])
    _entries: dict[Hashable, _Entry] = field(init=False, factory=dict[Hashable, _Entry])
    _waiting: list[asyncio.Future[None]] = field(init=False, factory=list[asyncio.Future[None]])
    _error: Exception | None = field(init=False, default=None)
    _is_ended: bool = field(init=False, default=False)

    def put_history(self, events: Iterable[MarketEvent]) -> None:
        """Add trades and gaps, however many: the reader is not slow for having asked for them."""
        if self._error is not None or self._is_ended:
            return
        waiting = list(events)
        self._queue.extend(waiting)
        # the same room for live events as if nothing had been missed
        self.capacity += len(waiting)
        self._wake()

    def put(self, event: MarketEvent, read_at: float | None = None) -> None:
        """Add an event; after an error or the end it is ignored.

        ``read_at`` is when the socket was read, None where nothing was: it tells what came together.
        """
        key = conflation_key(event)
        if key is None:
            self.append(event)
        else:
            self.put_batch(key, (event,), read_at)

    def put_batch(self, key: Hashable, events: Sequence[MarketEvent], read_at: float | None) -> None:
        """Add events of one key, at least one, which came together."""
        if self._error is not None or self._is_ended:
            return
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = entry = _Entry(key, read_at, [*events])
            self.append(entry)
        elif read_at is None or read_at != entry.read_at:
            # what was read earlier has been overtaken; what is read together could not be had one by one
            entry.read_at = read_at
            entry.events[:] = events[-1:] if read_at is None else events
        else:
            entry.events.extend(events)

    def extend(self, events: Sequence[MarketEvent]) -> None:
        """Add events that may never be dropped; after an error or the end they are ignored."""
        if len(self._queue) + len(events) > self.capacity:
            for event in events:
                self.append(event)
        # all at once: each on its own costs three times as much
        elif self._error is None and not self._is_ended:
            self._queue.extend(events)
            if self._waiting:
                self._wake()

    def append(self, event: "MarketEvent | _Entry") -> None:
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
        # before the error: what is held was executed earlier
        self.flush_held()
        if self._error is None:
            self._error = error
            self.on_fail(error)
        self._wake()

    def leave(self) -> None:
        """Keep nothing: nobody may read any more. Who waits just now has come to the end, who tries later is told."""
        self._queue.clear()
        self._entries.clear()
        if self._error is None:
            self._is_ended = True
            self._wake()
            self._error = ClosedError("this stream was left; iterate inside its 'async with' block")

    def end(self) -> None:
        """Let the reader have what waits, then stop."""
        self.flush_held()
        self._is_ended = True
        self._wake()

    def _wake(self) -> None:
        """Let readers go on; a future each, which costs half of what an event does for a thousand of them."""
        for come in self._waiting:
            if not come.done():
                come.set_result(None)
        self._waiting.clear()

    def release_held(self) -> None:
        """Let the trades go that were held to be put in order, and whose time is up."""
        if self.reorder is not None:
            self.extend([*map(TradeReceived, self.reorder.release())])

    def flush_held(self) -> None:
        """Let them all go: something follows that must not overtake them."""
        if self.reorder is not None and self._error is None and not self._is_ended:
            self.extend([*map(TradeReceived, self.reorder.flush())])

    def drain(self) -> list[MarketEvent]:
        """Return everything that waits, and keep nothing."""
        drained: list[MarketEvent] = []
        while self._queue:
            drained.append(self.pop())
        return drained

    @property
    def waiting(self) -> list[MarketEvent]:
        """What waits and may never be dropped, oldest first."""
        return [event for event in self._queue if not isinstance(event, _Entry)]

    @property
    def has_failed(self) -> bool:
        """Whether the reader will get an error; of its own accord a buffer fails when it is full."""
        return self._error is not None

    def pop(self) -> MarketEvent:
        """Return the next event; there has to be one."""
        first = self._queue.popleft()
        if not isinstance(first, _Entry):
            return first
        event = first.events.pop(0)
        if first.events:
            self._queue.appendleft(first)
        else:
            del self._entries[first.key]
        return event

    async def get(self) -> MarketEvent:
        """Return the next event.

        Raises:
            StopAsyncIteration: the stream has ended.
            MarketDataError: why it ended.

        """
        queue = self._queue
        # again after each wake: another reader of this buffer may have been faster
        has_waited = False
        while not queue:
            if self._is_ended and (has_waited or self._error is None):
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            come = asyncio.get_running_loop().create_future()
            self._waiting.append(come)
            try:
                await come
                has_waited = True
            finally:
                # a reader that polls with a time-out leaves nothing behind
                if come in self._waiting:
                    self._waiting.remove(come)
        return self.pop()

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._queue)


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
