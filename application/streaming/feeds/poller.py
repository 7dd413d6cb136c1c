"""REST stands in for the topics that no socket brings: all tickers by one call, books by batches, the rest in turn."""

import asyncio
import math
from collections.abc import Iterable, Sequence

from attrs import define, field

from ....domain.backoff import Backoff
from ....domain.call_context import CallContext, use_call_context
from ....domain.capabilities import DataKind
from ....domain.errors import RequestError
from ....domain.events import Degraded
from ....domain.orderbook import OrderBook
from ....domain.ports import Clock, OrderBooks
from ....domain.request_options import Priority
from ....domain.streaming import stamp_of
from ....domain.symbol import Symbol
from ....domain.ticker import Ticker
from ..topics.quotes import BOOK_DEPTH, QuoteTopic
from .rest_fallback import RestFallback, tickers_of
from .subscription import DegradedReason, Subscription, Subscriptions

OPENING_S = 3.0
BACKOFF = Backoff(first_s=1.0, longest_s=30.0)
CODES_PER_ROUND = 9
"""The exchange answers ten calls of a kind a second; one is left for repairs."""

BOOKS_PER_CALL = 100
MIN_STALENESS_S = 2.0


@define
class PollSchedule:
    """Whose turn it is when more codes are polled than calls are left: codes that traded come first. Pure.

    A code traded when its ticker differs from the one seen before its last turn.
    """

    _seen: dict[Symbol, Ticker] = field(factory=dict[Symbol, Ticker])
    _traded_at: dict[Symbol, float] = field(factory=dict[Symbol, float])

    def note(self, tickers: Iterable[Ticker], now: float) -> None:
        """Take the newest tickers into account."""
        for ticker in tickers:
            before = self._seen.get(ticker.symbol)
            self._seen[ticker.symbol] = ticker
            if before is not None and (before.traded_at, before.volume) != (ticker.traded_at, ticker.volume):
                self._traded_at[ticker.symbol] = now

    def has_news(self, subscription: Subscription) -> bool:
        """Return whether the code has traded since its last turn, or since the stream was lost."""
        symbol, newest = subscription.topic.symbol, subscription.state.newest
        if subscription.read_at > -math.inf:
            return self._traded_at.get(symbol, -math.inf) >= subscription.read_at
        ticker, stamp = self._seen.get(symbol), None if newest is None else stamp_of(newest)
        return ticker is None or stamp is None or ticker.traded_at > stamp

    def choose(self, subscriptions: Sequence[Subscription], most: int) -> list[Subscription]:
        """Return whom to ask now; who has waited longest comes first."""
        return sorted(subscriptions, key=lambda one: (not self.has_news(one), one.read_at))[:most]


