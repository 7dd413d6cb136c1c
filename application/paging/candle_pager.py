"""Cut a request for candles into pages; pure.

Pages go backwards from the end, and each continues at the oldest row of the one before: a page holds
candles that exist, so a thin market stretches it over weeks. Nothing is ever computed as
``count * width``. A short page only *claims* the beginning of history; it is proven when a second
read, at least 1 s later, finds nothing older.
"""

from datetime import datetime
from typing import Protocol, Self

from attrs import define, field, frozen

from ...domain.columns import CandleColumns, cut, join, pick
from ...domain.coverage import Coverage, ExplainedRange, Reason
from ...domain.errors import IntegrityError, MalformedReplyError
from ...domain.finality import Finality
from ...domain.request import CandleRequest
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ...domain.timestamps import from_micros

PROOF_DELAY_S = 1.0
SPARE_ROWS = 2
"""Rows that a request for closed candles asks for in excess: the forming one and one that is closing."""


@frozen(kw_only=True)
class Page:
    """One page to ask for: ``count`` rows before ``end``, not before ``delay_s`` have passed.

    Attributes:
        missing: how many rows are still wanted below ``end``, those of this page included.
        floor: nothing below it is wanted; None where no bound is known.
        is_floor_held: what lies below the floor is held, and one row of it is compared.
        is_apart: it belongs to no series of pages: nothing is asked for ahead of it.

    """

    symbol: Symbol
    timeframe: Timeframe
    count: int
    end: datetime | None
    delay_s: float = 0.0
    missing: int = 1
    floor: datetime | None = None
    is_floor_held: bool = False
    is_apart: bool = False


@frozen
class PageAnswer:
    """What a page source answered; ``calls`` is 0 where nobody was asked for it."""

    series: CandleSeries
    calls: int = 1


class PageSource(Protocol):
    """Answers the pages of one series: the store, the prefetcher, the channel itself, each wrapping the next.

    Guarantees:
        The rows are those before ``page.end``, newest last; coverage says which slots are known.
        A page that needs a call comes after ``page.delay_s``; one that needs none comes at once.
    """

    async def read(self, page: Page) -> PageAnswer:
        """Return one page.

        Raises:
            ChannelError: it could not be had.

        """
        ...


