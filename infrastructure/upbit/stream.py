"""A stream that outlives its sockets: life after life, each announced."""

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import AsyncExitStack
from datetime import datetime

from ...domain.errors import ChannelError, ClosedError
from ...domain.request import Topic
from ...domain.streaming import LifeBegan, LifeEnded, Received, Rejected, StreamItem, stamp_of
from .connection import Connector, UpbitSocket
from .errors import ErrorDetail, explain_frame_error
from .frames import CHANNEL, ControlFrame, FrameOrigin, FrameReader
from .reconnect import Reconnect

CLOSED = "the stream is closed"


class UpbitStream:
    """Items of one set of topics, whose subscription never changes while a socket lives.

    Invariant: between ``LifeEnded`` and the next ``LifeBegan`` nothing is delivered, and every value
    carries the number of the life that brought it.
    """

    def __init__(self, topics: Collection[Topic], connector: Connector, *, canary: Topic | None = None) -> None:
        self._topics = frozenset(topics)
        self._canary = canary
        self._wanted = self._topics if canary is None else self._topics | {canary}
        self._frames: deque[bytes] = deque()
        self._origin = FrameOrigin("")
        self._newest: datetime | None = None
        self._told: ErrorDetail | None = None
        self._connector = connector
        self._context = connector.context
        self._reader = FrameReader(connector.options.frame_format, self._wanted)
        self._items: deque[StreamItem] = deque()
        self._socket: UpbitSocket | None = None
        self._resources = AsyncExitStack()
        self._keeper: asyncio.Task[None] | None = None
        self._life = 0
        self._began_at = 0.0
        self._reconnect = Reconnect()
        self._cause: ChannelError | None = None
        self._refused: ChannelError | None = None
        self._is_closed = False

    def __aiter__(self) -> "UpbitStream":
        """Iterate over the items."""
        return self

    async def __anext__(self) -> StreamItem:
        """Return the next item, connecting again as often as it takes.

        Raises:
            ChannelError: the exchange refused the subscription itself; no retry can help.
            ClosedError: the context of the stream has ended.

        """
        while not self._has_read():
            if self._is_closed:
                raise ClosedError(CLOSED)
            if self._refused is not None:
                raise self._refused
            if self._told is not None:
                await self._refuse(self._told)
            else:
                await (self._receive(self._socket) if self._socket else self._begin_life())
        return self._items.popleft()

    def ready(self) -> Iterator[StreamItem]:
        """Yield what has come already."""
        while self._has_read():
            yield self._items.popleft()

    def _has_read(self) -> bool:
        """Return whether an item waits; frames are read one by one, and only while none does.

        The others wait as bytes, at which the collector need not look. What follows an error of the exchange belongs
        to nobody.
        """
        items, frames = self._items, self._frames
        while not items and frames:
            for item in self._reader.read(frames.popleft(), self._origin):
                if not isinstance(item, ControlFrame):
                    items.append(item)
                elif item.error is not None:
                    self._told = item.error
                    frames.clear()
            # Only the last of a reading: a clock learns nothing from the older ones, and each costs a comparison.
            if items and not frames:
                self._learn_time(items[-1])
        return bool(items)

    async def _begin_life(self) -> None:
        # Not before the very first try: nothing has failed yet, and a follower waits.
        if self._life or self._reconnect.failures:
            await self._context.clock.sleep(self._reconnect.delay_s(self._cause, random.random()))
        resources = AsyncExitStack()
        try:
            socket = await resources.enter_async_context(self._connector.open())
            # The whole list, always: a request replaces what the socket carried (probed 2026-09-23).
            await socket.subscribe(uuid.uuid4().hex, self._topics, canary=self._canary)
        except ChannelError as error:
            await resources.aclose()
            self._cause = error
            self._reconnect = self._reconnect.after_refusal()
            self._items.append(LifeEnded(self._life, str(error)))
            return
        except BaseException:  # cancelled while connecting: the half-open socket must not stay behind
            await resources.aclose()
            raise
        if self._is_closed:  # while it was connecting
            await resources.aclose()
            raise ClosedError(CLOSED)
        self._socket, self._resources, self._cause = socket, resources, None
        # After the last await: cancelled before it, this method would leave a task behind.
        self._keeper = asyncio.get_running_loop().create_task(socket.keep_alive())
        self._life += 1
        self._newest = None
        self._began_at = self._context.clock.monotonic()
        self._items.append(LifeBegan(self._life))

    async def _receive(self, socket: UpbitSocket) -> None:
        """Take all that has come since."""
        try:
            frames = await socket.receive()
        except ChannelError as error:
            await self._end_life(str(error))
            return
        read_at = self._context.clock.monotonic()
        self._frames.extend(frames)
        latest = self._context.server_time.latest(read_at)
        self._origin = FrameOrigin(self._connector.identity.venue, self._context.name, self._life, read_at, latest)

    def _learn_time(self, item: StreamItem) -> None:
        """Learn from the last frame of a reading what time it is at the exchange; the future says nothing."""
        stamp = stamp_of(item.value) if isinstance(item, Received) else None
        latest, newest = self._origin.latest, self._newest
        if stamp is not None and latest is not None and stamp <= latest and (newest is None or newest < stamp):
            self._newest = stamp
            self._context.server_time.observe_stamp(stamp.timestamp(), received=self._origin.received_at)

    async def _refuse(self, detail: ErrorDetail) -> None:
        """End the life for what the exchange says of the subscription; for good, if no retry can help."""
        self._told = None
        self._cause = error = explain_frame_error(detail, channel=CHANNEL)
        await self._end_life(str(error))
        if not error.retryable:
            self._refused = error  # raised after the items before it, and ever after

    async def _end_life(self, cause: str) -> None:
        lasted = self._context.clock.monotonic() - self._began_at
        # What was read and not looked at belongs to the life that ends; nothing of it may follow LifeEnded.
        self._frames.clear()
        await self._release()
        self._reconnect = self._reconnect.after_life(lasted)
        self._items.append(LifeEnded(self._life, cause))

    def abandon(self, cause: str) -> None:
        """Give up the present life: what it has read and not delivered is dropped, and ``LifeEnded`` comes next."""
        if self._socket is not None:
            kept = [item for item in self._items if not isinstance(item, Received | Rejected)]
            self._items.clear()
            self._items.extend(kept)
            self._frames.clear()
            self._socket.abandon(cause)

    async def _release(self) -> None:
        self._socket = None
        keeper, self._keeper = self._keeper, None
        try:
            if keeper is not None:
                # wait() and not await: the keeper that was cancelled must not raise here.
                keeper.cancel()
                await asyncio.wait([keeper])
        finally:
            await self._resources.aclose()

    async def close(self) -> None:
        """End the stream; idempotent."""
        self._is_closed = True
        self._frames.clear()
        await self._release()