@define(eq=False)
class Poller:
    """Asks REST for what no socket brings, a round a second."""

    rest: RestFallback
    clock: Clock
    subscriptions: Subscriptions
    interval_s: float
    snapshot_timeout_s: float
    _schedule: PollSchedule = field(factory=PollSchedule)
    _at: float = -math.inf
    _failed_rounds: int = 0

    @property
    def name(self) -> str:
        """The channel that is asked."""
        return self.rest.channel.name

    def poll_now(self) -> None:
        """Ask at once: something has just lost its socket."""
        self._at, self._failed_rounds = -math.inf, 0

    def _unserved(self, now: float) -> list[Subscription]:
        """Return what has to be polled."""
        unserved = (one for one in self.subscriptions.values() if one.is_wanted and not one.is_live)
        return [one for one in unserved if not _is_opening(one, now, self.snapshot_timeout_s)]

    async def work(self) -> None:
        """Ask for everything that is due."""
        now = self.clock.monotonic()
        due = self._unserved(now) if now >= self._at else []
        for subscription in due:
            subscription.deliver_from(self.name, "no stream delivers")
        if not due:
            return
        # before the answers: ``poll_now`` may call for the next round while this one is asked
        self._at = now + self.interval_s
        # somebody waits for it, but a repair goes first: it decides what may be sealed
        with use_call_context(CallContext(Priority.INTERACTIVE)):
            await self._ask(due)
        self._failed_rounds = self._failed_rounds + 1 if self.rest.failures else 0
        if self._failed_rounds:
            self._at = self.clock.monotonic() + BACKOFF.delay_s(self._failed_rounds - 1)

    async def _ask(self, due: Sequence[Subscription]) -> None:
        kinds = {kind: [one for one in due if one.topic.kind is kind] for kind in DataKind}
        series = [*kinds[DataKind.CANDLE], *kinds[DataKind.TRADE]]
        is_crowded = max(len(kinds[DataKind.CANDLE]), len(kinds[DataKind.TRADE])) > CODES_PER_ROUND
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ask_books(kinds[DataKind.ORDERBOOK]))
            tickers = tasks.create_task(self._ask_tickers(kinds[DataKind.TICKER], series if is_crowded else []))
            if is_crowded:
                # they tell which codes traded, and so who is asked first
                await tickers
            self._tell_crowd(series, is_crowded=is_crowded)
            for kind in (DataKind.CANDLE, DataKind.TRADE):
                for subscription in self._schedule.choose(kinds[kind], CODES_PER_ROUND):
                    tasks.create_task(self._ask_one(subscription))

    def _tell_crowd(self, series: Sequence[Subscription], *, is_crowded: bool) -> None:
        if not is_crowded:
            for subscription in series:
                subscription.recover(self.name, of=frozenset({DegradedReason.CROWDED}))
            return
        traded = sum(self._schedule.has_news(subscription) for subscription in series)
        reason = f"{len(series)} codes are read in turn, the {traded} that traded first"
        for subscription in series:
            staleness = MIN_STALENESS_S + traded / CODES_PER_ROUND
            subscription.report_degraded(DegradedReason.CROWDED, Degraded(self.name, staleness, reason))

    async def _ask_one(self, subscription: Subscription) -> None:
        subscription.read_at = self.clock.monotonic()
        await self.rest.ask(subscription, subscription.state.catch_up(self.rest.channel))

    async def _one_by_one(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            # a socket may have begun to bring it meanwhile
            if not subscription.is_live:
                await self._ask_one(subscription)

    async def _ask_tickers(self, subscriptions: Sequence[Subscription], series: Sequence[Subscription]) -> None:
        """Ask for the tickers that are followed, and for those that tell which codes traded."""
        channel = self.rest.channel
        if len(subscriptions) < 2 and not series:  # noqa: PLR2004 - one is asked for by its name
            await self._one_by_one(subscriptions)
            return
        asked = _asked_now(subscriptions)
        try:
            tickers = await self.rest.ask_for(subscriptions, tickers_of(channel, [*subscriptions, *series]))
        except RequestError:  # one of them is not listed
            await self._one_by_one(subscriptions)
            return
        if tickers is None:
            return
        self._schedule.note(tickers, self.clock.monotonic())
        found = {ticker.symbol: ticker for ticker in tickers}
        self._publish(asked, found)
        await self._one_by_one([one for one in subscriptions if one.topic.symbol not in found])

    async def _ask_books(self, subscriptions: Sequence[Subscription]) -> None:
        channel = self.rest.channel
        if len(subscriptions) < 2 or not isinstance(channel, OrderBooks):  # noqa: PLR2004 - one is asked for by its name
            await self._one_by_one(subscriptions)
            return
        for first in range(0, len(subscriptions), BOOKS_PER_CALL):
            part = subscriptions[first : first + BOOKS_PER_CALL]
            asked, symbols = _asked_now(part), [one.topic.symbol for one in part]
            try:
                books = await self.rest.ask_for(part, channel.get_orderbooks(symbols, BOOK_DEPTH))
            except RequestError:  # one of them is not listed
                await self._one_by_one(part)
                continue
            self._publish(asked, {book.symbol: book for book in books or ()})

    def _publish(self, asked: Sequence["_Asked"], found: dict[Symbol, Ticker] | dict[Symbol, OrderBook]) -> None:
        for subscription, state, mark in asked:
            value = found.get(state.topic.symbol)
            if value is not None:
                self.rest.publish(subscription, state.apply_answer(value, mark))


_Asked = tuple[Subscription, QuoteTopic, int]


def _asked_now(subscriptions: Sequence[Subscription]) -> list[_Asked]:
    """Return the quotes among these together with how far their streams are now: an answer may come too late."""
    return [(one, one.state, one.state.mark) for one in subscriptions if isinstance(one.state, QuoteTopic)]


def _is_opening(subscription: Subscription, now: float, snapshot_timeout_s: float) -> bool:
    """Return whether a new topic's socket still gets its moment before REST stands in for it."""
    connection = subscription.connection
    if connection is None or subscription.channel or connection.is_waiting:
        return False
    if connection.is_proven:
        return now - connection.began_at < snapshot_timeout_s
    return now - subscription.fresh_at < OPENING_S
