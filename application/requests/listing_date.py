"""Where a market begins: found by long candles, so that years before a listing are not walked minute by minute."""

from datetime import datetime

from ...domain.coverage import Reason
from ...domain.finality import Finality
from ...domain.ledger import SeriesKey
from ...domain.request import CandleRequest
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ..cache.cached_channel import CachedChannel
from ..paging.candle_pager import CandlePager, Page, read_through

NARROWER = (Timeframe.D1, Timeframe.H1)


async def find_listing_date(
    source: CachedChannel, request: CandleRequest, start: datetime, now: datetime
) -> tuple[datetime, int]:
    """Return an instant from ``start`` on before which the market has no candle, and what finding it has cost.

    The months that exist, and a second read that finds nothing older, prove the month of the listing; a day
    and an hour of it narrow it down. What is known from before costs nothing; what one page of ``timeframe``
    reaches is not worth the calls.
    """
    able, timeframe = source.channel.capabilities, request.timeframe
    known = source.ledger(SeriesKey(source.channel.venue, request.symbol, timeframe))
    if known.beginning is not None:
        return max(start, known.beginning), 0
    is_near = timeframe.move(start, able.candles_per_call) >= now or any(start in span for span in known.proven)
    if is_near or Timeframe.MONTH not in able.timeframes:
        return start, 0
    beginning, calls = await _first_month(source, request.symbol, now)
    if beginning is None or beginning <= start:
        return start, calls
    for narrower in NARROWER:
        if narrower.nominal_width > timeframe.nominal_width and narrower in able.timeframes:
            found = await _first_in(source, request.symbol, narrower, beginning)
            calls += 1
            beginning = max(beginning, found or beginning)
    return max(start, beginning), calls


async def _first_month(source: CachedChannel, symbol: Symbol, now: datetime) -> tuple[datetime | None, int]:
    """Return the opening of the first month that has a candle, if a second read proves it."""
    size, end = source.channel.capabilities.candles_per_call, Timeframe.MONTH.floor(now)
    pager = CandlePager.of(CandleRequest(symbol=symbol, timeframe=Timeframe.MONTH, count=size, end=end), size)
    await read_through(source, pager)
    ends = [part.end for part in pager.explained if part.reason is Reason.BEFORE_LISTING]
    await source.keep_beginning(SeriesKey(source.channel.venue, symbol, Timeframe.MONTH), pager.explained)
    return max(ends, default=None), pager.calls


async def _first_in(source: CachedChannel, symbol: Symbol, timeframe: Timeframe, month: datetime) -> datetime | None:
    """Return the opening of the first candle after ``month``, if one page reaches back to before it."""
    size = source.channel.capabilities.candles_per_call
    end = timeframe.ceil(timeframe.move(month, size))
    page = Page(symbol=symbol, timeframe=timeframe, count=size, end=end, missing=size, is_apart=True)
    found = (await source.read(page)).series
    is_final = any(candle.finality is Finality.FINAL for candle in found)
    reaches = is_final and len(found) < timeframe.count_slots(TimeRange(month, end))
    return found[0].opened_at if reaches else None
