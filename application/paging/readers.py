"""How a whole range of candles, or past trades, are read from one channel."""

from datetime import datetime

from attrs import frozen

from ...domain.ports import Channel, Clock, ServerTime, TradeHistory
from ...domain.request import CandleRequest
from ...domain.series import CandleSeries
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.timeframe import Timeframe
from ...domain.trade import ONE_DAY, start_of_day
from .candle_pager import CandlePager
from .trade_pager import TradePager


async def read_candles(channel: Channel, symbol: Symbol, timeframe: Timeframe, span: TimeRange) -> CandleSeries:
    """Return every candle of a range, in as many pages as it takes; a claimed beginning is not proven."""
    request = CandleRequest(symbol=symbol, timeframe=timeframe, start=span.start, end=span.end)
    pager = CandlePager.of(request, channel.capabilities.candles_per_call)
    while (page := pager.next_page()) is not None and not page.delay_s:
        pager.take(await channel.get_candles(symbol, timeframe, page.count, end=page.end))
    return pager.result()


@frozen(eq=False)
class TradeReader:
    """Reads a channel's past trades; around 00:00 UTC it waits until the server's date is certain.

    The wait is as long as the server's clock is uncertain, about a second a day.
    """

    clock: Clock
    server_time: ServerTime

    async def read(
        self, channel: TradeHistory, symbol: Symbol, pager: TradePager, max_calls: int | None = None
    ) -> None:
        """Ask for page after page until ``pager`` has enough, or ``max_calls`` were made.

        Raises:
            ChannelError: the channel failed; ``pager`` keeps what it has and may be read on.
            IntegrityError: the channel tells of other days than it is asked for.

        """
        while max_calls is None or pager.calls < max_calls:
            page = pager.next_page(await self._certain_now())
            if page is None:
                return
            sent = self.server_time.earliest()
            rows = await channel.get_trade_page(symbol, page.count, before_id=page.before_id, days_ago=page.days_ago)
            pager.take(page, rows, _span(sent, self.server_time.latest()))

    async def _certain_now(self) -> TimeRange | None:
        now = _span(self.server_time.earliest(), self.server_time.latest())
        if now is None or now.start.date() == now.end.date():
            return now
        midnight = start_of_day(now.start.date() + ONE_DAY)
        await self.clock.sleep((midnight - now.start).total_seconds())
        return _span(self.server_time.earliest(), self.server_time.latest())


def _span(earliest: datetime | None, latest: datetime | None) -> TimeRange | None:
    """Return both bounds as a range; a clock that was measured anew may have turned them round."""
    if latest is None:
        return None
    return TimeRange(min(earliest or latest, latest), max(earliest or latest, latest))
