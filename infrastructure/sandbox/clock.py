"""The sandbox's one clock: everything that has a time reads it here."""

import time

_MS = 1_000


def wall_ms() -> int:
    """Return the real UTC time: only the default start of a sandbox is taken from it."""
    return int(time.time() * _MS)


class SandboxClock:
    """Sandbox time = start + real time since the start, times the speed.

    A clock that waits stands still at its start until ``release``: a replay must not run while
    nobody listens.
    """

    __slots__ = ("_released_at", "speed", "start_ms")

    def __init__(self, start_ms: int, speed: float, *, waits: bool = False) -> None:
        """Start now, or at ``release`` when the clock waits."""
        self.start_ms = start_ms
        self.speed = speed
        self._released_at = None if waits else time.monotonic()

    def now_ms(self) -> int:
        """Return the sandbox's UTC time in milliseconds."""
        if self._released_at is None:
            return self.start_ms
        return self.start_ms + int((time.monotonic() - self._released_at) * self.speed * _MS)

    def release(self) -> None:
        """Let a waiting clock run; a running one is left alone."""
        if self._released_at is None:
            self._released_at = time.monotonic()

    def restart(self) -> None:
        """Count from now, so that building the sandbox takes none of its own time."""
        if self._released_at is not None:
            self._released_at = time.monotonic()

    def real_s(self, sandbox_s: float) -> float:
        """Return how long ``sandbox_s`` sandbox seconds take."""
        return sandbox_s / self.speed
