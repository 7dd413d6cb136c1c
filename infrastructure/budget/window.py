"""The sends of one group. Pure: every method takes the present instant."""

import math
from bisect import bisect_right, insort
from itertools import groupby

from attrs import define, field, frozen

WINDOW_S = 1.0
KEPT = 4
"""Windows' worth of sends that are remembered."""


@frozen
class _Proof:
    """The server's word: when the request that was sent at ``sent_at`` arrived, ``left`` more were allowed."""

    sent_at: float
    left: int


@frozen
class Arrivals:
    """What answers prove about arrivals: a call has arrived before its answer left.

    Attributes:
        second: how long the server counts.
        least_s: what a call may be late at the least.
        least_trip: what a round trip takes at the least; what one took beyond that, its call may have been late.
        overdue: calls that were sent before this instant should have been answered by now.

    """

    second: float
    least_s: float
    least_trip: float
    overdue: float

    def counts_for(self, round_trip: float) -> float:
        """Return how long a send counts that was answered after a round trip."""
        return self.second + max(self.least_s, round_trip - self.least_trip)


@define
class GroupBudget:
    """What was sent, what was said about it, and what may be sent next.

    Attributes:
        limit: sends per second.
        sends: instants of the latest sends, ascending; infinite for one that may happen at any time.
        round_trips: how long the answers took, by the instant of sending; one for each answer.
        on_their_way: the sends whose answer is waited for.
        blocked_until: nothing is sent before.
        told_limit: what the server called its limit; None before it did.
        trust: after a refusal, how many requests may be unanswered at once; None for any number.
        unanswered: requests whose place is taken and whose answer is not there.

    """

    limit: int
    sends: list[float] = field(factory=list[float])
    round_trips: dict[float, list[float]] = field(factory=dict[float, list[float]])
    on_their_way: list[float] = field(factory=list[float])
    blocked_until: float = -math.inf
    announced_limit: int | None = None
    trust: int | None = None
    unanswered: int = 0
    _proof: _Proof | None = None

    def next_send_at(self, now: float, window: float, arrivals: Arrivals | None = None) -> float:
        """Return the earliest instant at which one more send keeps the invariant.

        It is infinite while that depends on a request whose bytes are not written yet, or whose answer is overdue.
        ``window`` is how long a send counts of which ``arrivals`` proves nothing.
        """
        # A microsecond beyond the end: at it two floats decide whether eleven were within the second.
        if len(self.sends) < self.limit:
            return max(now, self.blocked_until)
        return max(now, self.blocked_until, self._ends(window, arrivals)[-self.limit] + 1e-6)

    def _ends(self, window: float, arrivals: Arrivals | None) -> list[float]:
        """Return until when each send counts, ascending."""
        if arrivals is None:
            return [sent_at + window for sent_at in self.sends]
        ends: list[float] = []
        # Several sends may share an instant, and answers are known by it: as many as came are answered, no more.
        for sent_at, same in groupby(self.sends):
            count = len(list(same))
            answered = [sent_at + arrivals.counts_for(trip) for trip in self.round_trips.get(sent_at, ())][:count]
            overdue = self.on_their_way.count(sent_at) if sent_at < arrivals.overdue else 0
            ends += answered + [math.inf] * overdue + [sent_at + window] * (count - len(answered) - overdue)
        return sorted(ends)

    def depart(self, sent_at: float) -> None:
        """Note that the answer to a send is waited for."""
        self.on_their_way.append(sent_at)

    def note_answer(self, sent_at: float, round_trip: float) -> None:
        """Note that what was sent then has been answered, and so had arrived before."""
        if self.give_up(sent_at):
            self.round_trips.setdefault(sent_at, []).append(round_trip)

    def give_up(self, sent_at: float) -> bool:
        """Wait for an answer no longer; answers whether it was waited for."""
        if sent_at not in self.on_their_way:
            return False
        self.on_their_way.remove(sent_at)
        return True

    def is_proved(self, now: float, window: float, jitter: float) -> bool:
        """Return whether the server's own count proves that one more send is safe now.

        Whatever was sent no later than J before the newest request that was answered had arrived before
        it. What came later, the new send included, may be as many as were left: counted in fixed, in
        anchored or in sliding windows, they never are more than the limit.
        """
        proof = self._proof
        if proof is None or proof.sent_at <= now - window or self.blocked_until > now:
            return False
        # Less one: the request that brought the proof is among them, and was counted by the server already.
        return proof.left > len(self.sends) - bisect_right(self.sends, proof.sent_at - jitter) - 1

    def record(self, sent_at: float) -> None:
        """Count one send."""
        insort(self.sends, sent_at)
        # Bounded by number, not by age: a clock that stands still must not make the list grow.
        for forgotten in self.sends[: -KEPT * self.limit]:
            self.round_trips.pop(forgotten, None)
        del self.sends[: -KEPT * self.limit]

    def reserve(self) -> None:
        """Count a send whose instant is not known yet: it may happen at any time from now on."""
        self.record(math.inf)

    def move(self, before: float, after: float) -> None:
        """Count a send that was counted ``before`` at ``after`` instead."""
        self.forget(before)
        self.give_up(before)
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

    def correct(self, left: int, sent_at: float, jitter: float, market_second_s: float = 1.0) -> None:
        """Believe the server when it says how much was left when our request arrived.

        What others behind our address took is counted as sends of our own at ``sent_at``, so that it ages
        out by itself. Our own that may have been counted are those of a second and J before, and J after.
        """
        first, beyond = sent_at - WINDOW_S * market_second_s - jitter, sent_at + jitter
        ours = bisect_right(self.sends, beyond) - bisect_right(self.sends, first)
        for _ in range(self.limit - left - ours):
            self.record(sent_at)
        # Answers overtake each other; the newest request knows most.
        if self._proof is None or sent_at >= self._proof.sent_at:
            self._proof = _Proof(sent_at, left)

    def left(self, now: float, window: float, arrivals: Arrivals | None = None) -> int:
        """Return how many sends could go at once."""
        if self.blocked_until > now:
            return 0
        return max(0, self.limit - sum(end > now for end in self._ends(window, arrivals)))

    def absorb(self, other: "GroupBudget") -> None:
        """Count what another name of the same group has sent."""
        self.sends = sorted([*self.sends, *other.sends])[-KEPT * self.limit :]
        for sent_at, trips in other.round_trips.items():
            self.round_trips.setdefault(sent_at, []).extend(trips)
        self.on_their_way += other.on_their_way
        self.block(other.blocked_until)
        self.unanswered += other.unanswered
        self.trust = min((one for one in (self.trust, other.trust) if one is not None), default=None)
        self._proof = None
