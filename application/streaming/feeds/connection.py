"""One socket of a feed: what it carries, and what its frames have shown. Changes state, awaits nothing."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import define, field

from ....domain.candle import Candle
from ....domain.orderbook import OrderBook
from ....domain.ports import LiveStream
from ....domain.request import Topic
from ....domain.streaming import LiveValue, stamp_of
from .stall_detector import StallWatch


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

    def take(self, values: Sequence[LiveValue]) -> None:
        """Take note of what came."""
        last = values[-1]
        for stamp in map(stamp_of, values):
            if stamp is not None and (self.stamp is None or self.stamp < stamp):
                self.stamp = stamp
        if not isinstance(last, Candle):
            self.newest = last
            return
        for value in values:
            if _tells_of_later(value, self.newest):
                self.newest = value


@define(eq=False)
class Carrier:
    """A socket whose subscription never changes.

    Invariant: ``sights`` holds a topic exactly if the present life has shown it and it is not known to
    have fallen silent since.

    Attributes:
        read_at: when the socket was last read, often for many frames.
        latest: the latest that the server's time can have been then: a stamp from the future says nothing.
        position: the newest stamp that has come.

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

    def hear(self, read_at: float) -> bool:
        """Take note that something has come; return whether something before it may be missing."""
        self.is_proven, self.fruitless = True, 0
        is_hole = self.canary is not None and self.watch.silence_s(read_at) > self.watch.silent_after_s
        self.watch.heard(read_at)
        return is_hole

    def hear_canary(self, topic: Topic, values: Sequence[LiveValue]) -> bool:
        """Take note of the canary's books, if these are some; return whether something between them may be missing."""
        if not isinstance(values[0], OrderBook) or topic != self.canary:
            return False
        holes = [self.watch.leaves_a_hole(book.updated_at) for book in values if isinstance(book, OrderBook)]
        return any(holes)

    def advance(self, values: Iterable[LiveValue]) -> None:
        """Take note of the stamps of what came, except of those that lie in the future."""
        position, latest = self.position, self.latest
        if latest is None:
            return
        for stamp in map(stamp_of, values):
            if stamp is not None and (position is None or position < stamp) and stamp <= latest:
                self.position = position = stamp

    def see(self, topic: Topic, values: Sequence[LiveValue]) -> bool:
        """Take note of what came of a topic; return whether it is its first of this life."""
        sight = self.sights.get(topic)
        is_first = sight is None
        if sight is None:
            self.sights[topic] = sight = Sight(values[0], values[0])
            self.muted.discard(topic)
        sight.take(values)
        return is_first


def _tells_of_later(value: LiveValue, than: LiveValue) -> bool:
    """Return whether a candle belongs to the same slot or a later one."""
    return not (isinstance(value, Candle) and isinstance(than, Candle)) or value.opened_at >= than.opened_at
