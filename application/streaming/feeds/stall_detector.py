"""Silence is a question; REST answers it. Pure."""

from datetime import datetime, timedelta
from enum import Enum

from attrs import define

from ....domain.backoff import Backoff

REPEAT = Backoff(first_s=2.0, longest_s=30.0)
NEWER_BY = timedelta(seconds=1)
MIN_HOLE_S = 0.8
UNUSUAL = 8
SAMPLES = 20


class Diagnosis(Enum):
    """What the silence of a socket turned out to be."""

    QUIET = "quiet"
    STALLED = "stalled"


@define
class StallDetector:
    """Decides when a silent socket is worth a question, and what the answer means.

    The canary is the book of the venue's busiest market. A socket that has been silent for
    ``silent_after_s`` is compared with REST: a book there that is newer by more than 1 s means that the
    socket is stalled, whether it answers pings or not; the same book means that nothing happened.
    """

    silent_after_s: float
    _heard_at: float = 0.0
    _ask_after: float = 0.0
    _asked: int = 0
    _newest: datetime | None = None
    _usual_s: float = 0.0
    _samples: int = 0

    def begin_life(self, now: float) -> None:
        """Start listening to a new socket."""
        self._newest = None
        self._samples = 0
        self.on_read(now)

    def on_read(self, now: float) -> None:
        """Note that the socket has brought something."""
        self._heard_at, self._asked = now, 0
        self._ask_after = now + self.silent_after_s

    def leaves_a_hole(self, canary_updated_at: datetime) -> bool:
        """Note the canary; return whether, by its own stamps, it was silent for far longer than it usually is.

        A socket may lose frames without a word and go on; how late they are read plays no part here. A gap that is
        no hole counts for what is usual.
        """
        before, self._newest = self._newest, canary_updated_at
        # a book may be sent twice, and its stamp then proves nothing
        if before is None or canary_updated_at <= before:
            return False
        gap_s = (canary_updated_at - before).total_seconds()
        if self._samples >= SAMPLES and gap_s > max(MIN_HOLE_S, UNUSUAL * self._usual_s):
            return True
        self._samples += 1
        self._usual_s += (gap_s - self._usual_s) / min(self._samples, SAMPLES)
        return False

    @property
    def last_read_at(self) -> float:
        """When the last frame came."""
        return self._heard_at

    def silence_s(self, now: float) -> float:
        """Return for how long nothing has come."""
        return now - self._heard_at

    def is_worth_asking(self, now: float) -> bool:
        """Return whether REST should be asked now."""
        return now >= self._ask_after

    def diagnose(self, rest_updated_at: datetime | None, now: float) -> Diagnosis:
        """Return what the silence means; ``rest_updated_at`` is None when REST failed too."""
        self._ask_after = now + REPEAT.delay_s(self._asked)
        self._asked += 1
        # REST is down as well, or this life has not shown the canary: neither says anything about the socket
        if rest_updated_at is None or self._newest is None:
            return Diagnosis.QUIET
        return Diagnosis.STALLED if rest_updated_at > self._newest + NEWER_BY else Diagnosis.QUIET
