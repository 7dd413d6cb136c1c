"""The joints of a followed series: where a stream took over, and whether both sides tell the same. Pure.

Invariant: each joint is settled exactly once, by a REST read that began after the grace of the first
slot that both sides saw; until then followers are served, and the joint is ``PENDING``.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from attrs import define, evolve, field

from ....domain.candle import Candle
from ....domain.events import SeamSettled
from ....domain.routing import Seam, SeamVerdict
from ....domain.series import CandleSeries
from ....domain.time_range import TimeRange
from ....domain.timeframe import Timeframe


@define
class _Joint:
    seam: Seam
    view: Candle


@define
class SeamTracker:
    """Joints of one series.

    Attributes:
        newest: the last one that was begun, with its verdict so far.
        older: who delivered what lies before the present life.

    """

    timeframe: Timeframe
    newest: Seam | None = None
    older: str = ""
    _first: Candle | None = None
    _pending: dict[datetime, _Joint] = field(factory=dict[datetime, _Joint])

    def begin_life(self) -> None:
        """Note that no socket has shown anything yet."""
        self._first = None

    def take_over(self, first: Candle) -> None:
        """Note the first frame of a life."""
        self._first = first
        self._join()

    def continue_from(self, older: str) -> None:
        """Note who delivered what lies before, if anybody has."""
        self.older = older or self.older
        self._join()

    def _join(self) -> None:
        """Begin a joint, once a life, as soon as both of its sides are known."""
        if self._first is not None and self.older:
            self._begin(self._first, self.older)
            self._first = None

    def _begin(self, first: Candle, older: str) -> None:
        if first.opened_at in self._pending:
            self._pending[first.opened_at].view = first
            return
        self.newest = Seam(at=first.opened_at, older=older, newer=first.source, verdict=SeamVerdict.PENDING)
        self._pending[first.opened_at] = _Joint(self.newest, first)

    def saw(self, view: Candle) -> None:
        """Note a later view that the stream has of the slot; it is cumulative and replaces the earlier one."""
        joint = self._pending.get(view.opened_at)
        if joint is not None and view.volume >= joint.view.volume:
            joint.view = view

    @property
    def is_waiting(self) -> bool:
        """Whether a joint waits for REST."""
        return bool(self._pending)

    def due(self, server_now: datetime, grace: timedelta) -> list[TimeRange]:
        """Return the slots that a REST read can settle now."""
        spans = (TimeRange(slot, self.timeframe.next(slot)) for slot in self._pending)
        return [span for span in spans if server_now >= span.end + grace]

    def settle(self, series: CandleSeries) -> Iterator[SeamSettled]:
        """Compare what the stream saw with a REST answer, where that proves the slot."""
        for slot in sorted(self._pending):
            # a page that does not prove the slot may only be too early for it
            if any(slot in span for span in series.coverage.proven):
                joint = self._pending.pop(slot)
                seam = _judged(joint, next((candle for candle in series if candle.opened_at == slot), None))
                yield self._settled(joint.seam, seam)

    def give_up(self, span: TimeRange) -> Iterator[SeamSettled]:
        """Settle the joints inside a range that could not be had."""
        for slot in [slot for slot in self._pending if slot in span]:
            seam = self._pending.pop(slot).seam
            yield self._settled(
                seam, evolve(seam, verdict=SeamVerdict.UNPROVEN, detail="REST could not be had to compare with")
            )

    def _settled(self, pending: Seam, seam: Seam) -> SeamSettled:
        if self.newest is pending:
            self.newest = seam
        return SeamSettled(seam)


def _judged(joint: _Joint, read: Candle | None) -> Seam:
    if read is None:
        detail = f"the stream saw a candle that {joint.seam.older} does not know"
        return evolve(joint.seam, verdict=SeamVerdict.UNPROVEN, detail=detail)
    if read.is_same_market_data(joint.view):
        return evolve(joint.seam, verdict=SeamVerdict.PROVEN, detail="both sides tell the same candle")
    detail = f"volume {joint.view.volume:f} by the stream, {read.volume:f} by REST, which won"
    return evolve(joint.seam, verdict=SeamVerdict.REPAIRED, detail=detail)
