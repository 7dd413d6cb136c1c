"""What a client has counted: events, and the time from the first of the flow to the last. Standard library only."""

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

IDLE_S = 0.5
FIRST_WITHIN_S = 15.0


class Tally:
    """Counts events; those before the flow, which begins after a pause, are snapshots."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.count = 0
        self.last = 0.0
        self._flow_at = 0
        self._began = self._cpu = 0.0

    def hit(self) -> None:
        """Count one event."""
        self.count += 1
        self.last = time.perf_counter()

    def hits(self, number: int) -> None:
        """Count several events at once."""
        self.count += number
        self.last = time.perf_counter()

    async def watch(self) -> None:
        """Return when the flow has ended.

        Raises:
            TimeoutError: nothing came.

        """
        started = time.perf_counter()
        while self.count <= 1:
            self._began, self._cpu = time.perf_counter(), time.process_time()
            self._flow_at = self.count
            if self._began - started > FIRST_WITHIN_S:
                msg = f"{self.count} events within {FIRST_WITHIN_S:g} s"
                raise TimeoutError(msg)
            await asyncio.sleep(0.001)
        while time.perf_counter() - self.last < IDLE_S:  # noqa: ASYNC110 - an event for each frame would be measured
            await asyncio.sleep(0.05)

    def tell(self, **more: object) -> None:
        """Print the figures as one line of JSON."""
        figures = {
            "events": self.count,
            "seconds": self.last - self._began,
            "cpu_seconds": time.process_time() - self._cpu,
            **more,
        }
        print(json.dumps(figures), flush=True)


def addresses() -> tuple[str, str, str]:
    """Return the kind of frames and the addresses of REST and of the socket, which lie on this machine."""
    kind, rest = sys.argv[1], sys.argv[2]
    parts = urlsplit(rest)
    if parts.hostname != "127.0.0.1":
        msg = f"only loopback is measured, not {rest!r}"
        raise ValueError(msg)
    return kind, rest, f"ws://{parts.netloc}/websocket/v1"


def subscription(kind: str, code: str = "KRW-BTC") -> str:
    """Return the text that asks for a stream, as the best parts send it."""
    return json.dumps([{"ticket": "bench"}, {"type": kind, "codes": [code]}, {"format": "DEFAULT"}])
