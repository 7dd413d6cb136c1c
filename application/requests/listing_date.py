"""Where a market begins: found by long candles, so that years before a listing are not walked minute by minute."""

from datetime import datetime

from ...domain.coverage import Reason
from ...domain.finality import Finality
from ...domain.ports import Channel, Clock
from ...domain.request import CandleRequest
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ..cache.cached_channel import CachedChannel
from ..paging.candle_pager import CandlePager

NARROWER = (Timeframe.D1, Timeframe.H1)


async def find_listing_date(
    channel: Channel, request: CandleRequest, start: datetime, now: datetime, clock: Clock
) -> tuple[datetime, int]:
    """Return an instant from ``start`` on before which the market has no candle, and what finding it has cost.

    The months that exist, and a second read that finds nothing older, prove the month of the listing; a day
    and an hour of it narrow it down. What is known from before costs nothing; what one page of ``timeframe``
    reaches is not worth the calls.
    """
    symbol, timeframe, size = request.symbol, request.timeframe, channel.capabilities.candles_per_call
    known = channel.ledger(channel.key(symbol, timeframe)) if isinstance(channel, CachedChannel) else None
    if known is not None and known.beginning is not None:
        return max(start, known.beginning), 0
    is_near = timeframe.move(start, size) >= now or (known is not None and any(start in span for span in known.proven))
    if is_near or Timeframe.MONTH not in channel.capabilities.timeframes:
        return start, 0
    beginning, calls = await _first_month(channel, symbol, now, clock)
    if beginning is None or beginning <= start:
        return start, calls
    for narrower in NARROWER:
        if narrower.nominal_width > timeframe.nominal_width and narrower in channel.capabilities.timeframes:
            found = await _first_in(channel, symbol, narrower, beginning)
            calls += 1
            beginning = max(beginning, found or beginning)
    return max(start, beginning), calls


async def _first_month(channel: Channel, symbol: Symbol, now: datetime, clock: Clock) -> tuple[datetime | None, int]:
    """Return the opening of the first month that has a candle, if a second read proves it."""
    size, end = channel.capabilities.candles_per_call, Timeframe.MONTH.floor(now)
    months = CandleRequest(symbol=symbol, timeframe=Timeframe.MONTH, count=size, end=end)
    pager = CandlePager.of(months, size)
    calls = 0
    while (page := pager.next_page()) is not None:
        await clock.sleep(page.delay_s)
        pager.take(await channel.get_candles(symbol, Timeframe.MONTH, page.count, end=page.end))
        calls += 1
    ends = [part.end for part in pager.explained if part.reason is Reason.BEFORE_LISTING]
    if isinstance(channel, CachedChannel):
        await channel.remember_beginning(channel.key(symbol, Timeframe.MONTH), pager.explained)
    return max(ends, default=None), calls


async def _first_in(channel: Channel, symbol: Symbol, timeframe: Timeframe, month: datetime) -> datetime | None:
    """Return the opening of the first candle after ``month``, if one page reaches back to before it."""
    size = channel.capabilities.candles_per_call
    end = timeframe.ceil(timeframe.move(month, size))
    page = await channel.get_candles(symbol, timeframe, size, end=end)
    reaches = any(candle.finality is Finality.FINAL for candle in page) and len(page) < timeframe.count_slots(
        TimeRange(month, end)
    )
    return page[0].opened_at if reaches else None
