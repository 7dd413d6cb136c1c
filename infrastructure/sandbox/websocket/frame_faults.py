"""Faults on the way of a frame: lost, late, twice, out of order, broken."""

import heapq

import attrs

from ..faults import FaultSchedule
from .streams import DueFrame

_DEFAULT_LATE_S = 2.0
_DEFAULT_DISORDER_MS = 400
_MS = 1_000


@attrs.define
class FrameFaults:
    """Takes frames that are due and returns the bodies to send now."""

    _faults: FaultSchedule
    _held: list[tuple[int, int, bytes]] = attrs.field(factory=list[tuple[int, int, bytes]])
    _order: int = 0

    def deliver(self, frames: list[DueFrame], now: int) -> list[bytes]:
        """Return what goes out by ``now``: frames held back earlier first."""
        if not self._held and not self._faults.scheduled():
            return [frame.body for frame in frames]
        fresh = [body for frame in frames for body in self._fate_of(frame, now)]
        overdue: list[bytes] = []
        while self._held and self._held[0][0] <= now:
            overdue.append(heapq.heappop(self._held)[2])
        return overdue + fresh

    def _fate_of(self, frame: DueFrame, now: int) -> list[bytes]:
        faults, code, channel = self._faults, frame.code, frame.channel
        if faults.active("stall", now, symbol=code, channel=channel):
            return []
        if not channel:
            return [frame.body]
        body = frame.body
        if faults.hits("malformed-frame", now, symbol=code, channel=channel):
            body = body[: len(body) // 2]
        copies = 2 if faults.hits("duplicate-frames", now, symbol=code, channel=channel) else 1
        delay_ms = self._delay_ms(code, channel, now)
        if not delay_ms:
            return [body] * copies
        for _ in range(copies):
            self._order += 1
            heapq.heappush(self._held, (now + delay_ms, self._order, body))
        return []

    def _delay_ms(self, code: str, channel: str, now: int) -> int:
        late = self._faults.hits("late-frames", now, symbol=code, channel=channel)
        if late is not None:
            return int(_MS * (_DEFAULT_LATE_S if late.seconds is None else late.seconds))
        disorder = self._faults.hits("disordered-frames", now, symbol=code, channel=channel)
        if disorder is None:
            return 0
        longest = _DEFAULT_DISORDER_MS if disorder.maximum_ms is None else disorder.maximum_ms
        return int(self._faults.draw() * longest)
