"""One WebSocket connection without the socket: messages in, frames and closes out.

``receive`` and ``due`` take the sandbox's time, change state and return the work; the server performs
it. So every rule of a connection can be tested without waiting.
"""

import heapq
from operator import attrgetter

import attrs

from ..faults import FaultSchedule
from ..hash_rng import fraction, key_of
from ..limits import MessageLimits
from ..units import SECOND
from .frame_faults import FrameFaults
from .frames import Style
from .streams import DueFrame, Streams
from .subscriptions import Element, ListRequest, Subscription, WrongRequest, list_reply, parse

_UP = b'{"status":"UP"}'
_UP_EVERY_MS = 10 * SECOND
# Upbit closes with 1000, 150 to 180 ms after an error frame (probed 2026-09-23).
_CLOSE_AFTER_ERROR_MS = 150
# First answers came in two bursts, 172-188 and 328-354 ms after the request (probed 2026-09-23).
_SNAPSHOT_LEAST_MS, _SNAPSHOT_MOST_MS = 170, 350
_REPLY_MS = 40
_STALE_FRAMES = 2
_STALE_MS = 150
_DEFAULT_LOSS_MS = 500
_NEVER = 1 << 60


@attrs.frozen
class Close:
    """End the connection: with a close frame of this code, or without one when it is None."""

    code: int | None


@attrs.define
class _Running:
    """The subscription that runs, or the one before it that fades out."""

    subscription: Subscription
    style: Style
    live_from: dict[Element, int]
    stale_until: int = _NEVER
    stale_left: int = 0


@attrs.frozen
class _Snapshot:
    element: Element
    style: Style


@attrs.frozen(order=True)
class _Planned:
    due_ms: int
    order: int
    work: bytes | _Snapshot | Close = attrs.field(order=False)


