"""Trades of one symbol in a feed: each delivered once, whatever the channels do."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, cast

from attrs import define, field

from ....domain.coverage import Reason
from ....domain.events import Gap, MarketEvent, TradeReceived
from ....domain.ports import Channel, TradeHistory
from ....domain.streaming import LiveValue
from ....domain.time_range import TimeRange
from ....domain.trade import OVERLAP, Trade, start_of_day
from ...paging.readers import TradeReader
from ...paging.trade_pager import TradePager
from .topic import Ask, TopicState
from .trade_deduplicator import TradeDeduplicator

PAGES_PER_CATCH_UP = 40
AUDIT_S = 30.0
"""A stream of trades is compared with REST this often: two calls a minute and symbol."""

_TRADES = {Trade}
MAX_TRIES = 5


@define
class _Hole:
    """What may lack before the next live trade.

    Attributes:
        tries: how often REST has told too little to join with.
        since: when it was first asked, on the monotonic clock.

    """

    tries: int = 0
    since: float | None = None


@define(eq=False)
class TradeTopic(TopicState):
    """Trades: each once, whatever the channels do.

    Attributes:
        can_fill: whether REST keeps past trades.
        hold_bound_s: how long live trades wait for those before them.
        is_witnessed: whether the present life has shown the topic.

    """

    applies_unfollowed: ClassVar[bool] = False  # the next follower is owed nothing from before

    reader: TradeReader
    can_fill: bool = True
    hold_bound_s: float = 30.0
    deduplicator: TradeDeduplicator = field(init=False, factory=TradeDeduplicator)
    is_witnessed: bool = field(init=False, default=False)
    lives: int = field(init=False, default=0)
    _hole: _Hole | None = field(init=False, default=None)
    _quiet_until: datetime | None = field(init=False, default=None)
    _audited: Trade | None = field(init=False, default=None)
    _audited_at: float | None = field(init=False, default=None)

    @property
    def newest(self) -> Trade | None:
        """The newest trade."""
        return self.deduplicator.newest

    @property
    def is_behind(self) -> bool:
        """Whether live trades wait until REST has filled the hole before them."""
        return self.can_fill and self._hole is not None

    def begin_life(self) -> None:
        """Hold live trades back until REST has filled the break before them."""
        self.is_witnessed = False
        self.lives += 1
        self._expect_hole()

    def resume_from(self, trade: Trade) -> None:
        """Count a trade as delivered, and fill what follows it, unless something was delivered before."""
        if self.newest is None:
            self.deduplicator.start_at(trade)
            self._expect_hole()

    def _expect_hole(self) -> None:
        """Expect a hole before the next live trade: filled back where REST can, told as a gap where not."""
        if self.newest is None:
            return
        self._hole = self._hole or _Hole()
        self._hole.tries = 0
        if self.can_fill:
            self.deduplicator.hold()

    def mark_suspect(self) -> None:
        """Fill back, too, when the socket was silent for longer than it should be: it may have lost trades."""
        if not self.is_behind:
            self._expect_hole()
            self.is_witnessed = True

    def give_up(self) -> list[MarketEvent]:
        """Deliver the live trades that wait: REST could not fill the hole before them in time."""
        return [
            *self._hole_before(self.deduplicator.first_held),
            *map(TradeReceived, self.deduplicator.join(())),
        ]

    def _hole_before(self, trade: Trade | None) -> list[MarketEvent]:
        last, self._hole = self.newest, None
        if last is None or trade is None:
            return []
        begin, end = sorted((last.traded_at, trade.traded_at))
        return [Gap(TimeRange(begin, end), Reason.UNKNOWN)]

    def apply(self, *values: LiveValue) -> Sequence[MarketEvent]:
        """Pass on the trades that were not delivered before."""
        self.is_witnessed = True
        if self._hole is not None and not self.can_fill and isinstance(values[0], Trade):
            return [*self._hole_before(values[0]), *self.apply_from_standby(*values)]
        return self.apply_from_standby(*values)

    def apply_from_standby(self, *values: LiveValue) -> Sequence[MarketEvent]:
        """Pass on the trades that were not delivered before; they tell nothing about the topic's own socket."""
        return [*map(TradeReceived, self.deduplicator.add(*_trades_among(values)))]

    def reset(self) -> None:
        """Forget what was delivered: nobody follows any more, and whoever comes next is owed nothing before."""
        self.deduplicator = TradeDeduplicator()
        self._hole = self._audited = self._quiet_until = None
        self.lives += 1  # what REST is being asked now belongs to what was forgotten

    def needs_repair(self, now: float, server_now: datetime | None, *, is_live: bool) -> bool:  # noqa: ARG002
        """Return whether a socket brings trades and a hole before them has to be filled, or an audit is due."""
        if self.is_behind:
            return is_live
        self._audited_at = now if self._audited_at is None else self._audited_at
        return is_live and now - self._audited_at >= AUDIT_S

    async def repair(self, rest: Channel, ask: Ask, now: float, server_now: datetime | None) -> None:  # noqa: ARG002
        """Join the stream to what was delivered before it, after ``hold_bound_s`` without; or audit it."""
        self.repaired_at, hole = now, self._hole
        if hole is None or not self.can_fill:
            self._audited_at = now
            await ask(self.audit(rest))
            return
        hole.since = now if hole.since is None else hole.since
        if now - hole.since >= self.hold_bound_s:
            self.subscribers.publish(self.give_up())
        else:
            await ask(self.catch_up(rest))

    async def catch_up(self, rest: Channel) -> list[MarketEvent]:
        """Read back to the last trade delivered, and join.

        An answer that was asked for before the present life began, or before its first frame, may end
        before the stream begins: it is thrown away and asked for again.
        """
        last, life, is_witnessed, hole = self.newest, self.lives, self.is_witnessed, self._hole
        if not isinstance(rest, TradeHistory):
            return []
        is_joining = hole is not None and self.can_fill and is_witnessed
        quiet_until = None if self.is_behind else self._quiet_until
        pager = await self._trades_since(rest, last, quiet_until, rest.capabilities.trades_per_call)
        # a socket was lost or has spoken while REST was asked: the answer may end before what it brings
        if (life, is_witnessed) != (self.lives, self.is_witnessed):
            return []
        found = _since(pager)
        # no socket waits for this answer: what is new in it is delivered, and nothing is joined
        if hole is None or not is_joining:
            self._note_quiet(pager)
            missing = [] if pager.has_reached or last is None else self._gap(pager, last)
            delivered = [*map(TradeReceived, self.deduplicator.absorb(found))]
            # REST has told all up to here: no audit need look behind it, however long REST stands in
            self._audited = self.newest if pager.has_reached else self._audited
            return [*missing, *delivered]
        if last is not None and not self.deduplicator.joins(found, last):
            # REST lags behind the stream by up to a second: what is held is not in this page yet
            hole.tries += 1
            if hole.tries < MAX_TRIES:
                return []
        missing = self._gap(pager, last)
        self._hole = None
        return [*missing, *(TradeReceived(trade) for trade in self.deduplicator.join(found))]

    async def audit(self, rest: Channel) -> list[MarketEvent]:
        """Read the trades since the last audit once more, and deliver those that the stream never brought.

        Invariant: nothing is asked again, nor delivered, from before what is remembered as delivered.

        A socket may drop a few frames without a word and go on. What is younger than the overlap may still
        be on its way and is left for the next audit.
        """
        newest, since, life = self.newest, self._audited or self.deduplicator.oldest, self.lives
        if newest is None or since is None or not isinstance(rest, TradeHistory):
            return []
        pager = await self._trades_since(
            rest, since, self.deduplicator.forgotten_until, rest.capabilities.trades_per_call
        )
        # what lacks now is being filled back, and would come twice out of order
        if self.is_behind or life != self.lives or self.newest is None:
            return []
        self._audited = newest
        # what is so old that its identity is forgotten would be taken for news
        forgotten, settled_until = self.deduplicator.forgotten_until, newest.traded_at - OVERLAP
        settled = [
            trade
            for trade in _since(pager)
            if trade.traded_at <= settled_until and (forgotten is None or trade.traded_at > forgotten)
        ]
        return [TradeReceived(trade) for trade in self.deduplicator.absorb(settled)]

    async def _trades_since(
        self, rest: TradeHistory, last: Trade | None, quiet_until: datetime | None, page_size: int
    ) -> TradePager:
        """Walk back to ``last``, with an overlap, or to the newest trade if there is no last one."""
        not_before = (
            quiet_until if last is None else max(last.traded_at - OVERLAP, quiet_until or last.traded_at - OVERLAP)
        )
        pager = TradePager(page_size, count=1 if last is None else None, not_before=not_before)
        await self.reader.read(rest, self.topic.symbol, pager, PAGES_PER_CATCH_UP)
        return pager

    def _note_quiet(self, pager: TradePager) -> None:
        """Remember that REST knows all until today: a poll of a quiet market need not be read back over days."""
        now = self.reader.server_time.earliest()
        if now is not None and (pager.has_reached or pager.is_exhausted):
            self._quiet_until = start_of_day((now - OVERLAP).date())

    def _gap(self, pager: TradePager, last: Trade | None) -> list[MarketEvent]:
        found = _since(pager)
        if last is None or any(trade.sequential_id == last.sequential_id for trade in found):
            return []
        reason = Reason.BEYOND_RETENTION if pager.is_exhausted else Reason.UNKNOWN
        oldest = min((trade.traded_at for trade in found), default=last.traded_at)
        end = pager.known_since if pager.is_exhausted and pager.known_since is not None else oldest
        return [Gap(TimeRange(min(last.traded_at, end), max(last.traded_at, end)), reason)]


def _trades_among(values: Sequence[LiveValue]) -> Sequence[Trade]:
    """Return the trades among values; a stranger's stream may bring something else, too."""
    if _TRADES.issuperset(map(type, values)):
        return cast("Sequence[Trade]", values)
    return [value for value in values if isinstance(value, Trade)]


def _since(pager: TradePager) -> list[Trade]:
    """Return what a pager found, less what it took along from before its aim."""
    return [trade for trade in pager.trades if pager.not_before is None or trade.traded_at >= pager.not_before]
