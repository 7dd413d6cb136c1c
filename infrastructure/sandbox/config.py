"""How a sandbox is set up."""

from datetime import datetime
from pathlib import Path

import attrs

from ...domain.errors import ConfigurationError

REGIONS = ("kr", "sg", "id", "th")
_FASTEST = 10_000.0
_LAST_PORT = 65_535


@attrs.frozen
class SandboxConfig:
    """Everything that a sandbox can be told.

    Attributes:
        seed: which market; the same seed and start give the same trades for ever.
        speed: sandbox seconds per real second.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        starts_at: sandbox time at the start (aware); None means the real time, whole seconds.
        replay: a recording to serve instead of the seeded market.
        faults: a fault script.
        region: ``kr``, or ``sg``, ``id``, ``th`` with the wire of Upbit's other hosts.
        limits: whether rate limits are enforced (they are always counted).
        replay_waits: whether a replay stands still until the first subscription arrives.
        replay_lead_s: sandbox seconds between that subscription and the first recorded frame.
        block_after: refusals (429) in ten seconds after which an address is blocked (418).
        json_refusals: answer 429 with a JSON body instead of the plain text.
        idle_timeout_s: sandbox seconds of silence after which a socket is dropped.
        refuse_messages_by_closing: close a socket that sends too many messages.
        slow_reader_s: real seconds after which a socket that does not take its frames is dropped.

    """

    seed: int = 7
    speed: float = 1.0
    host: str = "127.0.0.1"
    port: int = 0
    starts_at: datetime | None = None
    replay: Path | None = None
    faults: Path | None = None
    region: str = "kr"
    limits: bool = True
    replay_waits: bool = True
    replay_lead_s: float = 0.5
    block_after: int = 30
    json_refusals: bool = False
    idle_timeout_s: float = 60.0
    refuse_messages_by_closing: bool = True
    slow_reader_s: float = 10.0

    def __attrs_post_init__(self) -> None:
        """Refuse values that mean nothing, all of them at once."""
        mistakes: list[str] = []
        if not 0 < self.speed <= _FASTEST:
            mistakes.append(f"speed must be above 0 and at most {_FASTEST:g}, not {self.speed!r}")
        if not 0 <= self.port <= _LAST_PORT:
            mistakes.append(f"port must lie between 0 and {_LAST_PORT}, not {self.port!r}")
        if self.region not in REGIONS:
            mistakes.append(f"region must be one of {', '.join(REGIONS)}, not {self.region!r}")
        if self.starts_at is not None and self.starts_at.tzinfo is None:
            mistakes.append("starts_at must have a time zone, such as 2026-11-22T00:00:00Z")
        if self.block_after < 1:
            mistakes.append(f"block_after must be at least 1, not {self.block_after!r}")
        if mistakes:
            raise ConfigurationError("; ".join(mistakes))
