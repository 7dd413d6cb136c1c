"""Whether a socket tells all: silence is a question, and so is a code of which REST knows more. REST answers both."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from attrs import define, frozen

from ....domain.errors import MarketDataError, RequestError
from ....domain.ports import AllTickers
from ....domain.request import Topic
from ....domain.ticker import Ticker
from ....domain.timestamps import to_text
from .connection import Carrier, Sight
from .connection_pool import Carriers
from .poller import tickers_of
from .rebalancer import Merging
from .rest_fallback import RestDesk
from .stall_detector import Silence
from .subscription import Serving

COMPARE_EVERY_S = 30.0
ON_ITS_WAY = timedelta(seconds=2.5)
"""A candle frame comes up to a second after its trade; once the socket's own data is later still, it is lost."""

CONFIRM_EVERY_S, CONFIRMATIONS = 0.5, 20
NEWER_BY = timedelta(seconds=1)


@frozen(eq=False)
class Suspicion:
    """A code of which REST knew a trade that its socket had not shown."""

    serving: Serving
    carrier: Carrier
    sight: Sight
    traded_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether the same life has still not shown it."""
        is_same = self.carrier.sights.get(self.serving.state.topic) is self.sight
        return is_same and self.serving.carrier is self.carrier and _is_behind(self.sight, self.traded_at)

    @property
    def is_confirmed(self) -> bool:
        """Whether the socket has brought data that is later: a process that lags reads all of it late."""
        position = self.carrier.position
        return self.is_open and position is not None and position >= self.traded_at + ON_ITS_WAY


def _is_behind(sight: Sight, traded_at: datetime) -> bool:
    return sight.stamp is not None and traded_at > sight.stamp + NEWER_BY


def suspicions(servings: Iterable[Serving], tickers: Iterable[Ticker]) -> Iterator[Suspicion]:
    """Return the followed codes that traded, by REST, more than a second after the last sign of them. Pure.

    Every kind shows a trade: a candle and a ticker by its stamp, a book because a trade changes it.
    """
    traded = {ticker.symbol: ticker.traded_at for ticker in tickers}
    for serving in servings:
        carrier, topic = serving.carrier, serving.state.topic
        if carrier is None or not serving.is_wanted or not carrier.shows(topic):
            continue
        sight, traded_at = carrier.sights[topic], traded.get(topic.symbol)
        if traded_at is not None and _is_behind(sight, traded_at):
            yield Suspicion(serving, carrier, sight, traded_at)


@define(eq=False)
class Vigilance:
    """Questions the sockets of a feed."""

    desk: RestDesk
    carriers: Carriers
    merging: Merging
    servings: dict[Topic, Serving]
    _compared_at: float | None = None

    async def question_silence(self) -> None:
        """Ask REST for the canary when a socket is silent; give up the socket that lacks what REST knows."""
        canary, clock = self.carriers.canary, self.desk.tools.clock
        now = clock.monotonic()
        silent = [
            (one, one.watch.heard_at)
            for one in self.carriers.sockets
            if one.is_proven and one.watch.is_worth_asking(now)
        ]
        if canary is None or not silent:
            return
        try:
            known = (await self.desk.rest.get_orderbook(canary.symbol, 1)).updated_at
        except RequestError:
            self.carriers.forget_canary()
            return
        except MarketDataError:
            known = None
        now = clock.monotonic()
        for carrier, heard_at in silent:
            has_spoken = carrier.watch.heard_at != heard_at or not carrier.is_proven
            if not has_spoken and carrier.watch.judge(known, now) is Silence.STALLED and carrier.stream is not None:
                silence = carrier.watch.silence_s(now)
                self.desk.tools.report.stalled(carrier, self.carriers.live.name, silence)
                carrier.stream.abandon(f"silent for {silence:.1f} s while REST has newer data")

    async def compare_codes(self) -> None:
        """Find codes that are dead on a socket which lives."""
        clock, rest = self.desk.tools.clock, self.desk.rest
        now, live = clock.monotonic(), [one for one in self.servings.values() if one.is_live and one.is_wanted]
        if not live or not isinstance(rest, AllTickers):
            self._compared_at = None
            return
        self._compared_at = now if self._compared_at is None else self._compared_at
        if now - self._compared_at < COMPARE_EVERY_S:
            return
        self._compared_at = now
        try:
            tickers = await tickers_of(rest, live)
        except MarketDataError:
            return
        found = list(suspicions(self.servings.values(), tickers))
        for _ in range(CONFIRMATIONS):
            if not found:
                return
            await clock.sleep(CONFIRM_EVERY_S)
            for one in found:
                if one.is_confirmed:
                    self._revive(one)
            found = [one for one in found if one.is_open]

    def _revive(self, one: Suspicion) -> None:
        cause = f"{one.serving.state.topic} is silent while REST knows a trade of {to_text(one.traded_at)}"
        self.merging.revive(one.serving, cause, self.desk.tools.clock.monotonic())
