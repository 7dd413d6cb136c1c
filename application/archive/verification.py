"""Held pages of a series in use are compared with the venue once a day: the oldest, and one by chance.

A redenomination or a rename rewrites the past; nobody announces it. A page a day at either place finds it
within a day, for two calls a series.
"""

import zlib
from datetime import datetime, timedelta

from attrs import define, field, frozen

from ...domain.errors import MarketDataError
from ...domain.ledger import Ledger, SeriesKey
from ...domain.ports import Channel
from ...domain.request import CandleRequest
from ...domain.request_options import Priority
from ...domain.time_range import TimeRange
from ..cache.cached_channel import CachedChannel
from ..cache.reconciliation import HistoryRewrittenError
from ..cache.series_cache import SeriesCache
from ..runtime.tasks import TaskSupervisor
from ..scheduling.request_queue import DataRequestQueue

EVERY = timedelta(days=1)
CHANCES = 2**32


@frozen
class HeldPage:
    """Where one page of what is held ends, and how many rows to ask for."""

    end: datetime
    count: int


def pages_to_verify(key: SeriesKey, ledger: Ledger, size: int, day: datetime) -> tuple[HeldPage, ...]:
    """Return the oldest page of what is held, and one that series and day choose; pure.

    A page lies inside one proven range, so that every row of it is held.
    """
    if not ledger.proven:
        return ()
    rng = zlib.crc32(f"{key} {day:%Y-%m-%d}".encode()) / CHANCES
    first, last = ledger.proven[0], ledger.proven[-1]
    at = first.start + (last.end - first.start) * rng
    chosen = next(span for span in ledger.proven if at < span.end)
    ends = (_page_end(key, first, first.start, size), _page_end(key, chosen, max(at, chosen.start), size))
    return tuple(dict.fromkeys(HeldPage(end, size) for end in ends))


def _page_end(key: SeriesKey, span: TimeRange, at: datetime, size: int) -> datetime:
    return min(span.end, key.timeframe.ceil(key.timeframe.move(at, size)))


@define(eq=False, kw_only=True)
class StoreVerifier:
    """Starts a verification in the background when a series is used and a day has passed since the last.

    What could not be carried out is reported with the errors of the store.
    """

    cache: SeriesCache
    queue: DataRequestQueue
    tasks: TaskSupervisor
    _running: set[SeriesKey] = field(factory=set[SeriesKey])

    async def verify_if_due(self, key: SeriesKey, channel: Channel | None) -> None:
        """Begin a verification if one is due; a series that is new to the store was read just now."""
        now = self.cache.directory.server_time_of(key.symbol.venue_prefix).earliest()
        source = None if channel is None else self.cache.wrap(channel)
        if source is None or source.store is None or now is None or key in self._running or self.tasks.is_closed:
            return
        try:
            ledger = source.store.ledger(key)
            if ledger.verified_at is None:
                await source.store.mark_verified(key, now)
                return
        except MarketDataError as error:
            self.cache.errors.report(str(error))
            return
        if now - ledger.verified_at >= EVERY:
            self._running.add(key)
            self.tasks.start(self._verify(key, ledger, source, now), f"verify {key}")

    async def _verify(self, key: SeriesKey, ledger: Ledger, source: CachedChannel, now: datetime) -> None:
        try:
            for page in pages_to_verify(key, ledger, source.channel.capabilities.candles_per_call, now):
                await self._submit(key, source, page)
            if source.store is not None:
                await source.store.mark_verified(key, now)
        except HistoryRewrittenError:
            return  # what was held is set aside, and whoever follows has been told
        except MarketDataError as error:
            self.cache.errors.report(f"held candles of {key} could not be compared with the venue: {error}")
        finally:
            self._running.discard(key)

    async def _submit(self, key: SeriesKey, source: CachedChannel, page: HeldPage) -> None:
        async def work() -> None:
            await source.verify(key, page.count, page.end)

        asked = CandleRequest(symbol=key.symbol, timeframe=key.timeframe, count=page.count, end=page.end)
        await self.queue.submit(("verify", asked), work, priority=Priority.BULK, deadline_s=None)
