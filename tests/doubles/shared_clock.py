"""A clock that several tasks sleep by at once: time passes when all of them do."""

import asyncio
import heapq

TURNS = 6
"""Whoever works gets as many turns of the loop before the first sleeper wakes."""


class SharedClock:
    """Nothing waits in real time; a second passes once for all who sleep it."""

    def __init__(self):
        self.now = 1000.0
        self.speed = 1.0
        self._waking = []

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        until = self.now + max(0.0, seconds)
        heapq.heappush(self._waking, until)
        turns = 0
        try:
            await asyncio.sleep(0)
            while self.now < until:
                await asyncio.sleep(0)
                turns = turns + 1 if self._waking[0] >= until else 0
                if turns >= TURNS:
                    self.now = max(self.now, until)
        finally:
            self._waking.remove(until)
            heapq.heapify(self._waking)

    def to_real_s(self, seconds):
        return seconds

    def follow_speed(self, speed):
        self.speed = speed
