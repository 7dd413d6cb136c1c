"""What is known of one topic, and who hears of it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from attrs import define, field

from ....domain.events import MarketEvent, OrderBookUpdated, TickerUpdated, TradeReceived
from ....domain.ports import Channel
from ....domain.request import Topic
from ....domain.series import CandleSeries
from ....domain.streaming import LiveValue
from ..delivery.subscriber import Subscriber

_PLAIN = {TradeReceived, TickerUpdated, OrderBookUpdated}
"""Nearly all that is published, and of no account to listeners."""


class TopicState(Protocol):
    """The state of one topic of a feed."""

    @property
    def topic(self) -> Topic:
        """What is followed."""
        ...

    @property
    def subscribers(self) -> "Subscribers":
        """Who follows it."""
        ...

    @property
    def newest(self) -> LiveValue | None:
        """The newest value, from whatever channel."""
        ...

    def begin_life(self) -> None:
        """Note that a new socket carries the topic from now on."""
        ...

    def mark_suspect(self) -> None:
        """Note that the socket was silent for so long that it may have lost something."""
        ...

    def apply(self, *values: LiveValue) -> Iterable[MarketEvent]:
        """Return the events that values of the stream cause, which came together in this order."""
        ...

    def apply_from_standby(self, *values: LiveValue) -> Iterable[MarketEvent]:
        """Return the events that values cause which a second socket brings beside the one that carries the topic."""
        ...

    def hand_over(self, first: LiveValue, newest: LiveValue) -> None:
        """Go over without a break to a socket that has carried the topic, too, from ``first`` to ``newest``."""
        ...

    async def catch_up(self, rest: Channel) -> Iterable[MarketEvent]:
        """Ask REST for what the stream cannot tell, and return the events that follow."""
        ...


@define(eq=False)
class Subscribers:
    """The followers of one topic; a thousand of them are one subscription. Listeners hear of no quotes and trades."""

    members: set[Subscriber] = field(factory=set[Subscriber])
    on_event: list[Callable[[MarketEvent], None]] = field(factory=list[Callable[[MarketEvent], None]])
    on_page: list[Callable[[CandleSeries], None]] = field(factory=list[Callable[[CandleSeries], None]])
    is_live: asyncio.Event = field(factory=asyncio.Event)

    def publish(self, events: Iterable[MarketEvent], read_at: float | None = None) -> None:
        """Hand events to every follower, and to whoever listens whether anybody follows or not.

        A run of trades, or of quotes, is handed over whole: each follower costs a third of one by one.
        ``read_at`` is when the socket that brought them was read.
        """
        told, members = tuple(events), tuple(self.members)
        if told and (kind := type(told[0])) in _PLAIN and (len(told) == 1 or {kind}.issuperset(map(type, told))):
            for subscriber in members:
                subscriber.deliver_batch(told, read_at)
            return
        for event in told:
            for listen in self.on_event:
                listen(event)
            for subscriber in members:
                subscriber.deliver(event, read_at)

    def fail(self, error: Exception) -> None:
        """End every follower with an error."""
        for subscriber in tuple(self.members):
            subscriber.buffer.fail(error)
        self.is_live.set()
