"""What one subscriber has had already when it resumes. Pure."""

from collections.abc import Sequence
from datetime import datetime

from attrs import define, evolve, field

from ....domain.trade import REMEMBERED, Trade, order_of_trade


@define
class ReplayFilter:
    """What one follower has had when it goes on after a trade: "once" is per follower.

    The feed that it joins may be behind what it has had, for the sake of others; or may deliver what REST
    has just told. Identities are kept for ten minutes before the newest trade that came from REST; what is
    older still was among them.

    Invariant: nothing up to ``after`` passes, nothing passes twice; ``is_late`` is judged for this follower.
    """

    after: tuple[datetime, int] | None
    _had: set[int] = field(factory=set[int])
    _whole_until: datetime | None = None
    _newest: tuple[datetime, int] | None = None

    def load(self, trades: Sequence[Trade]) -> list[Trade]:
        """Return what is news of trades in the market's order, and count it as had."""
        news = [trade for trade in trades if self.after is None or order_of_trade(trade) > self.after]
        if news:
            self._newest = order_of_trade(news[-1])
            self._whole_until = news[-1].traded_at - REMEMBERED
            # ten minutes of identities are enough: what is older was among these trades, and its time tells
            self._had = {trade.sequential_id for trade in news if trade.traded_at >= self._whole_until}
        return news

    def admit(self, trade: Trade) -> Trade | None:
        """Return a live trade as this follower shall see it, or None if it has had it."""
        order = order_of_trade(trade)
        is_old = self._whole_until is not None and trade.traded_at < self._whole_until
        if is_old or trade.sequential_id in self._had or (self.after is not None and order <= self.after):
            return None
        is_late = trade.is_late or (self._newest is not None and order < self._newest)
        self._newest = order if self._newest is None else max(order, self._newest)
        return evolve(trade, is_late=True) if is_late else trade
