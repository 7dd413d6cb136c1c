"""Whether a socket tells all: silence is a question, and so is a code of which REST knows more. REST answers both."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from attrs import define, frozen

from ....domain.errors import MarketDataError, RequestError
from ....domain.ports import AllTickers, Channel, Clock
from ....domain.ticker import Ticker
from ....domain.timestamps import to_text
from .connection import Connection, TopicSnapshot
from .connection_pool import ConnectionPool
from .feed_telemetry import FeedTelemetry
from .rest_fallback import tickers_of
from .stall_detector import Diagnosis
from .subscription import Subscription, Subscriptions

COMPARE_EVERY_S = 30.0
ON_ITS_WAY = timedelta(seconds=2.5)
"""A candle frame comes up to a second after its trade; once the socket's own data is later still, it is lost."""

CONFIRM_EVERY_S, CONFIRMATIONS = 0.5, 20
NEWER_BY = timedelta(seconds=1)


@frozen(eq=False)
class SilentTopic:
    """A code of which REST knew a trade that its socket had not shown."""

    subscription: Subscription
    connection: Connection
    snapshot: TopicSnapshot
    traded_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether the same life has still not shown it."""
        is_same = self.connection.seen.get(self.subscription.topic) is self.snapshot
        return is_same and self.subscription.connection is self.connection and _is_behind(self.snapshot, self.traded_at)

    @property
    def is_confirmed(self) -> bool:
        """Whether the socket has brought data that is later: a process that lags reads all of it late."""
        position = self.connection.position
        return self.is_open and position is not None and position >= self.traded_at + ON_ITS_WAY


def _is_behind(snapshot: TopicSnapshot, traded_at: datetime) -> bool:
    return snapshot.stamp is not None and traded_at > snapshot.stamp + NEWER_BY


def find_silent_topics(subscriptions: Iterable[Subscription], tickers: Iterable[Ticker]) -> Iterator[SilentTopic]:
    """Return the followed codes that traded, by REST, more than a second after the last sign of them. Pure.

    Every kind shows a trade: a candle and a ticker by its stamp, a book because a trade changes it.
    """
    traded = {ticker.symbol: ticker.traded_at for ticker in tickers}
    for subscription in subscriptions:
        connection, topic = subscription.connection, subscription.topic
        if connection is None or not subscription.is_wanted or not connection.has_seen(topic):
            continue
        snapshot, traded_at = connection.seen[topic], traded.get(topic.symbol)
        if traded_at is not None and _is_behind(snapshot, traded_at):
            yield SilentTopic(subscription, connection, snapshot, traded_at)


@define(eq=False)
class Watchdog:
    """Questions the sockets of a feed."""

    rest: Channel
    clock: Clock
    telemetry: FeedTelemetry
    pool: ConnectionPool
    subscriptions: Subscriptions
    _compared_at: float | None = None

    async def question_silence(self) -> None:
        """Ask REST for the canary when a socket is silent; give up the socket that lacks what REST knows."""
        canary, now = self.pool.canary, self.clock.monotonic()
        silent = [
            (one, one.detector.last_read_at)
            for one in self.pool.connections
            if one.is_proven and one.detector.is_worth_asking(now)
        ]
        if canary is None or not silent:
            return
        try:
            known = (await self.rest.get_orderbook(canary.symbol, 1)).updated_at
        except RequestError:
            self.pool.forget_canary()
            return
        except MarketDataError:
            known = None
        now = self.clock.monotonic()
        for connection, last_read_at in silent:
            # it may have spoken, or been lost, while REST was asked
            is_still_silent = connection.is_proven and connection.detector.last_read_at == last_read_at
            if is_still_silent and connection.detector.diagnose(known, now) is Diagnosis.STALLED:
                self._give_up(connection, connection.detector.silence_s(now))

    def _give_up(self, connection: Connection, silent_s: float) -> None:
        if connection.stream is not None:
            self.telemetry.stalled(connection, self.pool.name, silent_s)
            connection.stream.abandon(f"silent for {silent_s:.1f} s while REST has newer data")

    async def compare_codes(self) -> None:
        """Find codes that are dead on a socket which lives."""
        now, live = (
            self.clock.monotonic(),
            [one for one in self.subscriptions.values() if one.is_live and one.is_wanted],
        )
        if not live or not isinstance(self.rest, AllTickers):
            self._compared_at = None
            return
        self._compared_at = now if self._compared_at is None else self._compared_at
        if now - self._compared_at < COMPARE_EVERY_S:
            return
        self._compared_at = now
        try:
            tickers = await tickers_of(self.rest, live)
        except MarketDataError:
            return
        # REST may only be faster: what is behind now gets ten seconds to prove that it is not dead
        found = list(find_silent_topics(self.subscriptions.values(), tickers))
        for _ in range(CONFIRMATIONS):
            if not found:
                return
            await self.clock.sleep(CONFIRM_EVERY_S)
            for one in found:
                if one.is_confirmed:
                    self._resubscribe(one)
            found = [one for one in found if one.is_open]

    def _resubscribe(self, one: SilentTopic) -> None:
        cause = f"{one.subscription.topic} is silent while REST knows a trade of {to_text(one.traded_at)}"
        self.pool.resubscribe(one.subscription, cause, self.clock.monotonic())
