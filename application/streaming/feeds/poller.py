"""REST stands in for the topics that no socket brings: all tickers by one call, books by batches, the rest in turn."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress

from attrs import define, field

from ....domain.call_context import CallContext, use_call_context
from ....domain.capabilities import DataKind
from ....domain.errors import RequestError
from ....domain.events import Degraded
from ....domain.orderbook import OrderBook
from ....domain.ports import AllTickers, Channel, OrderBooks
from ....domain.request import Topic
from ....domain.request_options import Priority
from ....domain.streaming import stamp_of
from ....domain.symbol import Symbol
from ....domain.ticker import Ticker
from ..topics.quotes import BOOK_DEPTH, QuoteTopic
from .rest_fallback import RestDesk
from .subscription import Serving, Trouble

OPENING_S = 3.0
RETRY_S, MAX_RETRY_S = 1.0, 30.0
CODES_PER_ROUND = 9
"""The exchange answers ten calls of a kind a second; one is left for repairs."""

MAX_BY_NAME = 20
"""Tickers that are asked for by name; every ticker of the venue is a reply of half a megabyte."""

BOOKS_PER_CALL = 100
MIN_STALENESS_S = 2.0


@define
class Turns:
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

    def has_news(self, serving: Serving) -> bool:
        """Return whether the code has traded since its last turn, or since the stream was lost."""
        symbol, newest = serving.state.topic.symbol, serving.state.newest
        if serving.read_at > -math.inf:
            return self._traded_at.get(symbol, -math.inf) >= serving.read_at
        ticker, stamp = self._seen.get(symbol), None if newest is None else stamp_of(newest)
        return ticker is None or stamp is None or ticker.traded_at > stamp

    def choose(self, servings: Sequence[Serving], most: int) -> list[Serving]:
        """Return whom to ask now; who has waited longest comes first."""
        return sorted(servings, key=lambda one: (not self.has_news(one), one.read_at))[:most]


@define(eq=False)
class Polling:
    """Asks REST for what no socket brings, a round a second."""

    desk: RestDesk
    servings: dict[Topic, Serving]
    interval_s: float
    _turns: Turns = field(factory=Turns)
    _at: float = -math.inf
    _failed_rounds: int = 0

    def hurry(self) -> None:
        """Ask at once: something has just lost its socket."""
        self._at, self._failed_rounds = -math.inf, 0

    def _unserved(self, now: float) -> list[Serving]:
        """Return what has to be polled."""
        timeout_s = self.desk.tools.rules.snapshot_timeout_s
        return [
            serving
            for serving in self.servings.values()
            if serving.is_wanted and not serving.is_live and not _is_opening(serving, now, timeout_s)
        ]

    async def work(self) -> None:
        """Ask for everything that is due."""
        now = self.desk.tools.clock.monotonic()
        due = self._unserved(now) if now >= self._at else []
        for serving in due:
            serving.deliver_from(self.desk.rest.name, "no stream delivers")
        if not due:
            return
        self._at = now + self.interval_s
        with use_call_context(CallContext(Priority.INTERACTIVE)):
            await self._ask(due)
        self._failed_rounds = self._failed_rounds + 1 if self.desk.failures else 0
        if self._failed_rounds:
            pause = min(MAX_RETRY_S, RETRY_S * 2 ** (self._failed_rounds - 1))
            self._at = self.desk.tools.clock.monotonic() + pause

    async def _ask(self, due: Sequence[Serving]) -> None:
        kinds = {kind: [one for one in due if one.state.topic.kind is kind] for kind in DataKind}
        series = [*kinds[DataKind.CANDLE], *kinds[DataKind.TRADE]]
        is_crowded = max(len(kinds[DataKind.CANDLE]), len(kinds[DataKind.TRADE])) > CODES_PER_ROUND
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ask_books(kinds[DataKind.ORDERBOOK]))
            tickers = tasks.create_task(self._ask_tickers(kinds[DataKind.TICKER], series if is_crowded else []))
            if is_crowded:
                await tickers
            self._tell_crowd(series, is_crowded=is_crowded)
            for kind in (DataKind.CANDLE, DataKind.TRADE):
                for serving in self._turns.choose(kinds[kind], CODES_PER_ROUND):
                    tasks.create_task(self._ask_one(serving))

    def _tell_crowd(self, series: Sequence[Serving], *, is_crowded: bool) -> None:
        if not is_crowded:
            for serving in series:
                serving.recover(self.desk.rest.name, of=frozenset({Trouble.CROWDED}))
            return
        traded = sum(self._turns.has_news(serving) for serving in series)
        reason = f"{len(series)} codes are read in turn, the {traded} that traded first"
        for serving in series:
            staleness = MIN_STALENESS_S + traded / CODES_PER_ROUND
            serving.worry(Trouble.CROWDED, Degraded(self.desk.rest.name, staleness, reason))

    async def _ask_one(self, serving: Serving) -> None:
        serving.read_at = self.desk.tools.clock.monotonic()
        await self.desk.ask(serving, serving.state.catch_up(self.desk.rest))

    async def _one_by_one(self, servings: Sequence[Serving]) -> None:
        for serving in servings:
            if not serving.is_live:
                await self._ask_one(serving)

    async def _ask_tickers(self, servings: Sequence[Serving], series: Sequence[Serving]) -> None:
        """Ask for the tickers that are followed, and for those that tell which codes traded."""
        rest = self.desk.rest
        if len(servings) < 2 and not series:  # noqa: PLR2004 - one is asked for by its name
            await self._one_by_one(servings)
            return
        marks = _marks(servings)
        try:
            tickers = await self.desk.ask_for(servings, tickers_of(rest, [*servings, *series]))
        except RequestError:  # one of them is not listed
            await self._one_by_one(servings)
            return
        if tickers is None:
            return
        self._turns.note(tickers, self.desk.tools.clock.monotonic())
        found = {ticker.symbol: ticker for ticker in tickers}
        self._publish(servings, marks, found)
        await self._one_by_one([one for one in servings if one.state.topic.symbol not in found])

    async def _ask_books(self, servings: Sequence[Serving]) -> None:
        rest = self.desk.rest
        if len(servings) < 2 or not isinstance(rest, OrderBooks):  # noqa: PLR2004 - one is asked for by its name
            await self._one_by_one(servings)
            return
        for first in range(0, len(servings), BOOKS_PER_CALL):
            part = servings[first : first + BOOKS_PER_CALL]
            marks, symbols = _marks(part), [one.state.topic.symbol for one in part]
            try:
                books = await self.desk.ask_for(part, rest.get_orderbooks(symbols, BOOK_DEPTH))
            except RequestError:  # one of them is not listed
                await self._one_by_one(part)
                continue
            self._publish(part, marks, {book.symbol: book for book in books or ()})

    def _publish(
        self, servings: Sequence[Serving], marks: Sequence[int], found: dict[Symbol, Ticker] | dict[Symbol, OrderBook]
    ) -> None:
        for serving, mark in zip(servings, marks, strict=True):
            value, state = found.get(serving.state.topic.symbol), serving.state
            if value is not None and isinstance(state, QuoteTopic):
                self.desk.publish(serving, state.take_answer(value, mark))


def _marks(servings: Sequence[Serving]) -> list[int]:
    return [one.state.mark if isinstance(one.state, QuoteTopic) else 0 for one in servings]


async def tickers_of(rest: Channel, servings: Iterable[Serving]) -> Sequence[Ticker]:
    """Return the tickers of some topics by one call: a few are asked for by name, many with all of the venue.

    Raises:
        RequestError: one of them is not listed, and the channel cannot leave it out.

    """
    symbols = list(dict.fromkeys(serving.state.topic.symbol for serving in servings))
    if not isinstance(rest, AllTickers):
        return await rest.get_tickers(symbols)
    if len(symbols) <= MAX_BY_NAME:
        with suppress(RequestError):
            return await rest.get_tickers(symbols)
    return await rest.get_all_tickers(sorted({symbol.quote for symbol in symbols}))


def _is_opening(serving: Serving, now: float, snapshot_timeout_s: float) -> bool:
    """Return whether a new topic's socket still gets its moment before REST stands in for it."""
    carrier = serving.carrier
    if carrier is None or serving.channel or carrier.is_waiting:
        return False
    if carrier.is_proven:
        return now - carrier.began_at < snapshot_timeout_s
    return now - serving.fresh_at < OPENING_S
