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
from .stall_detector import StallDetector


@define
class TopicSnapshot:
    """What one life of a socket has shown of a topic.

    Attributes:
        newest: the value that tells of the latest slot; of other kinds the last one.
        stamp: the newest stamp.

    """

    first: LiveValue
    newest: LiveValue
    stamp: datetime | None = None

    def add(self, values: Sequence[LiveValue]) -> None:
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
class Connection:
    """A socket whose subscription never changes.

    Invariant: ``seen`` holds a topic exactly if the present life has shown it and it is not known to
    have fallen silent since.

    Attributes:
        read_at: when the socket was last read, often for many frames.
        latest: the latest that the server's time can have been then: a stamp from the future says nothing.
        position: the newest stamp that has come.

    """

    topics: frozenset[Topic]
    canary: Topic | None
    detector: StallDetector
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
    seen: dict[Topic, TopicSnapshot] = field(factory=dict[Topic, TopicSnapshot])
    silent: set[Topic] = field(factory=set[Topic])

    def begin_life(self, now: float) -> None:
        """Start anew: a life proves nothing about the one before."""
        self.is_open, self.began_at, self.position, self.read_at = True, now, None, None
        self.seen.clear()
        self.silent.clear()
        self.detector.begin_life(now)

    def end_life(self) -> None:
        """Note that nothing comes any more."""
        self.is_open = self.is_proven = False
        self.seen.clear()

    def has_seen(self, topic: Topic) -> bool:
        """Return whether the present life brings this topic."""
        return self.is_proven and topic in self.seen

    def mark_silent(self, topic: Topic) -> None:
        """Note that a topic has fallen silent; its next frame is a first one again."""
        self.seen.pop(topic, None)
        self.silent.add(topic)

    def on_read(self, read_at: float) -> bool:
        """Take note that something has come; return whether something before it may be missing."""
        self.is_proven, self.fruitless = True, 0
        # before the reading is noted, which ends the silence
        is_hole = self.canary is not None and self.detector.silence_s(read_at) > self.detector.silent_after_s
        self.detector.on_read(read_at)
        return is_hole

    def on_canary(self, topic: Topic, values: Sequence[LiveValue]) -> bool:
        """Take note of the canary's books, if these are some; return whether something between them may be missing."""
        # with every batch: the type tells most of them apart without comparing topics
        if not isinstance(values[0], OrderBook) or topic != self.canary:
            return False
        holes = [self.detector.leaves_a_hole(book.updated_at) for book in values if isinstance(book, OrderBook)]
        return any(holes)

    def advance(self, values: Iterable[LiveValue]) -> None:
        """Take note of the stamps of what came, except of those that lie in the future."""
        position, latest = self.position, self.latest
        if latest is None:
            return
        for stamp in map(stamp_of, values):
            if stamp is not None and (position is None or position < stamp) and stamp <= latest:
                self.position = position = stamp

    def record(self, topic: Topic, values: Sequence[LiveValue]) -> bool:
        """Take note of what came of a topic; return whether it is its first of this life."""
        snapshot = self.seen.get(topic)
        is_first = snapshot is None
        if snapshot is None:
            self.seen[topic] = snapshot = TopicSnapshot(values[0], values[0])
            self.silent.discard(topic)
        snapshot.add(values)
        return is_first


def _tells_of_later(value: LiveValue, than: LiveValue) -> bool:
    """Return whether a candle belongs to the same slot or a later one."""
    return not (isinstance(value, Candle) and isinstance(than, Candle)) or value.opened_at >= than.opened_at
