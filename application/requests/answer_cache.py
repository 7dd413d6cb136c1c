"""The newest candles of a series that is followed, answered again while nothing has changed but their tail.

Whoever draws a chart asks for the newest candles again and again, and mostly nothing has happened meanwhile but a
trade in the forming candle. Queue, plan and pages took 0.7 ms each time to come to the same answer; to see that they
would takes a tenth of it.

Invariants:
    What is answered again is what plan and pages would answer now, but for how long that takes: a policy is pure, and
    nothing that it or the reading of pages needs has changed. Only the slots that a stream holds open are taken anew.
    Whoever asks in a loop leaves the event loop a turn after every few answers, as if each had been waited for.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from attrs import asdict, define, field, frozen

from ...domain.candle import Candle
from ...domain.columns import join
from ...domain.errors import MarketDataError
from ...domain.ledger import SeriesKey
from ...domain.ports import Clock, WatchedStore
from ...domain.request import CandleRequest, OneShotRequest
from ...domain.routing import RoutePlan, RouteStep
from ...domain.series import CandleSeries
from ..archive.verification import EVERY
from ..cache.series_cache import SeriesCache
from ..routing.router import SmartChannelRouter
from ..streaming.live_view import LiveView
from ..streaming.topics.candles import CandleTopic

MAX_ENTRIES, MAX_ROWS = 32, 500
"""As many as the store of candles remembers: 34 kB each at most."""

ANSWERS_A_TURN = 16
_Question = tuple[SeriesKey, int | None]


@frozen(kw_only=True)
class CacheKey:
    """All that plan and pages take from a question about the newest candles of a series that is followed.

    Attributes:
        series: whose candles they are.
        slot_at: which slot is open on the venue's clock.
        frontier: from where on the stream holds slots open.
        state: the state of the store.
        state_fingerprint: what a policy may know of each channel, beside what it holds.
        topic: holds the open slots themselves, which may change.
        now: the venue's time, at the latest.

    """

    series: SeriesKey
    slot_at: datetime
    frontier: datetime
    state: object
    state_fingerprint: tuple[object, ...]
    topic: CandleTopic = field(eq=False)
    now: datetime = field(eq=False)


@frozen
class CachedAnswer:
    """An answer, the slots that were open when it was given, and what it rests on.

    ``trace`` tells how it came about, given how many milliseconds it took; ``verify_at`` is when what is held has to
    be compared with the venue again.
    """

    series: CandleSeries
    trace: Callable[[float], RoutePlan]
    open_slots: list[Candle]
    key: CacheKey
    verify_at: datetime

    def with_tail(self, open_slots: list[Candle], tip: CandleSeries) -> "CachedAnswer":
        """Return the answer with the open slots as they are now."""
        held = self.series.columns.slice(0, len(self.series) - len(tip))
        series = CandleSeries(join((held, tip.columns)), self.series.coverage, self.series.seams)
        return CachedAnswer(series, self.trace, open_slots, self.key, self.verify_at)


@define(eq=False, kw_only=True)
class AnswerCache:
    """The last answers to questions about the newest candles of series that are followed."""

    router: SmartChannelRouter
    live_view: LiveView
    cache: SeriesCache
    clock: Clock
    _store: WatchedStore | None = field(init=False, default=None)
    _entries: dict[_Question, CachedAnswer] = field(init=False, factory=dict[_Question, CachedAnswer])
    _in_a_row: int = 0

    def __attrs_post_init__(self) -> None:
        """Find out once whether the store tells when it changes."""
        store = None if self.cache.channel is None else self.cache.channel.store
        self._store = store if isinstance(store, WatchedStore) else None

    def key_for(self, request: OneShotRequest) -> CacheKey | None:
        """Return what the answer to a request rests on now; None where it is none that is given again."""
        if not isinstance(request, CandleRequest) or not _is_about_now(request):
            return None
        if self._store is None or self.cache.write_behind.is_waiting:
            return None
        key = self.cache.key(request)
        topic = self.live_view.witnessed(key)
        now = None if topic is None else self.cache.directory.server_time_of(request.symbol.venue_prefix).latest()
        if topic is None or now is None or topic.tracker.frontier is None:
            return None
        try:
            state = self._store.state()
        except MarketDataError:
            return None  # whoever reads it will report it
        return CacheKey(
            series=key,
            slot_at=key.timeframe.floor(now),
            frontier=topic.tracker.frontier,
            state=state,
            state_fingerprint=self.router.state_fingerprint(),
            topic=topic,
            now=now,
        )

    async def get(self, request: OneShotRequest, key: CacheKey | None, started: float) -> CandleSeries | None:
        """Return the last answer if it is the answer still, with the open slots as they are now.

        Args:
            request: the question.
            key: what its answer rests on now.
            started: when it was asked; the trace tells how long it took.

        """
        if key is None or not isinstance(request, CandleRequest):
            return None
        entry = self._entries.get((key.series, request.count))
        if entry is None or entry.key != key or key.now >= entry.verify_at:
            return None
        open_slots = key.topic.tracker.current()
        if open_slots != entry.open_slots:
            tip = key.topic.tip()
            if tip is None or not _are_same_slots(open_slots, entry.open_slots):
                return None
            entry = self._entries[key.series, request.count] = entry.with_tail(open_slots, tip)
        trace = entry.trace((self.clock.monotonic() - started) * 1000)
        self._in_a_row += 1
        if self._in_a_row % ANSWERS_A_TURN == 0:
            await self.clock.sleep(0)
        series = entry.series
        return CandleSeries(series.columns.slice(0, len(series)), series.coverage, series.seams, trace)

    def put(self, request: OneShotRequest, before: CacheKey | None, series: CandleSeries) -> None:
        """Keep an answer, if nothing has changed since ``before``, when it was asked for.

        One that has empty slots is not kept: whether they are an outage is read from other series, too.
        """
        if before is None or not isinstance(request, CandleRequest) or self._store is None or series.trace is None:
            return
        if series.trace.calls or series.has_empty_slots or len(series) > MAX_ROWS or self.key_for(request) != before:
            return
        open_slots = before.topic.tracker.current()
        try:
            verified_at = self._store.ledger(before.series).verified_at
        except MarketDataError:
            return  # the answer is good all the same
        if verified_at is None or not _ends_with(series, open_slots):
            return
        self._entries.pop((before.series, request.count), None)
        if len(self._entries) >= MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]
        columns = series.columns.slice(0, len(series))
        settled = CandleSeries(columns, series.coverage, series.seams)
        self._entries[before.series, request.count] = CachedAnswer(
            settled, _timed(series.trace), open_slots, before, verified_at + EVERY
        )


def _is_about_now(request: CandleRequest) -> bool:
    return request.start is None and request.end is None and not (request.closed_only or request.final_only)


def _are_same_slots(mine: list[Candle], theirs: list[Candle]) -> bool:
    """Return whether open slots are the same, and the joint with what is held is told of the same channel."""
    if [candle.opened_at for candle in mine] != [candle.opened_at for candle in theirs]:
        return False
    return mine[0].source == theirs[0].source


def _ends_with(series: CandleSeries, open_slots: list[Candle]) -> bool:
    """Return whether the last rows of an answer are just these, and there are others before them."""
    return 0 < len(open_slots) < len(series) and list(series[-len(open_slots) :]) == open_slots


def _timed(trace: RoutePlan) -> Callable[[float], RoutePlan]:
    """Return what makes the same trace of an answer that took so many milliseconds, in the step that was taken."""
    taken = next(number for number, step in enumerate(trace.steps) if not step.joins_next)
    above, below = trace.steps[:taken], trace.steps[taken + 1 :]
    again = partial(RouteStep, **asdict(trace.steps[taken], recurse=False))
    whole = partial(RoutePlan, **asdict(trace, recurse=False))
    return lambda latency_ms: whole(steps=(*above, again(latency_ms=latency_ms), *below))
