"""One socket of a feed: what it carries, and what its frames have shown. Changes state, awaits nothing."""

import asyncio
from datetime import datetime

from attrs import define, field

from ..domain.candle import Candle
from ..domain.orderbook import OrderBook
from ..domain.ports import LiveStream
from ..domain.request import Topic
from ..domain.streaming import LiveValue, Received
from .stall import StallWatch


@define
class Sight:
    """What one life of a socket has shown of a topic.

    Attributes:
        newest: the value that tells of the latest slot; of other kinds the last one.
        stamp: the newest stamp.

    """

    first: LiveValue
    newest: LiveValue
    stamp: datetime | None = None


@define(eq=False)
class Carrier:
    """A socket whose subscription never changes.

    Invariant: ``sights`` holds a topic exactly if the present life has shown it and it is not known to
    have fallen silent since.

    Attributes:
        read_at: when the socket was last read, often for many frames.
        latest: the latest that the server's time can have been then: a stamp from the future says nothing.

    """

    topics: frozenset[Topic]
    canary: Topic | None
    watch: StallWatch
    task: "asyncio.Task[None] | None" = None
    stream: LiveStream | None = None
    is_waiting: bool = False
    is_open: bool = False
    is_proven: bool = False
    began_at: float = 0.0
    fruitless: int = 0
    position: datetime | None = None
    read_at: float | None = None
    latest: datetime | None = None
    sights: dict[Topic, Sight] = field(factory=dict[Topic, Sight])
    muted: set[Topic] = field(factory=set[Topic])

    def begin_life(self, now: float) -> None:
        """Start anew: a life proves nothing about the one before."""
        self.is_open, self.began_at, self.position, self.read_at = True, now, None, None
        self.sights.clear()
        self.muted.clear()
        self.watch.begin_life(now)

    def end_life(self) -> None:
        """Note that nothing comes any more."""
        self.is_open = self.is_proven = False
        self.sights.clear()

    def shows(self, topic: Topic) -> bool:
        """Return whether the present life brings this topic."""
        return self.is_proven and topic in self.sights

    def mute(self, topic: Topic) -> None:
        """Note that a topic has fallen silent; its next frame is a first one again."""
        self.sights.pop(topic, None)
        self.muted.add(topic)

    def hear(self, item: Received) -> bool:
        """Take note of a frame; return whether frames before it may be missing."""
        self.is_proven, self.fruitless = True, 0
        book = item.value if isinstance(item.value, OrderBook) and item.topic == self.canary else None
        canary_stamp = None if book is None else book.updated_at
        is_hole = self.canary is not None and self._leaves_a_hole(item, canary_stamp)
        self.watch.heard(item.received_at, canary_stamp)
        return is_hole

    def advance(self, stamp: datetime | None) -> None:
        """Take note of a frame's stamp, unless it lies in the future."""
        if stamp is not None and self.latest is not None and (self.position or stamp) <= stamp <= self.latest:
            self.position = stamp

    def _leaves_a_hole(self, item: Received, canary_stamp: datetime | None) -> bool:
        if canary_stamp is not None and self.watch.leaves_a_hole(canary_stamp):
            return True
        return self.watch.silence_s(item.received_at) > self.watch.silent_after_s

    def see(self, item: Received, stamp: datetime | None) -> bool:
        """Take note of what a frame shows; return whether it is the topic's first of this life."""
        sight = self.sights.get(item.topic)
        if sight is None:
            self.sights[item.topic] = Sight(item.value, item.value, stamp)
            self.muted.discard(item.topic)
            return True
        if not isinstance(item.value, Candle) or _tells_of_later(item.value, sight.newest):
            sight.newest = item.value
        if stamp is not None and (sight.stamp or stamp) <= stamp:
            sight.stamp = stamp
        return False


def _tells_of_later(candle: Candle, than: LiveValue) -> bool:
    """Return whether a candle belongs to the same slot or a later one."""
    return not isinstance(than, Candle) or candle.opened_at >= than.opened_at
