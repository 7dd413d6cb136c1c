"""REST in a feed: asked on behalf of topics, and what became of the question is told to their followers."""

from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from attrs import define

from ....domain.errors import MarketDataError, RequestError, odd_failure
from ....domain.events import Degraded, MarketEvent
from ....domain.ports import AllTickers, Channel, Clock
from ....domain.ticker import Ticker
from ...routing.router import SmartChannelRouter
from .subscription import DegradedReason, Subscription, Subscriptions

MAX_BY_NAME = 20
"""Tickers that are asked for by name; every ticker of the venue is a reply of half a megabyte."""

CURED_BY_AN_ANSWER = frozenset({DegradedReason.UNREACHABLE, DegradedReason.UNREPAIRED})
Answer = TypeVar("Answer")


@define(eq=False)
class RestFallback:
    """Asks one channel, and keeps account of how it does.

    Attributes:
        failures: how many questions have failed in a row.

    """

    channel: Channel
    router: SmartChannelRouter
    clock: Clock
    subscriptions: Subscriptions
    failures: int = 0

    async def ask(self, subscription: Subscription, asking: Awaitable[Iterable[MarketEvent]]) -> None:
        """Ask for one topic, and publish what follows; never raises for what the channel does."""
        try:
            events = await self.ask_for([subscription], asking)
        except RequestError as error:
            self.subscriptions.drop(subscription, error)
            return
        if events is not None:
            self.publish(subscription, events)

    async def ask_for(self, subscriptions: Sequence[Subscription], asking: Awaitable[Answer]) -> Answer | None:
        """Ask for several topics at once; None after a failure, of which their followers have been told.

        Raises:
            RequestError: one of the topics cannot be asked for; which, only single questions tell.

        """
        started = self.clock.monotonic()
        try:
            answer = await asking
        except RequestError:
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's channel may raise anything; it fails like any other
            self.failures += 1
            failure = error if isinstance(error, MarketDataError) else odd_failure(self.channel.name, error)
            self.router.record(self.channel.name, started, success=False, error=failure)
            for subscription in subscriptions:
                self._report_degraded(subscription, str(failure))
            return None
        self.failures = 0
        self.router.record(self.channel.name, started, success=True)
        for subscription in subscriptions:
            subscription.recover(self.channel.name, of=CURED_BY_AN_ANSWER)
        return answer

    def publish(self, subscription: Subscription, events: Iterable[MarketEvent]) -> None:
        """Hand out what an answer tells of a topic."""
        subscription.fresh_at = self.clock.monotonic()
        subscription.subscribers.publish(events)
        subscription.subscribers.is_live.set()

    def _report_degraded(self, subscription: Subscription, error: str) -> None:
        staleness = self.clock.monotonic() - subscription.fresh_at
        if subscription.is_live:
            reason = f"the stream goes on, but what it may lack cannot be read: {error}"
            subscription.report_degraded(DegradedReason.UNREPAIRED, Degraded(self.channel.name, staleness, reason))
        else:
            subscription.report_degraded(DegradedReason.UNREACHABLE, Degraded(self.channel.name, staleness, error))


async def tickers_of(channel: Channel, subscriptions: Iterable[Subscription]) -> Sequence[Ticker]:
    """Return the tickers of some topics by one call: a few are asked for by name, many with all of the venue.

    Raises:
        RequestError: one of them is not listed, and the channel cannot leave it out.

    """
    symbols = list(dict.fromkeys(subscription.topic.symbol for subscription in subscriptions))
    if not isinstance(channel, AllTickers):
        return await channel.get_tickers(symbols)
    if len(symbols) <= MAX_BY_NAME:
        with suppress(RequestError):
            return await channel.get_tickers(symbols)
    return await channel.get_all_tickers(sorted({symbol.quote for symbol in symbols}))
