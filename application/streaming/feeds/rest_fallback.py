"""REST in a feed: asked on behalf of topics, and what became of the question is told to their followers."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from attrs import define

from ....domain.errors import MarketDataError, RequestError, odd_failure
from ....domain.events import Degraded, MarketEvent
from ....domain.ports import Channel
from .context import FeedTools
from .subscription import Serving, Trouble

CURED_BY_AN_ANSWER = frozenset({Trouble.UNREACHABLE, Trouble.UNREPAIRED})
Answer = TypeVar("Answer")


@define(eq=False, kw_only=True)
class RestDesk:
    """Asks one channel, and keeps account of how it does.

    Attributes:
        drop: ends the followers of a topic with an error.
        failures: how many questions have failed in a row.

    """

    rest: Channel
    tools: FeedTools
    drop: Callable[[Serving, MarketDataError | None], None]
    failures: int = 0

    async def ask(self, serving: Serving, asking: Awaitable[Iterable[MarketEvent]]) -> None:
        """Ask for one topic, and publish what follows; never raises for what the channel does."""
        try:
            events = await self.ask_for([serving], asking)
        except RequestError as error:
            self.drop(serving, error)
            return
        if events is not None:
            self.publish(serving, events)

    async def ask_for(self, servings: Sequence[Serving], asking: Awaitable[Answer]) -> Answer | None:
        """Ask for several topics at once; None after a failure, of which their followers have been told.

        Raises:
            RequestError: one of the topics cannot be asked for; which, only single questions tell.

        """
        started = self.tools.clock.monotonic()
        try:
            answer = await asking
        except RequestError:
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's channel may raise anything; it fails like any other
            self.failures += 1
            failure = error if isinstance(error, MarketDataError) else odd_failure(self.rest.name, error)
            self.tools.router.record(self.rest.name, started, success=False, error=failure)
            for serving in servings:
                self._worry(serving, str(failure))
            return None
        self.failures = 0
        self.tools.router.record(self.rest.name, started, success=True)
        for serving in servings:
            serving.recover(self.rest.name, of=CURED_BY_AN_ANSWER)
        return answer

    def publish(self, serving: Serving, events: Iterable[MarketEvent]) -> None:
        """Hand out what an answer tells of a topic."""
        serving.fresh_at = self.tools.clock.monotonic()
        serving.state.audience.publish(events)
        serving.state.audience.is_live.set()

    def _worry(self, serving: Serving, error: str) -> None:
        staleness = self.tools.clock.monotonic() - serving.fresh_at
        if serving.is_live:
            reason = f"the stream goes on, but what it may lack cannot be read: {error}"
            serving.worry(Trouble.UNREPAIRED, Degraded(self.rest.name, staleness, reason))
        else:
            serving.worry(Trouble.UNREACHABLE, Degraded(self.rest.name, staleness, error))