class Session:
    """The state of one connection."""

    def __init__(
        self,
        name: str,
        streams: Streams,
        faults: FaultSchedule,
        now: int,
        *,
        limits: MessageLimits,
        idle_ms: int,
        closes_on_excess: bool = True,
    ) -> None:
        """Open at ``now``; ``name`` makes the delays of this connection reproducible."""
        self._key = key_of("session", name)
        self._streams = streams
        self._faults = faults
        self._delivery = FrameFaults(faults)
        self._limits = limits
        self._idle_ms = idle_ms
        self._closes_on_excess = closes_on_excess
        self._planned: list[_Planned] = []
        self._order = 0
        self._running: _Running | None = None
        self._fading: _Running | None = None
        # A fault of the very instant of opening hits, however the sockets race.
        self._last = now - 1
        self._traffic_ms = now
        self._up_at: int | None = None
        self._closing = False

    @property
    def is_subscribed(self) -> bool:
        """Whether anything may have to be sent soon."""
        return self._running is not None or bool(self._planned)

    def touch(self, now: int) -> None:
        """Note traffic, such as a ping: the idle time starts again."""
        self._traffic_ms = now

    def answers_pings(self, now: int) -> bool:
        """Tell whether a ping gets its pong; a stalled connection may owe it."""
        stall = self._faults.active("stall", now)
        return stall is None or stall.pongs is not False or stall.symbol is not None

    def receive(self, text: str, now: int) -> None:
        """Take one text message."""
        self.touch(now)
        if self._closing:
            return
        if not self._limits.allows(now):
            self._fail(WrongRequest("TOO_MANY_REQUEST"), now, closes=self._closes_on_excess)
        elif text.strip() == "PING":
            self._start_up(now)
        else:
            self._request(text, now)

    def due(self, now: int) -> list[bytes | Close]:
        """Return what has to be sent by ``now``, in order, ending with a close if there is one."""
        after, self._last = self._last, now
        for fault in self._faults.sudden(after, now):
            return [Close(fault.code or 1000 if fault.kind == "close-sockets" else None)]
        if self._faults.active("maintenance", now):
            return [Close(1001)]
        frames, close = self._take_planned(now)
        frames += self._live_frames(after, now)
        bodies = self._delivery.deliver(sorted(frames, key=attrgetter("due_ms")), now)
        if bodies:
            self.touch(now)
        if close is None and now - self._traffic_ms > self._idle_ms:
            close = Close(None)
        return [*bodies, *([close] if close else [])]

    def _request(self, text: str, now: int) -> None:
        try:
            request = parse(text, korean=self._streams.korean)
        except WrongRequest as wrong:
            self._fail(wrong, now, closes=True)
            return
        if isinstance(request, ListRequest):
            self._list(request, now)
        else:
            self._subscribe(request, now)

    def _fail(self, wrong: WrongRequest, now: int, *, closes: bool) -> None:
        self._plan(now + _REPLY_MS, wrong.frame(korean=self._streams.korean))
        if closes:
            self._closing = True
            self._running = None
            self._plan(now + _REPLY_MS + _CLOSE_AFTER_ERROR_MS, Close(1000))

    def _list(self, request: ListRequest, now: int) -> None:
        running = self._running
        self._plan(now + _REPLY_MS, list_reply(request, running.subscription if running else None))
        if running is not None:
            # The format of this question becomes that of the running streams, as Upbit's docs warn.
            running.style = self._streams.style(request.format)

    def _subscribe(self, request: Subscription, now: int) -> None:
        style = self._streams.style(request.format)
        loss_ms = 0
        if self._running is not None:
            loss_ms = self._loss_ms(now)
            self._fading = self._running
            self._fading.stale_until = now + _STALE_MS
            # 0 to 2 frames of the old subscription still arrive after a switch (probed 2026-09-23).
            self._fading.stale_left = int(self._draw() * (_STALE_FRAMES + 1))
            self._planned = [each for each in self._planned if not isinstance(each.work, _Snapshot)]
            heapq.heapify(self._planned)
        live_from: dict[Element, int] = {}
        for element in request.elements:
            snapshot_at = now + _SNAPSHOT_LEAST_MS + int(self._draw() * (_SNAPSHOT_MOST_MS - _SNAPSHOT_LEAST_MS))
            if element.snapshot:
                self._plan(snapshot_at, _Snapshot(element, style))
            if element.realtime:
                live_from[element] = max(snapshot_at, now + loss_ms)
        self._running = _Running(request, style, live_from)

    def _loss_ms(self, now: int) -> int:
        """Return for how long the switch to another subscription loses frames (on by default)."""
        fault = self._faults.active("replacement-loss", now)
        if fault is None:
            return int(self._draw() * _DEFAULT_LOSS_MS)
        if fault.enabled is False:
            return 0
        return _DEFAULT_LOSS_MS if fault.maximum_ms is None else fault.maximum_ms

    def _start_up(self, now: int) -> None:
        if self._up_at is None:
            # A free-running tick of 10 s: the first UP comes sooner than that (seen after 0.6 to 8.9 s).
            phase = self._key % _UP_EVERY_MS
            self._up_at = (now - phase) // _UP_EVERY_MS * _UP_EVERY_MS + _UP_EVERY_MS + phase

    def _take_planned(self, now: int) -> tuple[list[DueFrame], Close | None]:
        frames: list[DueFrame] = []
        while self._up_at is not None and self._up_at <= now:
            frames.append(DueFrame(self._up_at, _UP))
            self._up_at += _UP_EVERY_MS * (1 + (now - self._up_at) // _UP_EVERY_MS)
        while self._planned and self._planned[0].due_ms <= now:
            planned = heapq.heappop(self._planned)
            match planned.work:
                case Close():
                    return frames, planned.work
                case _Snapshot(element, style):
                    frame = self._streams.snapshot(element, style, planned.due_ms)
                    frames += [] if frame is None else [frame]
                case body:
                    frames.append(DueFrame(planned.due_ms, body))
        return frames, None

    def _live_frames(self, after: int, now: int) -> list[DueFrame]:
        frames: list[DueFrame] = []
        for running in (self._fading, self._running):
            if running is not None and not self._closing:
                frames += self._frames_of(running, after, now)
        if self._fading is not None and now >= self._fading.stale_until:
            self._fading = None
        return frames

    def _frames_of(self, running: _Running, after: int, now: int) -> list[DueFrame]:
        until = min(now, running.stale_until)
        frames = [
            frame
            for element, start in running.live_from.items()
            for frame in self._streams.frames(element, running.style, max(after, start), until)
        ]
        if running.stale_until == _NEVER:
            return frames
        kept = sorted(frames, key=attrgetter("due_ms"))[: running.stale_left]
        running.stale_left -= len(kept)
        return kept

    def _plan(self, due_ms: int, work: bytes | _Snapshot | Close) -> None:
        self._order += 1
        heapq.heappush(self._planned, _Planned(due_ms, self._order, work))

    def _draw(self) -> float:
        self._order += 1
        return fraction(self._key, self._order)
