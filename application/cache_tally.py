"""What a cached channel did for one request: counted, and with a verdict on every joint."""

from collections.abc import Callable
from datetime import datetime

from attrs import define, field

from ..domain.seam import Seam, SeamVerdict
from ..domain.timeframe import Timeframe
from .comparing import Comparison

HELD = "cache"


class HistoryRewrittenError(Exception):
    """What was held is no longer what the venue tells; it was set aside, and the walk has to begin anew."""


@define
class CacheTally:
    """What a cached channel did for one request."""

    calls: int = 0
    held_rows: int = 0
    live_rows: int = 0
    overlap_rows: int = 0
    verification_reads: int = 0
    revised: int = 0
    seams: list[Seam] = field(factory=list[Seam])

    def join(self, found: Comparison, timeframe: Timeframe, asked: str, above: datetime | None) -> None:
        """Note a joint with what is held from ``above`` on, and one with what is held below the page."""
        if above is not None:
            self._note_seam(above, (asked, HELD), found, lambda slot: slot >= above)
        lower = [slot for slot in found.shared if above is None or slot < above]
        if lower:
            at = timeframe.next(lower[-1])
            self._note_seam(at, (HELD, asked), found, lambda slot: slot < at)

    def _note_seam(
        self, at: datetime, sides: tuple[str, str], found: Comparison, belongs: Callable[[datetime], bool]
    ) -> None:
        shared = sum(map(belongs, found.shared))
        differing = sum(map(belongs, found.differences))
        verdict = SeamVerdict.REPAIRED if differing else SeamVerdict.PROVEN if shared else SeamVerdict.PENDING
        detail = f"{shared} slots compared, {differing} differed"
        self.seams.append(Seam(at=at, older=sides[0], newer=sides[1], verdict=verdict, detail=detail))

    def notes(self) -> tuple[str, ...]:
        """Return what the trace should tell."""
        told = {
            "newest candles from the live stream": self.live_rows,
            "overlap rows compared": self.overlap_rows,
            "verification reads": self.verification_reads,
            "candles revised by the venue": self.revised,
        }
        counted = ", ".join(f"{what}: {number}" for what, number in told.items() if number)
        return (counted,) if counted else ()