@define
class CandlePager:
    """The pages of one range, newest first.

    Invariant: after each ``take``, the rows held are exactly the existing candles in
    ``[cursor, end)`` as far as the pages' own coverage proves it. Each page is older than the one
    before, so that no slot is held twice. A pager that ``discards`` counts its rows and keeps none.
    """

    symbol: Symbol
    timeframe: Timeframe
    page_size: int
    count: int | None
    start: datetime | None
    end: datetime | None
    least_finality: Finality = Finality.FORMING
    calls: int = 0
    rows: int = 0
    discards: bool = False
    _cursor: datetime | None = None
    _claim: datetime | None = None
    _is_done: bool = False
    _parts: list[CandleColumns] = field(factory=list[CandleColumns])
    _coverage: Coverage | None = None
    _first: CandleSeries | None = None

    @classmethod
    def of(cls, request: CandleRequest, page_size: int) -> Self:
        """Return a pager for a request with a count, or with both bounds."""
        least = Finality.FINAL if request.final_only else Finality.CLOSED if request.closed_only else Finality.FORMING
        pager = cls(request.symbol, request.timeframe, page_size, request.count, request.start, request.end, least)
        pager._cursor = request.end
        return pager

    def next_page(self) -> Page | None:
        """Return the page to ask for next; None when it has enough."""
        if self._is_done:
            return None
        missing = self.missing
        is_proof = self._claim is not None
        return Page(
            symbol=self.symbol,
            timeframe=self.timeframe,
            count=1 if is_proof else min(self.page_size, missing),
            end=self._claim if is_proof else self._cursor,
            delay_s=PROOF_DELAY_S if is_proof else 0.0,
            missing=missing,
            floor=self.start,
        )

    @property
    def missing(self) -> int:
        """How many rows may still be wanted: one at least."""
        if self.count is not None:
            spare = SPARE_ROWS if self.least_finality > Finality.FORMING and not self._parts else 0
            return max(1, self.count - self.rows) + spare
        if self.start is None or self._cursor is None:
            return self.page_size
        return max(1, self.timeframe.count_slots(TimeRange(min(self.start, self._cursor), self._cursor)))

    def take(self, page: CandleSeries, *, calls: int = 1) -> None:
        """Take the answer to the last page, which has cost ``calls``.

        Raises:
            MalformedReplyError: the page is no step backwards.

        """
        self.calls += calls
        self._first = page if self._first is None else self._first  # an empty page counts, too
        if self._claim is not None and not len(page) and page.coverage.claimed_beginning is not None:
            self._settle_beginning(self._claim, page)
            return
        self._check(page)
        self._claim = None
        self._keep(page)
        before, self._cursor = self._cursor, _reached(page, self._cursor)
        beginning = _proven_beginning(page, self._cursor)
        if beginning is not None and not self._has_enough():
            self._settle_beginning(beginning, page)
            return
        claimed = page.coverage.claimed_beginning
        self._is_done = self._has_enough() or (claimed is None and self._cursor == before)
        if not self._is_done and claimed is not None:
            self._meet_claim(claimed)

    def _check(self, page: CandleSeries) -> None:
        if self._first is not None and page.venue != self._first.venue:
            msg = f"one series never mixes venues, got a page of {page.venue} after one of {self._first.venue}"
            raise IntegrityError(msg)
        if len(page) and self._cursor is not None and (newest := page.opened_at(-1)) >= self._cursor:
            msg = f"a page before {self._cursor.isoformat()} holds {newest.isoformat()}"
            raise MalformedReplyError(msg, channel=page[-1].source)

    def _keep(self, page: CandleSeries) -> None:
        wanted = {place for place, mark in enumerate(page.columns.marks) if mark.finality >= self.least_finality}
        columns = page.columns
        if len(wanted) < len(columns.marks):
            columns = pick(columns, (mark in wanted for mark in columns.mark))
        if self.start is not None and len(columns):
            columns = cut(columns, TimeRange(self.start, max(self.start, self.timeframe.next(page.opened_at(-1)))))
        self._parts.append(columns.slice(0, 0) if self.discards else columns)
        self.rows += len(columns)
        self._coverage = page.coverage if self._coverage is None else self._coverage.join(page.coverage)

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
            older = TimeRange(
                self.timeframe.floor(self.timeframe.move(begin, -max(1, (self.count or 1) - self.rows))), begin
            )
        coverage = self._coverage or Coverage.nothing(begin)
        self._coverage = coverage.explain(older, reason)

    @property
    def explained(self) -> tuple[ExplainedRange, ...]:
        """The ranges without candles for which a page has given a reason."""
        return self._coverage.explained if self._coverage else ()

    def result(self) -> CandleSeries:
        """Return what was found, with the coverage of the question."""
        first = self._first
        if first is None or self._coverage is None:
            msg = "a pager without a page has no result"
            raise AssertionError(msg)
        columns = self._joined() if self._parts else first.columns
        is_cut = self.count is not None and self.rows > self.count
        if is_cut:
            columns = columns.slice(self.rows - (self.count or 0), self.rows)
        return CandleSeries(columns, self._coverage.within(self._asked(columns, first, is_cut=is_cut)))

    def _joined(self) -> CandleColumns:
        return join(self._parts[::-1]) if len(self._parts) > 1 else self._parts[0]

    def _asked(self, columns: CandleColumns, first: CandleSeries, *, is_cut: bool) -> TimeRange:
        end = first.coverage.asked.end
        opened = [from_micros(micros) for micros in (*columns.opened[:1], *columns.opened[-1:])]
        if self.least_finality > Finality.FORMING:
            end = min(end, self._last_wanted_end(opened, first))
        # what was cut off exists: the answer says nothing of slots below its oldest row
        starts = opened[:1] if is_cut else [part.start for part in self.explained] + opened[:1]
        start = self.start if self.start is not None else min(starts, default=end)
        return TimeRange(min(start, end), end)

    def _last_wanted_end(self, opened: list[datetime], first: CandleSeries) -> datetime:
        proven = max((span.end for span in first.coverage.proven), default=first.coverage.asked.start)
        return max([proven, *(self.timeframe.next(at) for at in opened[-1:])])


def _reached(page: CandleSeries, cursor: datetime | None) -> datetime | None:
    """Return how far back the pages have come: to the oldest row, or further where a page proves emptiness."""
    reached = [page.opened_at(0)] if len(page) else []
    asked = page.coverage.asked
    if asked and (cursor is None or asked.start < cursor):
        reached.append(asked.start)
    return min(reached, default=cursor)


def _proven_beginning(page: CandleSeries, cursor: datetime | None) -> datetime | None:
    """Return the beginning of history if the page says, by proof held from before, that it lies at the cursor."""
    ends = (part.end for part in page.coverage.explained if part.reason is Reason.BEFORE_LISTING)
    return next((end for end in ends if cursor is None or end >= cursor), None)


async def read_through(source: PageSource, pager: CandlePager) -> CandleSeries:
    """Ask a source for page after page until the pager has enough, and return what it found."""
    while (page := pager.next_page()) is not None:
        answer = await source.read(page)
        pager.take(answer.series, calls=answer.calls)
    return pager.result()


@define
class ForwardWindows:
    """The windows for "the first ``count`` candles from ``start``": each is read backwards, whole.

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
        end = self.timeframe.ceil(self.timeframe.move(self.cursor, self._slots))
        window = TimeRange(self.cursor, end)
        self.cursor = end
        return window
