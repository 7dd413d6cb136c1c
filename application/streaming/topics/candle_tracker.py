"""The live end of one candle series: which slot is how final, and what is still owed. Pure.

Invariants:
    Every slot before ``frontier`` has been delivered FINAL exactly once, or is known to be empty, or is
    owed (told as a ``Gap`` and delivered later as ``Backfilled``). FINAL candles leave in slot order.
    A slot of which the present life saw no SNAPSHOT or frame can be sealed by REST only.
    A stream seals a slot only when the socket's own data has passed the slot's end plus grace: server
    time alone would seal what still waits in a buffer of a process that slept.
    A frame that arrives after its slot was closed is as closed as what it is compared with.
    An answer of REST that lacks a candle which the stream saw proves nothing from that slot on.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from attrs import define, evolve, field, frozen

from ....domain.candle import Candle
from ....domain.coverage import Reason
from ....domain.coverage_report import Completeness
from ....domain.events import Backfilled, CandleRevised, CandleUpdated, Gap, MarketEvent
from ....domain.finality import Finality, SealedBy
from ....domain.series import CandleSeries
from ....domain.time_range import TimeRange, clip, subtract, unite
from ....domain.timeframe import Timeframe
from ....domain.timestamps import EPOCH
from ....domain.unifier import CandleView, DataUnifier
from .seam_tracker import SeamTracker

TICK = timedelta(seconds=1)
"""Upbit emits candle frames on a tick of one second; a slot's last frame may come one tick late."""

SLOTS_PER_CONFIRMATION = 190
"""What a stream sealed is read once more after this many slots: one page of the venue, with room to overlap."""

SEALED_KEPT = SLOTS_PER_CONFIRMATION + 10


@frozen(kw_only=True)
class TrackerOptions:
    """What a tracker needs to know of its series."""

    timeframe: Timeframe
    grace: timedelta
    repair_bound: timedelta


@define
class _Life:
    """What the frames of the present socket have shown, and so prove.

    Attributes:
        since: the slot of its first frame; older ones it proves nothing about.
        until: how far its data has come, by its own stamps.
        newest: the latest slot that it has shown.

    """

    since: datetime | None = None
    until: datetime | None = None
    newest: datetime | None = None


