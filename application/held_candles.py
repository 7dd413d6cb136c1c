"""The methods of the API that are about what is held."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import date, datetime

from ..domain.coverage_report import CoverageReport
from ..domain.holding import HeldSeries
from ..domain.series import CandleSeries
from .archive import Archive
from .auditing import AuditReport
from .downloading import Downloaded, Progress


class HeldCandles:
    """Surveys, fills and checks the candles that outlive a request."""

    _archive: Archive

    @abstractmethod
    def _check_open(self) -> None: ...

    async def coverage(
        self, symbol: str, timeframe: str = "1m", *, start: datetime | None = None, end: datetime | None = None
    ) -> CoverageReport:
        """Return what is held of a series, with the reason of every slot that has no candle; asks nobody."""
        self._check_open()
        return await self._archive.library.coverage(symbol, timeframe, start, end)

    async def download(
        self,
        symbols: Sequence[str],
        timeframe: str = "1m",
        *,
        start: datetime,
        end: datetime | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> list[Downloaded]:
        """Fill the store with ``[start, end)`` of several series; what is held already is not asked for.

        Interrupted anywhere, the same call goes on where it stopped. Without ``end``: as far as candles are final.
        """
        self._check_open()
        return await self._archive.filler.download(symbols, timeframe, (start, end), on_progress)

    def held_parts(
        self, symbol: str, timeframe: str, *, start: datetime, end: datetime
    ) -> AsyncGenerator[CandleSeries]:
        """Yield what is held of a range, oldest first, in parts of bounded size; asks nobody."""
        self._check_open()
        return self._archive.library.parts(symbol, timeframe, start, end)

    async def audit(self, symbol: str, day: date, *, repair: bool = False) -> AuditReport:
        """Compare a UTC day's minutes with its hours and its day candle.

        What is not held is fetched. With ``repair``, what differs is read anew.
        """
        self._check_open()
        return await self._archive.auditor.audit(symbol, day, repair=repair)

    async def inventory(self) -> Sequence[HeldSeries]:
        """Return every series that is held, of whatever venue; what was set aside comes last."""
        self._check_open()
        return await self._archive.library.store.inventory()
