"""What is known of one topic, and who hears of it."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import ClassVar

from attrs import define, field

from ....domain.candle import Candle
from ....domain.coverage_report import Completeness
from ....domain.events import HistoryLoaded, MarketEvent, OrderBookUpdated, TickerUpdated, TradeReceived
from ....domain.ports import Channel
from ....domain.request import Topic
from ....domain.series import CandleSeries
from ....domain.streaming import LiveValue
from ..delivery.subscriber import Subscriber

_PLAIN = {TradeReceived, TickerUpdated, OrderBookUpdated}
"""Nearly all that is published, and of no account to ``on_event``."""

Ask = Callable[[Awaitable[Iterable[MarketEvent]]], Awaitable[None]]
"""Awaits an answer of REST and publishes what follows; never raises for what the channel does."""


@define(eq=False)
class Subscribers:
    """The followers of one topic; a thousand of them are one subscription.

    Attributes:
        on_event: called with every event but quotes and trades, whether anybody follows or not.
        on_page: called with every page of candles that REST has told.

    """

    members: set[Subscriber] = field(factory=set[Subscriber])
    on_event: list[Callable[[MarketEvent], None]] = field(factory=list[Callable[[MarketEvent], None]])
    on_page: list[Callable[[CandleSeries], None]] = field(factory=list[Callable[[CandleSeries], None]])
    is_live: asyncio.Event = field(factory=asyncio.Event)

    def publish(self, events: Iterable[MarketEvent], read_at: float | None = None) -> None:
        """Hand events to every follower.

        A batch of trades, or of quotes, is handed over whole: each follower costs a third of one by one.
        ``read_at`` is when the socket that brought them was read.
        """
        # a copy: who fails while events are handed out leaves the set
        batch, members = tuple(events), tuple(self.members)
        if batch and (kind := type(batch[0])) in _PLAIN and (len(batch) == 1 or {kind}.issuperset(map(type, batch))):
            for subscriber in members:
                subscriber.deliver_batch(batch, read_at)
            return
        for event in batch:
            for call in self.on_event:
                call(event)
            for subscriber in members:
                subscriber.deliver(event, read_at)

    async def wait_until_live(self, timeout_s: float) -> None:
        """Return with the first sign of a value, or after some seconds of this computer's without one."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.is_live.wait()
        except TimeoutError:
            return

    def fail(self, error: Exception) -> None:
        """End every follower with an error."""
        for subscriber in tuple(self.members):
            subscriber.buffer.fail(error)
        self.is_live.set()


@define(eq=False)
class TopicState(ABC):
    """The state of one topic of a feed; what most kinds of data have no use for does nothing here.

    Attributes:
        topic: what is followed.
        subscribers: who follows it.
        applies_unfollowed: whether values count while nobody follows.
        repaired_at: when REST was last asked for what the stream lacked.

    """

    applies_unfollowed: ClassVar[bool] = True

    topic: Topic
    subscribers: Subscribers = field(factory=Subscribers, kw_only=True)
    repaired_at: float = field(init=False, default=-math.inf)

    @property
    @abstractmethod
    def newest(self) -> LiveValue | None:
        """The newest value, from whatever channel."""

    # --- what sockets bring ------------------------------------------------------------------

    @abstractmethod
    def apply(self, *values: LiveValue) -> Iterable[MarketEvent]:
        """Return the events that values of the stream cause, which came together in this order."""

    @abstractmethod
    def apply_from_standby(self, *values: LiveValue) -> Iterable[MarketEvent]:
        """Return the events that values cause which a second socket brings beside the one that carries the topic."""

    def begin_life(self) -> None:
        """Note that a new socket carries the topic from now on."""

    def end_life(self) -> None:
        """Note that no socket carries the topic any more."""

    def hand_over(self, first: LiveValue, newest: LiveValue) -> None:
        """Go over without a break to a socket that has carried the topic, too, from ``first`` to ``newest``."""

    def mark_suspect(self) -> None:
        """Note that the socket may have lost something: it was silent for too long, or sent what cannot be read."""

    def reset(self) -> None:
        """Forget what was delivered: nobody follows any more, and whoever comes next is owed nothing before."""

    def snapshot(self) -> Iterable[MarketEvent]:
        """Return what somebody who has just come is told at once."""
        return ()

    @property
    def frontier(self) -> datetime | None:
        """The first slot that is still to be delivered FINAL; None before the first, or without slots."""
        return None

    def held_since(self, start: datetime) -> list[Candle]:
        """Return what is remembered of the slots from ``start`` on, oldest first; nothing without slots."""
        return []

    def open_for(self, subscriber: Subscriber, history: CandleSeries, first_missed: datetime | None) -> None:
        """Deliver the history to somebody who has waited for it, and what is held of the slots that follow."""
        subscriber.deliver_history(HistoryLoaded(history), None, ())

    # --- what REST and time decide -------------------------------------------------------------

    @abstractmethod
    async def catch_up(self, rest: Channel) -> Iterable[MarketEvent]:
        """Ask REST for what the stream cannot tell, and return the events that follow."""

    def needs_repair(self, now: float, server_now: datetime | None, *, is_live: bool) -> bool:
        """Return whether REST should be asked for what the stream lacks; ``now`` is monotonic."""
        return False

    async def repair(self, rest: Channel, ask: Ask, now: float, server_now: datetime | None) -> None:
        """Ask REST for what the stream lacks."""

    def is_at_rest(self, server_now: datetime) -> bool:
        """Return whether time decides nothing now."""
        return True

    def settle(self, server_now: datetime, position: datetime | None) -> Iterable[MarketEvent]:
        """Return what time alone has decided; ``position`` is how far the data of the topic's socket reaches."""
        return ()

    def completeness(self, received: int) -> Completeness | None:
        """Return what became of the slots that are over, ``received`` of them delivered FINAL; None without slots."""
        return None