@define
class CandleTracker:
    """State of one followed series; instants are the server's, at their lower bound."""

    options: TrackerOptions
    frontier: datetime | None = None
    pending_backfill: tuple[TimeRange, ...] = ()
    seams: SeamTracker = field(init=False)
    _began_at: datetime | None = None
    _views: dict[datetime, CandleView] = field(factory=dict[datetime, CandleView])
    _sealed: dict[datetime, CandleView] = field(factory=dict[datetime, CandleView])
    _life: _Life = field(factory=_Life)
    _waiting_since: datetime | None = None
    _confirmed_until: datetime | None = None
    _recheck: set[datetime] = field(factory=set[datetime])
    _rest: tuple[datetime | None, datetime] = (None, EPOCH)

    def __attrs_post_init__(self) -> None:
        """Watch the joints of the same series."""
        self.seams = SeamTracker(self.options.timeframe)

    @property
    def began_at(self) -> datetime | None:
        """The first slot that was promised to anybody; None before any was."""
        return self._began_at

    def start_at(self, promised_from: datetime, older: str = "") -> None:
        """Promise every slot from here on; ``older`` delivered those before.

        A frame may have come before the history that somebody asked for: while nothing has been settled
        yet, the frontier goes back; afterwards, older slots are owed.
        """
        slot = self.options.timeframe.floor(promised_from)
        self._confirmed_until = self._confirmed_until or slot
        self.seams.continue_from(older)
        if self.frontier is None or (self.frontier == self._began_at and slot < self.frontier):
            self.frontier = slot
        elif self._began_at is not None and slot < self._began_at:
            self.pending_backfill = (*self.pending_backfill, TimeRange(slot, self._began_at))
        self._began_at = slot if self._began_at is None else min(slot, self._began_at)

    def begin_life(self) -> None:
        """Forget what the last socket witnessed: a new life proves nothing about it."""
        self._life = _Life()
        self.seams.begin_life()

    def hand_over(self, first: datetime, newest: datetime) -> None:
        """Hand the series over to a socket that has carried it, too, since it showed the slot ``first``.

        All that the new socket showed has been taken by ``apply_from_standby``; what it did not see from the
        beginning, it proves nothing about.
        """
        self.begin_life()
        self._life = _Life(first, newest=newest)

    def witness(self, position: datetime) -> None:
        """Note how far the data of the present socket reaches, by the stamps of its own frames."""
        if self._life.since is not None:
            self._life.until = position

    def apply_frame(self, candle: Candle) -> Iterator[MarketEvent]:
        """Take a candle of the stream; yields what followers learn from it at once."""
        life = self._life
        if life.since is None:
            life.since = candle.opened_at
            self.seams.take_over(candle)
        self.seams.saw(candle)
        life.newest = max(candle.opened_at, life.newest or candle.opened_at)
        if self.frontier is None:
            self.start_at(candle.opened_at)
        yield from self._apply(CandleView(candle))

    def apply_derived(self, candle: Candle) -> Iterator[MarketEvent]:
        """Take a view that was made of shorter candles: it witnesses nothing, so that REST alone seals its slot."""
        yield from self._apply(CandleView(candle))

    def apply_from_standby(self, candle: Candle) -> Iterator[MarketEvent]:
        """Take a frame of a second socket beside the one that witnesses: the fuller view of a slot wins."""
        yield from self._apply(CandleView(candle))

    def forget_view(self, slot: datetime) -> None:
        """Forget a view that was proven wrong: whatever comes next stands, be its volume smaller."""
        self._views.pop(slot, None)

    def apply_series(self, series: CandleSeries) -> Iterator[MarketEvent]:
        """Take a REST answer: candles, and what it proves about slots without one."""
        if len(series):
            self.seams.older = series[-1].source
        for candle in series:
            yield from self._apply(CandleView(candle))
        yield from self._deliver_backfill(series)
        self._recheck = {slot for slot in self._recheck if not any(slot in span for span in series.coverage.proven)}
        self._confirmed_until = self._confirmed_by(series)
        for span in series.coverage.proven:
            if self.frontier is not None and span.start <= self.frontier < span.end:
                yield from self._settle_until(min(span.end, self._first_contradiction(span)), None)
        yield from self.seams.settle(series)

    def _confirmed_by(self, series: CandleSeries) -> datetime | None:
        """Return until when REST has told of what a stream sealed; what it revised has been told by then."""
        at = self._confirmed_until or self.frontier
        ends = (
            min(span.end, self._first_contradiction(span))
            for span in series.coverage.proven
            if at is not None and at in span
        )
        return max(ends, default=at)

    def _unconfirmed(self) -> tuple[TimeRange, ...]:
        """Return what a stream sealed, once it is a page: it may have been revised since, or lack a trade."""
        if self.frontier is None or self._confirmed_until is None or self._confirmed_until >= self.frontier:
            return ()
        span = TimeRange(self._confirmed_until, self.frontier)
        return (span,) if self.options.timeframe.count_slots(span) >= SLOTS_PER_CONFIRMATION else ()

    def _first_contradiction(self, span: TimeRange) -> datetime:
        """Return the first slot that the stream saw and REST does not know; the end of ``span`` for none."""
        seen = (slot for slot, view in self._views.items() if slot in span and not view.candle.is_final)
        return min(seen, default=span.end)

    def _apply(self, view: CandleView) -> Iterator[MarketEvent]:
        slot = view.candle.opened_at
        if self.frontier is not None and slot < self.frontier:
            yield from self._apply_late(view)
            return
        held = self._views.get(slot)
        # a slot's last frame comes up to a second after its end, and does not open it again
        if held is not None and held.candle.finality is Finality.CLOSED and view.candle.finality is Finality.FORMING:
            view = evolve(view, candle=evolve(view.candle, finality=Finality.CLOSED))
        best = view if held is None else DataUnifier().winner(held, view)
        if held is not None and best.candle == held.candle:
            return
        self._views[slot] = best
        if not best.candle.is_final:
            yield CandleUpdated(best.candle)

    def _apply_late(self, view: CandleView) -> Iterator[MarketEvent]:
        """A frame never changes a FINAL candle, but more volume in it is worth one more read."""
        sealed = self._sealed.get(view.candle.opened_at)
        if sealed is None:
            if self._was_never_seen(view.candle):
                self._keep_sealed(view.candle)
                yield Backfilled(view.candle)
            return
        if not view.candle.is_final:
            # a frame is cumulative: less volume is only an older view
            if view.candle.volume > sealed.candle.volume:
                self._recheck.add(view.candle.opened_at)
            return
        self._recheck.discard(view.candle.opened_at)
        if not view.candle.is_same_market_data(sealed.candle):
            revised = evolve(view.candle, revision=sealed.candle.revision + 1)
            self._sealed[revised.opened_at] = CandleView(revised)
            yield CandleRevised(sealed.candle, revised)

    def _was_never_seen(self, candle: Candle) -> bool:
        """Return whether a FINAL candle of REST lies where the stream had shown none: delivered late, but once."""
        if not candle.is_final or self._confirmed_until is None or candle.opened_at < self._confirmed_until:
            return False
        is_remembered = len(self._sealed) < SEALED_KEPT or candle.opened_at > min(self._sealed)
        return is_remembered and not any(candle.opened_at in span for span in self.pending_backfill)

    def is_at_rest(self, server_now: datetime) -> bool:
        """Return whether time decides nothing now, because the slot at the frontier has not ended.

        Asked five times a second for each followed series; settling takes fifteen times as long to find out.
        """
        if self.frontier is None or self._waiting_since is not None:
            return False
        frontier, until = self._rest
        # by identity: the frontier is another object whenever it moves
        if frontier is not self.frontier:
            self._rest = self.frontier, (until := self.options.timeframe.next(self.frontier))
        return server_now < until

    def settle(self, server_now: datetime) -> Iterator[MarketEvent]:
        """Close and seal whatever time has decided."""
        yield from self._close_until(server_now)
        if self.frontier is None or self._life.since is None or self.frontier < self._life.since:
            return
        until = self.frontier
        # stops at the first slot that the stream cannot vouch for: FINAL candles leave in order
        while self._seal_of(until, server_now) is not None:
            until = self.options.timeframe.next(until)
        if until > self.frontier:
            yield from self._settle_until(until, server_now)

    def _seal_of(self, slot: datetime, server_now: datetime) -> SealedBy | None:
        sealable_at = self.options.timeframe.next(slot) + self.options.grace
        if self._life.until is None:
            return None
        # by the data's own stamps: the server's time alone would seal what still waits in a buffer
        passed = min(self._life.until, server_now)
        if self._life.newest is not None and self._life.newest > slot and passed >= sealable_at:
            return SealedBy.SUCCESSOR
        return SealedBy.STREAM_QUIET if passed >= sealable_at + TICK else None

    def _close_until(self, server_now: datetime) -> Iterator[MarketEvent]:
        for slot in sorted(self._views):
            candle = self._views[slot].candle
            if candle.finality is Finality.FORMING and server_now >= candle.closed_at:
                closed = evolve(candle, finality=Finality.CLOSED)
                self._views[slot] = CandleView(closed)
                yield CandleUpdated(closed)

    def _settle_until(self, end: datetime, server_now: datetime | None) -> Iterator[MarketEvent]:
        for slot in sorted(slot for slot in self._views if slot < end):
            view = self._views.pop(slot)
            sealed_by = SealedBy.REST if server_now is None else self._seal_of(slot, server_now)
            candle = view.candle
            if not candle.is_final:
                candle = evolve(candle, finality=Finality.FINAL, sealed_by=sealed_by or SealedBy.SUCCESSOR)
            self._keep_sealed(candle)
            yield CandleUpdated(candle)
        self.frontier = end
        self._waiting_since = None

    def _keep_sealed(self, candle: Candle) -> None:
        self._sealed[candle.opened_at] = CandleView(candle)
        while len(self._sealed) > SEALED_KEPT:
            self._sealed.pop(min(self._sealed))

    def unsettled(self, server_now: datetime) -> tuple[TimeRange, ...]:
        """Return the slots that a REST read has to settle now, the newest range first."""
        if self.frontier is None:
            return ()
        if not (self._recheck or self.pending_backfill or self.seams.is_waiting) and self.is_at_rest(server_now):
            return self._unconfirmed()
        missing = self._missing(server_now)
        spans = [TimeRange(slot, self.options.timeframe.next(slot)) for slot in self._recheck]
        spans += [*self.pending_backfill, *self._unconfirmed(), *self.seams.due(server_now, self.options.grace)]
        # the newest first: somebody looks at it
        return tuple(reversed(unite([*spans, missing] if missing is not None else spans)))

    def _missing(self, server_now: datetime) -> TimeRange | None:
        """Return the slots that are over by the grace and that the present life has not seen whole."""
        if self.frontier is None:
            return None
        end = self.options.timeframe.floor(server_now - self.options.grace)
        if self._life.since is not None:
            # what a life has shown from its beginning, the stream seals itself
            end = min(end, self._life.since)
        return TimeRange(self.frontier, end) if end > self.frontier else None

    def give_up(self, server_now: datetime) -> Iterator[MarketEvent]:
        """Stop holding newer candles back once a missing slot could not be had for ``repair_bound``."""
        given_up = self._missing(server_now)
        if given_up is None:
            self._waiting_since = None
            return
        self._waiting_since = self._waiting_since or server_now
        if server_now - self._waiting_since < self.options.repair_bound:
            return
        # they come as Backfilled once REST has told of them, and not as live candles after their gap
        for slot in [slot for slot in self._views if slot < given_up.end]:
            self._views.pop(slot)
        self.pending_backfill = (*self.pending_backfill, given_up)
        self.frontier, self._waiting_since = given_up.end, None
        yield Gap(given_up, Reason.UNKNOWN)
        yield from self.seams.give_up(given_up)

    def _deliver_backfill(self, series: CandleSeries) -> Iterator[MarketEvent]:
        if not self.pending_backfill:
            return
        for candle in series:
            is_news = candle.is_final and candle.opened_at not in self._sealed
            if is_news and any(candle.opened_at in span for span in self.pending_backfill):
                self._keep_sealed(candle)
                yield Backfilled(candle)
        self.pending_backfill = tuple(
            part for span in self.pending_backfill for part in subtract(span, series.coverage.proven)
        )

    def completeness(self, received: int) -> Completeness:
        """Return what became of the slots from the first promise to the frontier; ``received`` were delivered FINAL.

        What lies before the frontier was delivered, or is known to be empty, or is owed.
        """
        if self._began_at is None or self.frontier is None or self.frontier <= self._began_at:
            return Completeness()
        timeframe, span = self.options.timeframe, TimeRange(self._began_at, self.frontier)
        expected = timeframe.count_slots(span)
        unknown = sum(timeframe.count_slots(part) for part in clip(self.pending_backfill, span))
        received = min(received, expected - unknown)
        return Completeness(expected=expected, received=received, quiet=expected - unknown - received, unknown=unknown)

    def current(self) -> list[Candle]:
        """Return the views of slots that are not settled yet, oldest first."""
        return [self._views[slot].candle for slot in sorted(self._views)]

    def held_since(self, start: datetime) -> list[Candle]:
        """Return what is remembered of the slots from ``start`` on, FINAL and not, oldest first."""
        sealed = [self._sealed[slot].candle for slot in sorted(self._sealed) if slot >= start]
        return [*sealed, *self.current()]
