"""Upbit's rate limits: fixed one-second windows per group and address, and the block for who repeats.

Source: facts/upbit-api.md section 3. All times are sandbox milliseconds.
"""

from collections import deque

import attrs

_SECOND = 1_000
_REST_LIMIT = 10
_CONNECT_LIMIT = 5
_ORIGIN_WINDOW = 10 * _SECOND
_BLOCK_S = 60
_REPEAT_WINDOW = 10 * _SECOND
_KEPT_WINDOWS = 10_000


@attrs.frozen
class Verdict:
    """What the limiter says: 200, 429 or 418, the ``Remaining-Req`` header, and seconds of a block."""

    status: int
    remaining: str
    blocked_s: int = 0


class RateLimits:
    """All windows of one sandbox."""

    def __init__(self, *, enabled: bool, block_after: int) -> None:
        """Block an address after ``block_after`` refusals within ten seconds."""
        self._enabled = enabled
        self._block_after = block_after
        self._windows: dict[tuple[str, str], tuple[int, int]] = {}
        self._refusals: dict[str, deque[int]] = {}
        self._blocks: dict[str, tuple[int, int]] = {}

    def ask(self, address: str, group: str, now: int) -> Verdict:
        """Count one request of ``address`` in ``group`` (``origin`` and ``websocket`` have their own)."""
        limit, window_ms = _window_of(group)
        per_minute = 6 if group == "origin" else limit * 60
        blocked = self._blocked_s(address, now)
        if blocked and self._enabled:
            return Verdict(418, f"group={group}; min={per_minute}; sec=0", blocked)
        used = self._count(address, group, now // window_ms)
        left = max(0, limit - used)
        remaining = f"group={group}; min={per_minute}; sec={left}"
        if used <= limit or not self._enabled:
            return Verdict(200, remaining)
        return self._refuse(address, now, remaining)

    def _count(self, address: str, group: str, window: int) -> int:
        if len(self._windows) > _KEPT_WINDOWS:
            self._windows.clear()
        last, used = self._windows.get((address, group), (window, 0))
        used = used + 1 if last == window else 1
        self._windows[address, group] = (window, used)
        return used

    def _refuse(self, address: str, now: int, remaining: str) -> Verdict:
        refusals = self._refusals.setdefault(address, deque())
        refusals.append(now)
        while refusals[0] <= now - _REPEAT_WINDOW:
            refusals.popleft()
        if len(refusals) < self._block_after:
            return Verdict(429, remaining)
        refusals.clear()
        _, times = self._blocks.get(address, (0, 0))
        length_s = _BLOCK_S * 2**times
        self._blocks[address] = (now + length_s * _SECOND, times + 1)
        return Verdict(418, remaining, length_s)

    def _blocked_s(self, address: str, now: int) -> int:
        until, _ = self._blocks.get(address, (0, 0))
        return max(0, -((now - until) // _SECOND))


class MessageLimits:
    """Five messages a second and a hundred a minute on one socket."""

    _LIMITS = ((_SECOND, 5), (60 * _SECOND, 100))

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._windows = [(0, 0) for _ in self._LIMITS]

    def allows(self, now: int) -> bool:
        """Count one message and tell whether it is within both limits."""
        allowed = True
        for place, (length, limit) in enumerate(self._LIMITS):
            window, used = self._windows[place]
            used = used + 1 if window == now // length else 1
            self._windows[place] = (now // length, used)
            allowed = allowed and used <= limit
        return allowed or not self._enabled


def _window_of(group: str) -> tuple[int, int]:
    if group == "origin":
        return 1, _ORIGIN_WINDOW
    return (_CONNECT_LIMIT if group == "websocket" else _REST_LIMIT), _SECOND
