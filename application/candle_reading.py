"""Read a whole range of candles from one channel, for whoever keeps a live series."""

from ..domain.ports import Channel
from ..domain.request import CandleRequest
from ..domain.series import CandleSeries
from ..domain.symbol import Symbol
from ..domain.time_range import TimeRange
from ..domain.timeframe import Timeframe
from .paging import CandlePaging


async def read_candles(channel: Channel, symbol: Symbol, timeframe: Timeframe, span: TimeRange) -> CandleSeries:
    """Return every candle of a range, in as many pages as it takes; a claimed beginning is not proven."""
    request = CandleRequest(symbol=symbol, timeframe=timeframe, start=span.start, end=span.end)
    walk = CandlePaging.of(request, channel.capabilities.candles_per_call)
    while (page := walk.next_page()) is not None and not page.delay_s:
        walk.take(await channel.get_candles(symbol, timeframe, page.count, end=page.end))
    return walk.result()
