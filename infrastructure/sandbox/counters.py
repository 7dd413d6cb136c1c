"""What a sandbox has served, for tests that count."""

from collections import Counter


class Counters:
    """Counts since the start.

    Attributes:
        requests: REST requests per rate-limit group.
        statuses: REST replies per HTTP status.
        websocket_connects: accepted upgrades.
        refused_upgrades: refused upgrades.
        messages: text messages received on sockets.
        frames: frames sent on sockets.

    """

    def __init__(self) -> None:
        """Start at zero."""
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.websocket_connects = 0
        self.refused_upgrades = 0
        self.messages = 0
        self.frames = 0

    @property
    def refusals(self) -> int:
        """Replies with 429."""
        return self.statuses[429]

    @property
    def blocks(self) -> int:
        """Replies with 418."""
        return self.statuses[418]

    def count_request(self, group: str) -> None:
        """Count one REST request."""
        self.requests[group] += 1

    def count_status(self, status: int) -> None:
        """Count one REST reply."""
        self.statuses[status] += 1

    def to_table(self) -> dict[str, object]:
        """Return the counts for the admin endpoint."""
        return {
            "requests": dict(self.requests),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "websocket_connects": self.websocket_connects,
            "refused_upgrades": self.refused_upgrades,
            "messages": self.messages,
            "frames": self.frames,
        }
