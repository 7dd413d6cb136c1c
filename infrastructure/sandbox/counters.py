"""What a sandbox has served, for tests that count."""

from collections import Counter

import attrs


@attrs.define
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

    requests: Counter[str] = attrs.field(factory=Counter[str])
    statuses: Counter[int] = attrs.field(factory=Counter[int])
    websocket_connects: int = 0
    refused_upgrades: int = 0
    messages: int = 0
    frames: int = 0

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
        statuses = {str(status): count for status, count in self.statuses.items()}
        return {**attrs.asdict(self), "requests": dict(self.requests), "statuses": statuses}
