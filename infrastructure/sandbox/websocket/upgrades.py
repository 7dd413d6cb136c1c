"""Who may open a socket, and what it then is: the rules of an upgrade, without the socket."""

import attrs

from ..config import SandboxConfig
from ..counters import Counters
from ..faults import FaultSchedule
from ..limits import MessageLimits, RateLimits
from ..rest.rest import RestReply
from .session import Session
from .streams import Streams

_SWITCHING = 200
_MS = 1_000


@attrs.define
class UpgradeHandler:
    """Admits or refuses upgrades, and opens the session of one that was admitted."""

    config: SandboxConfig
    streams: Streams
    faults: FaultSchedule
    limits: RateLimits
    counters: Counters
    _opened: int = 0

    def ask(self, address: str, now: int, *, has_origin: bool) -> RestReply:
        """Count one upgrade; the reply's status is 101 for one that is admitted."""
        group = "origin" if has_origin else "websocket"
        verdict = self.limits.ask(address, group, now)
        status = verdict.status if verdict.status != _SWITCHING else self._refusing_status(now)
        headers = {"Remaining-Req": verdict.remaining, "Limit-By-Ip": "Yes"}
        if status == _SWITCHING:
            return RestReply(101, b"", headers)
        self.counters.refused_upgrades += 1
        body = f"Upgrade refused. Blocked for {verdict.blocked_s} seconds.".encode()
        return RestReply(status, body, {**headers, "Content-Type": "text/plain"})

    def open(self, now: int) -> Session:
        """Return the session of a socket that was admitted at ``now``."""
        self._opened += 1
        self.counters.websocket_connects += 1
        return Session(
            str(self._opened),
            self.streams,
            self.faults,
            now,
            limits=MessageLimits(enabled=self.config.limits),
            idle_ms=int(self.config.idle_timeout_s * _MS),
            closes_on_excess=self.config.refuse_messages_by_closing,
        )

    def _refusing_status(self, now: int) -> int:
        fault = self.faults.active("refuse-upgrades", now)
        if fault is not None:
            return fault.status or 503
        return 503 if self.faults.active("maintenance", now) else _SWITCHING
