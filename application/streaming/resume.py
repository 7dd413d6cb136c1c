"""How a follower of trades goes on where it left off: what it missed first, then live, each trade once."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import define, field, frozen

from ...domain.coverage import Reason
from ...domain.errors import ChannelError
from ...domain.events import Gap
from ...domain.ports import Channel, TradeHistory
from ...domain.symbol import Symbol
from ...domain.time_range import TimeRange
from ...domain.trade import OVERLAP, Trade, order_of_trade
from ..paging.readers import TradeReader
from ..paging.trade_pager import TradePager
from .delivery.replay_filter import ReplayFilter
from .delivery.subscriber import Subscriber
from .topics.trades import MAX_TRIES, TradeTopic

PAUSE_S = 1.0
"""REST may lag behind the stream by as much."""


@define(eq=False)
class MissedTrades:
    """What REST has told about the trades since one that was had. Pure.

    Attributes:
        after: the trade, or its id.
        is_exhausted: REST keeps nothing from before ``known_since``.

    """

    after: Trade | int
    is_exhausted: bool = False
    known_since: datetime | None = None
    _found: dict[int, Trade] = field(factory=dict[int, Trade])
    _has_walked: bool = False

    @property
    def id(self) -> int:
        """The identity of the trade that was had."""
        return self.after.sequential_id if isinstance(self.after, Trade) else self.after

    @property
    def had(self) -> Trade | None:
        """The trade that was had, as far as anybody knows it."""
        return self._found.get(self.id, self.after if isinstance(self.after, Trade) else None)

    def next_walk(self, page_size: int) -> TradePager:
        """Return the pager back to the trade, or, after the first, to the newest one that was found."""
        if self._has_walked and (newest := self.newest) is not None:
            return TradePager(page_size, not_before=newest.traded_at - OVERLAP)
        if isinstance(self.after, Trade):
            return TradePager(page_size, not_before=self.after.traded_at - OVERLAP)
        return TradePager(page_size, until_id=self.after)

    def take(self, pager: TradePager) -> None:
        """Take what a pager has found."""
        if not self._has_walked:
            self.is_exhausted, self.known_since = pager.is_exhausted, pager.known_since
        self._has_walked = True
        self._found.update((trade.sequential_id, trade) for trade in pager.trades)

    @property
    def newest(self) -> Trade | None:
        """The newest trade that REST has told of."""
        return max(self._found.values(), key=order_of_trade, default=None)

    @property
    def trades(self) -> list[Trade]:
        """What was missed, in the market's order."""
        ordered = sorted(self._found.values(), key=order_of_trade)
        if (had := self.had) is not None:
            return [trade for trade in ordered if order_of_trade(trade) > order_of_trade(had)]
        return [trade for trade in ordered if trade.sequential_id > self.id]

    @property
    def is_found(self) -> bool:
        """Whether REST holds the very trade that was had."""
        return self.id in self._found

    def joins(self, live: Iterable[Trade]) -> bool:
        """Return whether REST holds these live trades, or they were had before."""
        had = self.had
        since = None if had is None else order_of_trade(had)
        return all(
            trade.sequential_id in self._found or (since is not None and order_of_trade(trade) <= since)
            for trade in live
        )

    def may_still_come(self) -> bool:
        """Return whether the trade that was had is newer than anything REST knows, which may lag behind."""
        newest = self.newest
        if self.is_found or newest is None:
            return not self.is_found
        if isinstance(self.after, Trade):
            return order_of_trade(self.after) > order_of_trade(newest)
        return self.id > newest.sequential_id

    def gap_before(self, now: datetime | None) -> list[Gap]:
        """Return what could not be had between the trade that was had and the first one missed."""
        if self.is_found:
            return []
        missed, had = self.trades, self.had
        if self.is_exhausted and self.known_since is not None:
            return [_gap(had.traded_at if had else self.known_since, self.known_since, Reason.BEYOND_RETENTION)]
        older = max((t.traded_at for t in self._found.values() if t.sequential_id < self.id), default=None)
        begin = had.traded_at if had else older or self.known_since or now
        end = missed[0].traded_at if missed else begin if self._has_walked else now
        return [] if begin is None else [_gap(begin, end or begin, Reason.UNKNOWN)]

    def gap_after(self, live: Sequence[Trade]) -> list[Gap]:
        """Return what may lack between REST and the live trades that it does not hold."""
        newest = self.newest or self.had
        if newest is None or not live or self.joins(live):
            return []
        return [_gap(newest.traded_at, max(live, key=order_of_trade).traded_at, Reason.UNKNOWN)]


def _gap(begin: datetime, end: datetime, reason: Reason) -> Gap:
    return Gap(TimeRange(min(begin, end), max(begin, end)), reason)


@frozen(eq=False, kw_only=True)
class Resumed:
    """A follower that has joined a topic and waits for what it missed.

    Attributes:
        after: the trade that it had last, or its id.
        before: the newest trade that the topic had delivered when the follower joined.

    """

    after: Trade | int
    topic: TradeTopic
    subscriber: Subscriber
    before: Trade | None

    @property
    def live(self) -> list[Trade]:
        """The trades between which and REST nothing may lie: the last not seen, and the first that waits."""
        return [*([self.before] if self.before is not None else []), *self.subscriber.waiting_trades[:1]]


@frozen(eq=False)
class TradeResumption:
    """Reads what a follower missed, joins it with the live trades that wait, and lets both go."""

    reader: TradeReader

    async def open(self, resumed: Resumed, rest: Channel | None) -> None:
        """Deliver what was missed, then what has come live meanwhile.

        Raises:
            ChannelError: REST cannot be asked.

        """
        missed = MissedTrades(resumed.after)
        if isinstance(rest, TradeHistory):
            await self._read(missed, rest, rest.capabilities.trades_per_call, resumed)
        had = missed.had
        replay_filter = ReplayFilter(None if had is None else order_of_trade(had))
        news = replay_filter.load(missed.trades)
        gaps = missed.gap_before(self.reader.server_time.latest()), missed.gap_after(resumed.live)
        resumed.subscriber.resume(gaps[0], news, gaps[1], replay_filter)
        if (newest := missed.newest) is not None:
            resumed.topic.resume_from(newest)

    async def _read(self, missed: MissedTrades, rest: TradeHistory, page_size: int, resumed: Resumed) -> None:
        for _ in range(MAX_TRIES):
            pager = missed.next_walk(page_size)
            await self._walk(rest, resumed.topic.topic.symbol, pager)
            missed.take(pager)
            if missed.joins(resumed.live) and not missed.may_still_come():
                return
            await self.reader.clock.sleep(PAUSE_S)

    async def _walk(self, rest: TradeHistory, symbol: Symbol, pager: TradePager) -> None:
        """Walk on after a failure that a retry may mend; what was read is kept."""
        for attempt in range(1, MAX_TRIES + 1):
            try:
                await self.reader.read(rest, symbol, pager)
            except ChannelError as error:
                if not error.retryable or attempt == MAX_TRIES:
                    raise
                await self.reader.clock.sleep(error.retry_after or PAUSE_S)
            else:
                return
