"""How sure a candle is, and who said so."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from attrs import field, frozen

from .timeframe import Timeframe


class Finality(IntEnum):
    """FORMING (slot open), CLOSED (slot over, may still be revised), FINAL (sealed); ordered."""

    FORMING = 0
    CLOSED = 1
    FINAL = 2

    def __str__(self) -> str:
        """Print the name: numbers mean nothing to a reader."""
        return self.name


class SealedBy(StrEnum):
    """The rule that made a candle FINAL."""

    REST = "rest"
    """A REST read that was sent after the slot's end plus grace answered with it."""
    SUCCESSOR = "successor"
    """On one unbroken life its successor was seen, and the grace has passed."""
    STREAM_QUIET = "stream-quiet"
    """On one unbroken life a later frame proves that nothing more came for it."""
    SOURCE = "source"
    """The adapter declares that its rows are final (files, archives)."""


def judge_rest_row(closed_at: datetime, read_at: datetime, grace: timedelta) -> tuple[Finality, SealedBy | None]:
    """Return how final a row is that a REST read answered with.

    Args:
        closed_at: the end of the row's slot.
        read_at: the read instant: the earliest server time at which the row can have been read.
        grace: how long after its slot's end the venue may still revise a candle.

    """
    if read_at >= closed_at + grace:
        return Finality.FINAL, SealedBy.REST
    return (Finality.CLOSED if read_at >= closed_at else Finality.FORMING), None


@frozen
class Grace:
    """How long after a slot's end its candle may still change; 5 s unless a timeframe says otherwise.

    Upbit promises nothing here: a tick was stored 54 ms after its slot's end (probed 2026-09-13), units
    differ by about 1 s on the live edge, and candles older than two hours did not change.
    """

    default: timedelta = timedelta(seconds=5)
    by_timeframe: Mapping[Timeframe, timedelta] = field(factory=dict[Timeframe, timedelta])

    def of(self, timeframe: Timeframe) -> timedelta:
        """Return the grace of one timeframe."""
        return self.by_timeframe.get(timeframe, self.default)
