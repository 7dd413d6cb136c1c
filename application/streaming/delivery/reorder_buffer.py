"""Trades that are held for a moment and leave in the market's order."""

from attrs import define, evolve, field

from ....domain.ports import Clock
from ....domain.trade import Trade, order_of_trade

MIN_WAIT_S = 0.01


@define(eq=False)
class ReorderBuffer:
    """Holds each trade for ``hold_s`` and lets it go sorted by (traded_at, sequential_id).

    A trade that was executed before one whose time is up leaves with it. What arrives after one that was
    executed later has left is late, and says so.

    Invariant: every trade leaves once; those not marked late leave in the market's order.
    """

    hold_s: float
    clock: Clock
    _held: list[tuple[float, Trade]] = field(factory=list[tuple[float, Trade]])
    _last: Trade | None = None

    def add(self, trade: Trade) -> None:
        """Hold a trade that has just arrived."""
        self._held.append((self.clock.monotonic() + self.hold_s, trade))

    async def wait(self) -> None:
        """Return when something may be due."""
        await self.clock.sleep(max(MIN_WAIT_S, self.wait_s()))

    def wait_s(self) -> float:
        """Return how long nothing will be due."""
        now = self.clock.monotonic()
        return min((due for due, _ in self._held), default=now + self.hold_s) - now

    def release(self) -> list[Trade]:
        """Return the trades whose time is up, and those that come before one of them."""
        now = self.clock.monotonic()
        due = [order_of_trade(trade) for at, trade in self._held if at <= now]
        if not due:
            return []
        leaving = [trade for _, trade in self._held if order_of_trade(trade) <= max(due)]
        self._held = [(at, trade) for at, trade in self._held if order_of_trade(trade) > max(due)]
        return self._let_go(leaving)

    def flush(self) -> list[Trade]:
        """Return all that is held, because nothing that could come before it will be waited for."""
        held, self._held = [trade for _, trade in self._held], []
        return self._let_go(held)

    def _let_go(self, trades: list[Trade]) -> list[Trade]:
        ordered = [self._judged(trade) for trade in sorted(trades, key=order_of_trade)]
        self.note(ordered)
        return ordered

    def _judged(self, trade: Trade) -> Trade:
        is_late = self._last is not None and order_of_trade(trade) < order_of_trade(self._last)
        return trade if trade.is_late == is_late else evolve(trade, is_late=is_late)

    def note(self, delivered: list[Trade]) -> None:
        """Count sorted trades as delivered, by whatever way."""
        if delivered and (self._last is None or order_of_trade(delivered[-1]) > order_of_trade(self._last)):
            self._last = delivered[-1]
