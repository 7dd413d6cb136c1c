"""The sends of one group. Pure: every method takes the present instant."""

import math
from bisect import bisect_right, insort

from attrs import define, field, frozen

WINDOW_S = 1.0
KEPT = 4
"""Windows' worth of sends that are remembered."""


@frozen
class _Proof:
    """The server's word: when the request that was sent at ``sent_at`` arrived, ``left`` more were allowed."""

    sent_at: float
    left: int


@define
class GroupBudget:
    """What was sent, what was said about it, and what may be sent next.

    Attributes:
        limit: sends per second.
        sends: instants of the latest sends, ascending; infinite for one that may happen at any time.
        blocked_until: nothing is sent before.
        told_limit: what the server called its limit; None before it did.
        trust: after a refusal, how many requests may be unanswered at once; None for any number.
        unanswered: requests whose place is taken and whose answer is not there.

    """

    limit: int
    sends: list[float] = field(factory=list[float])
    blocked_until: float = -math.inf
    told_limit: int | None = None
    trust: int | None = None
    unanswered: int = 0
    _proof: _Proof | None = None

    def next_send_at(self, now: float, window: float) -> float:
        """Return the earliest instant at which one more send keeps the invariant.

        It is infinite while that depends on a request whose bytes are not written yet.
        """
        if len(self.sends) < self.limit:
            return max(now, self.blocked_until)
        return max(now, self.blocked_until, self.sends[-self.limit] + window + 1e-6)

    def is_proved(self, now: float, window: float, jitter: float) -> bool:
        """Return whether the server's own count proves that one more send is safe now.

        Whatever was sent no later than J before the newest request that was answered had arrived before
        it. What came later, the new send included, may be as many as were left: counted in fixed, in
        anchored or in sliding windows, they never are more than the limit.
        """
        proof = self._proof
        if proof is None or proof.sent_at <= now - window or self.blocked_until > now:
            return False
        return proof.left > len(self.sends) - bisect_right(self.sends, proof.sent_at - jitter) - 1

    def record(self, sent_at: float) -> None:
        """Count one send."""
        insort(self.sends, sent_at)
        del self.sends[: -KEPT * self.limit]

    def reserve(self) -> None:
        """Count a send whose instant is not known yet: it may happen at any time from now on."""
        self.record(math.inf)

    def move(self, before: float, after: float) -> None:
        """Count a send that was counted ``before`` at ``after`` instead."""
        self.forget(before)
        self.record(after)

    def forget(self, sent_at: float) -> None:
        """Count a send no longer; one that is long past is forgotten already."""
        if sent_at in self.sends:
            self.sends.remove(sent_at)

    def block(self, until: float) -> None:
        """Send nothing before ``until``."""
        self.blocked_until = max(self.blocked_until, until)

    def blocked_for(self, now: float) -> float:
        """Return how many seconds nothing may be sent at all."""
        return max(0.0, self.blocked_until - now)

    def refuse(self, until: float) -> None:
        """Stop after a refusal, and go on carefully: one request alone, then with each answer one more at once."""
        self.block(until)
        self.trust = 1

    def open(self) -> None:
        """Note that one more request is on its way."""
        self.unanswered += 1

    def close(self, *, is_answered: bool) -> None:
        """Note that a request has come to its end."""
        self.unanswered -= 1
        if is_answered and self.trust is not None:
            self.trust = self.trust + 1 if self.trust < self.limit else None

    @property
    def is_held_back(self) -> bool:
        """Whether the next request has to wait for an answer to another one."""
        return self.trust is not None and self.unanswered >= self.trust

    def correct(self, left: int, sent_at: float, jitter: float, unit: float = 1.0) -> None:
        """Believe the server when it says how much was left when our request arrived.

        What others behind our address took is counted as sends of our own at ``sent_at``, so that it ages
        out by itself. Our own that may have been counted are those of a second and J before, and J after.
        """
        first, beyond = sent_at - WINDOW_S * unit - jitter, sent_at + jitter
        ours = bisect_right(self.sends, beyond) - bisect_right(self.sends, first)
        for _ in range(self.limit - left - ours):
            self.record(sent_at)
        if self._proof is None or sent_at >= self._proof.sent_at:
            self._proof = _Proof(sent_at, left)

    def left(self, now: float, window: float) -> int:
        """Return how many sends could go at once."""
        if self.blocked_until > now:
            return 0
        return max(0, self.limit - (len(self.sends) - bisect_right(self.sends, now - window)))

    def absorb(self, other: "GroupBudget") -> None:
        """Count what another name of the same group has sent."""
        self.sends = sorted([*self.sends, *other.sends])[-KEPT * self.limit :]
        self.block(other.blocked_until)
        self.unanswered += other.unanswered
        self.trust = min((one for one in (self.trust, other.trust) if one is not None), default=None)
        self._proof = None
