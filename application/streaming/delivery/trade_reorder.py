"""Trades that are held for a moment and leave in the market's order. Pure."""

from attrs import define, evolve, field, frozen

from ....domain.events import TradeReceived
from ....domain.ports import Clock
from ....domain.trade import Trade, order_of_trade
from .event_buffer import EventBuffer


@define
class TradeReordering:
    """Holds each trade for ``hold_s`` and lets it go sorted by (traded_at, sequential_id).

    A trade that was executed before one whose time is up leaves with it. What arrives after one that was
    executed later has left is late, and says so.

    Invariant: every trade leaves once; those not marked late leave in the market's order.
    """

    hold_s: float
    _held: list[tuple[float, Trade]] = field(factory=list[tuple[float, Trade]])
    _last: Trade | None = None

    def add(self, trade: Trade, now: float) -> None:
        """Hold a trade that arrived ``now`` (monotonic)."""
        self._held.append((now + self.hold_s, trade))

    def wait_s(self, now: float) -> float:
        """Return how long nothing will be due."""
        return min((due for due, _ in self._held), default=now + self.hold_s) - now

    def release(self, now: float) -> list[Trade]:
        """Return the trades whose time is up, and those that come before one of them."""
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


MIN_WAIT_S = 0.01


@frozen(eq=False)
class OrderKeeper:
    """Lets a follower's trades go when their time is up."""

    buffer: EventBuffer
    reordering: TradeReordering
    clock: Clock

    async def run(self) -> None:
        """Let trades go until cancelled."""
        while True:
            await self.clock.sleep(max(MIN_WAIT_S, self.reordering.wait_s(self.clock.monotonic())))
            self._put(self.reordering.release(self.clock.monotonic()))

    def hold(self, trade: Trade) -> None:
        """Hold a trade that has just arrived."""
        self.reordering.add(trade, self.clock.monotonic())

    def note(self, delivered: list[Trade]) -> None:
        """Count sorted trades as delivered."""
        self.reordering.note(delivered)

    def flush(self) -> None:
        """Let all go at once: something follows that must not overtake them."""
        self._put(self.reordering.flush())

    def _put(self, trades: list[Trade]) -> None:
        for trade in trades:
            self.buffer.put(TradeReceived(trade))
