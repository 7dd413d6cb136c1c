"""Sockets are merged, and codes that have fallen silent are tried again: make before break."""

from datetime import datetime, timedelta

from attrs import define, field

from ....domain.request import Topic
from ..topics.trades import TradeTopic
from .connection import Carrier
from .connection_pool import Carriers
from .subscription import Serving

MAX_SOCKETS = 3
MERGE_PAUSE_S = 10.0
REFUSED_PAUSE_S = 600.0
OVERLAP_S = 1.0
LATEST_ARRIVAL = timedelta(seconds=0.5)
"""How far a frame can lag behind a newer one on one socket; the latest on record was 0.386 s late."""

FIRST_RETRY_S, MAX_RETRY_S = 60.0, 600.0
MAX_TIMEOUT_S = 60.0


@define(eq=False)
class Trial:
    """A socket that is to take topics over, and has to prove itself first.

    Attributes:
        caught_up_at: what the old sockets have to have delivered before they are closed.

    """

    carrier: Carrier
    until: float
    is_merge: bool
    complete_since: float | None = None
    caught_up_at: datetime | None = None


@define
class Retry:
    """When a silent code is subscribed again on a socket of its own."""

    at: float
    tries: int = 0


@define(eq=False)
class Merging:
    """Keeps the sockets of a feed few, and their codes alive; to be called now and then.

    Invariant: at most one socket is on trial, so that a feed has at most one socket more than it needs.
    """

    carriers: Carriers
    _trial: Trial | None = None
    _merge_at: float = 0.0
    _retries: dict[Topic, Retry] = field(factory=dict[Topic, Retry])

    def __attrs_post_init__(self) -> None:
        """Hear what becomes of the sockets."""
        self.carriers.on_shown = lambda topic: self._retries.pop(topic, None) and None
        self.carriers.on_refused = self._note_refused

    def work(self, now: float) -> None:
        """Do what is due."""
        for carrier in list(self.carriers.sockets):
            self._judge(carrier, now)
        if self._trial is not None and self._is_over(self._trial, now):
            self._end(self._trial)
        self._prune()
        if self.carriers.has_lost_all:
            self._collapse()
        elif self._trial is None and self._is_crowded and now >= self._merge_at:
            self._merge(now)
        elif self._trial is None:
            self._retry(now)

    def _judge(self, carrier: Carrier, now: float) -> None:
        """Give up a socket that shows nothing at all; report codes of which it shows nothing."""
        timeout, waited = self.carriers.tools.rules.snapshot_timeout_s, now - carrier.began_at
        if carrier.is_open and not carrier.is_proven and carrier.stream is not None:
            if waited >= min(MAX_TIMEOUT_S, timeout * 2**carrier.fruitless):
                carrier.fruitless += 1
                carrier.is_open = False
                carrier.stream.abandon(f"nothing came within {waited:.0f} s")
        elif carrier.is_proven and waited >= timeout:
            for serving in self.carriers.owned_by(carrier):
                topic = serving.state.topic
                if topic not in carrier.sights and topic not in carrier.muted and serving.is_wanted:
                    serving.note_unanswered(waited)
                    self._retries.setdefault(topic, Retry(now + FIRST_RETRY_S))

    def revive(self, serving: Serving, cause: str, now: float) -> None:
        """Subscribe a code that is dead on its socket once more; REST serves it until it speaks."""
        self.carriers.mute(serving, cause)
        self.carriers.tools.report.code_silent(serving.state.topic, cause)
        self._retries.setdefault(serving.state.topic, Retry(now))

    def _prune(self) -> None:
        """Close what carries nothing that is followed, and forget what was refused and nobody follows any more."""
        for carrier in list(self.carriers.sockets):
            on_trial = self._trial is not None and self._trial.carrier is carrier
            if not on_trial and not any(serving.is_wanted for serving in self.carriers.owned_by(carrier)):
                self.carriers.close(carrier)
        for serving in list(self.carriers.servings.values()):
            if serving.carrier is None and not serving.is_wanted:
                self.carriers.drop(serving, None)

    def _collapse(self) -> None:
        """Put one socket in place of all that were lost together; what is open again already is kept."""
        self.carriers.has_lost_all = False
        lost = [carrier for carrier in self.carriers.sockets if not carrier.is_open]
        if len(lost) < 2:  # noqa: PLR2004 - one comes back by itself
            return
        if self._trial is not None and self._trial.carrier in lost:
            self._trial = None
        wanted = [one for carrier in lost for one in self.carriers.owned_by(carrier) if one.is_wanted]
        if wanted:
            self.carriers.carry(wanted)
            self.carriers.tools.report.replaced(lost, self.carriers.sockets[-1])
        for carrier in lost:
            self.carriers.close(carrier)

    @property
    def _is_crowded(self) -> bool:
        return len(self.carriers.sockets) > MAX_SOCKETS

    def _merge(self, now: float) -> None:
        union = {topic for topic, one in self.carriers.servings.items() if one.carrier is not None and one.is_wanted}
        self._merge_at = now + MERGE_PAUSE_S
        self._try(union, now, is_merge=True)

    def _retry(self, now: float) -> None:
        servings = self.carriers.servings
        self._retries = {topic: retry for topic, retry in self._retries.items() if topic in servings}
        due = {topic for topic, retry in self._retries.items() if now >= retry.at and servings[topic].is_wanted}
        for topic in due:
            retry = self._retries[topic]
            retry.tries += 1
            retry.at = now + min(MAX_RETRY_S, FIRST_RETRY_S * 2 ** (retry.tries - 1))
        if due:
            self._try(due, now, is_merge=False)

    def _try(self, topics: set[Topic], now: float, *, is_merge: bool) -> None:
        until = now + self.carriers.tools.rules.snapshot_timeout_s
        self._trial = Trial(self.carriers.open(topics), until, is_merge)

    def _is_over(self, trial: Trial, now: float) -> bool:
        if now >= trial.until:
            return True
        pending = self._pending(trial)
        live = [serving for serving in pending if serving.is_live]
        if not live:
            return not pending
        if not all(trial.carrier.shows(serving.state.topic) for serving in live):
            trial.complete_since = None
            return False
        if trial.complete_since is None:
            position = trial.carrier.position
            trial.complete_since, trial.caught_up_at = now, position and position + LATEST_ARRIVAL
        return now - trial.complete_since >= OVERLAP_S and all(_has_caught_up(one, trial) for one in live)

    def _pending(self, trial: Trial) -> list[Serving]:
        """Return the topics that the socket on trial carries and does not own."""
        found = (self.carriers.servings.get(topic) for topic in trial.carrier.topics)
        return [serving for serving in found if serving is not None and serving.carrier is not trial.carrier]

    def _end(self, trial: Trial) -> None:
        """Let the socket take over what it shows, and what nobody shows; the rest stays where it is."""
        self._trial = None
        for serving in self._pending(trial):
            if trial.carrier.shows(serving.state.topic):
                if isinstance(serving.state, TradeTopic) and not _has_caught_up(serving, trial):
                    serving.state.suspect()
                self.carriers.hand_over(serving, trial.carrier)
            elif trial.is_merge and trial.carrier.is_proven and serving.carrier is not None and not serving.is_live:
                serving.carrier = trial.carrier
        if trial.is_merge:
            self._tell_merged()

    def _tell_merged(self) -> None:
        before = len(self.carriers.sockets) - 1
        owned = [owned for one in self.carriers.sockets if (owned := self.carriers.owned_by(one))]
        if len(owned) < before:
            codes = sum(map(len, owned))
            self.carriers.tools.report.merged(self.carriers.live.name, before, len(owned), codes)

    def _note_refused(self, carrier: Carrier) -> None:
        """A union that is refused, though its parts were not, is not tried again soon."""
        if self._trial is not None and self._trial.carrier is carrier:
            self._merge_at = self.carriers.tools.clock.monotonic() + REFUSED_PAUSE_S
            self._trial = None


def _has_caught_up(serving: Serving, trial: Trial) -> bool:
    """Return whether the old owner has delivered all from before the new one was complete."""
    if trial.complete_since is None:
        return False
    position = serving.carrier.position if serving.carrier is not None else None
    return position is None or trial.caught_up_at is None or position >= trial.caught_up_at
