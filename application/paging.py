"""Cut a request for candles into pages; pure.

Pages go backwards from the end, and each continues at the oldest row of the one before: a page holds
candles that exist, so a thin market stretches it over weeks. Nothing is ever computed as
``count * width``. A short page only *claims* the beginning of history; it is proven when a second
read, at least 1 s later, finds nothing older.
"""

from datetime import datetime
from typing import Self

from attrs import define, field, frozen

from ..domain.candle import Candle
from ..domain.coverage import Coverage, Reason
from ..domain.errors import MalformedReplyError
from ..domain.finality import Finality
from ..domain.request import CandleRequest
from ..domain.series import CandleSeries
from ..domain.time_range import TimeRange
from ..domain.timeframe import Timeframe
from .unifier import CandleView, DataUnifier

PROOF_DELAY_S = 1.0
SPARE_ROWS = 2
"""Rows that a request for closed candles asks for in excess: the forming one and one that is closing."""


@frozen
class Page:
    """One page to ask for: ``count`` rows before ``end``, not before ``delay_s`` have passed."""

    count: int
    end: datetime | None
    delay_s: float = 0.0


@define
class CandlePaging:
    """The pages of one backward walk.

    Invariant: after each ``take``, the rows held are exactly the existing candles in
    ``[cursor, end)`` as far as the pages' own coverage proves it.
    """

    timeframe: Timeframe
    page_size: int
    count: int | None
    start: datetime | None
    end: datetime | None
    least_finality: Finality = Finality.FORMING
    calls: int = 0
    _cursor: datetime | None = None
    _claim: datetime | None = None
    _is_done: bool = False
    _views: list[CandleView] = field(factory=list[CandleView])
    _coverage: Coverage | None = None
    _first: CandleSeries | None = None

    @classmethod
    def of(cls, request: CandleRequest, page_size: int) -> Self:
        """Begin the walk for a request with a count, or with both bounds."""
        least = Finality.FINAL if request.final_only else Finality.CLOSED if request.closed_only else Finality.FORMING
        return cls(request.timeframe, page_size, request.count, request.start, request.end, least, 0, request.end)

    @property
    def rows(self) -> int:
        """How many rows are held that the request wants."""
        return len(self._wanted())

    def _wanted(self) -> list[Candle]:
        candles = DataUnifier().unify(self._views)
        wanted = [candle for candle in candles if candle.finality >= self.least_finality]
        if self.start is not None:
            wanted = [candle for candle in wanted if candle.opened_at >= self.start]
        return wanted if self.count is None else wanted[-self.count :]

    def next_page(self) -> Page | None:
        """Return the page to ask for next; None when the walk is over."""
        if self._is_done:
            return None
        if self._claim is not None:
            return Page(1, self._claim, PROOF_DELAY_S)
        return Page(min(self.page_size, self._missing()), self._cursor)

    def _missing(self) -> int:
        if self.count is not None:
            spare = SPARE_ROWS if self.least_finality > Finality.FORMING and not self._views else 0
            return max(1, self.count - self.rows) + spare
        if self.start is None or self._cursor is None:
            return self.page_size
        return max(1, self.timeframe.count_slots(TimeRange(min(self.start, self._cursor), self._cursor)))

    def take(self, page: CandleSeries) -> None:
        """Take the answer to the last page.

        Raises:
            MalformedReplyError: the page is no step backwards.

        """
        self.calls += 1
        self._first = self._first or page
        if self._claim is not None and not len(page):
            self._settle_beginning(self._claim, page)
            return
        self._check_progress(page)
        self._claim = None
        self._views += [CandleView(candle) for candle in page]
        self._coverage = page.coverage if self._coverage is None else self._coverage.join(page.coverage)
        if len(page):
            self._cursor = page[0].opened_at
        self._is_done = self._has_enough() or (not len(page) and page.coverage.claimed_beginning is None)
        if not self._is_done and page.coverage.claimed_beginning is not None:
            self._meet_claim(page.coverage.claimed_beginning)

    def _check_progress(self, page: CandleSeries) -> None:
        if len(page) and self._cursor is not None and page[-1].opened_at >= self._cursor:
            msg = f"a page before {self._cursor.isoformat()} holds {page[-1].opened_at.isoformat()}"
            raise MalformedReplyError(msg, channel=page[-1].source)

    def _has_enough(self) -> bool:
        if self.count is not None and self.rows >= self.count:
            return True
        return self.start is not None and self._cursor is not None and self._cursor <= self.start

    def _meet_claim(self, claimed: datetime) -> None:
        """Seconds are kept for three months only: a short page of them says nothing about the listing."""
        if self.timeframe is Timeframe.S1:
            self._explain_older(claimed, Reason.BEYOND_RETENTION)
            self._is_done = True
            return
        self._claim = claimed

    def _settle_beginning(self, claimed: datetime, page: CandleSeries) -> None:
        if self._coverage is None:
            self._coverage = page.coverage
        self._explain_older(claimed, Reason.BEFORE_LISTING)
        self._is_done = True

    def _explain_older(self, beginning: datetime, reason: Reason) -> None:
        begin = self.timeframe.ceil(beginning)
        if self.start is not None:
            older = TimeRange(min(self.start, begin), begin)
        else:
            older = TimeRange(begin - self.timeframe.nominal_width * max(1, (self.count or 1) - self.rows), begin)
        coverage = self._coverage or Coverage.nothing(begin)
        self._coverage = coverage.explain(older, reason)

    def result(self) -> CandleSeries:
        """Return what was found, with the coverage of the question."""
        candles = self._wanted()
        first = self._first
        if first is None or self._coverage is None:
            msg = "a walk without a page has no result"
            raise AssertionError(msg)
        return CandleSeries.of(
            first.venue, first.symbol, self.timeframe, candles, self._coverage.within(self._asked(candles, first))
        )

    def _asked(self, candles: list[Candle], first: CandleSeries) -> TimeRange:
        end = first.coverage.asked.end
        if self.least_finality > Finality.FORMING:
            end = min(end, self._last_wanted_end(candles, first))
        explained = self._coverage.explained if self._coverage else ()
        starts = [part.start for part in explained] + [candle.opened_at for candle in candles[:1]]
        start = self.start if self.start is not None else min(starts, default=end)
        return TimeRange(min(start, end), end)

    def _last_wanted_end(self, candles: list[Candle], first: CandleSeries) -> datetime:
        proven = max((span.end for span in first.coverage.proven), default=first.coverage.asked.start)
        return max([proven, *(candle.closed_at for candle in candles[-1:])])


@define
class ForwardWindows:
    """The windows for "the first ``count`` candles from ``start``": each is walked backwards, whole.

    A window is twice as wide as the one before, so that a thin market is crossed in few steps, and
    every candle between ``start`` and the last window's end is seen.
    """

    timeframe: Timeframe
    count: int
    cursor: datetime
    _slots: int = 0

    def next_window(self, found: int) -> TimeRange:
        """Return the next window after ``found`` rows."""
        self._slots = max(self._slots * 2, self.count - found)
        end = self.timeframe.ceil(self.cursor + self.timeframe.nominal_width * self._slots)
        window = TimeRange(self.cursor, end)
        self.cursor = end
        return window
