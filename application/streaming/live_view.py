"""What streams deliver now, for whoever plans or answers: made before the hub, which registers its topics here."""

from collections.abc import Iterable
from typing import Protocol

from attrs import define, field

from ...domain.capabilities import DataKind
from ...domain.events import MarketEvent
from ...domain.ledger import SeriesKey
from ...domain.ports import Logger
from ...domain.request import Topic
from ...domain.series import CandleSeries
from ...domain.streaming import LiveValue
from ..runtime.telemetry import NullLogger
from .feeds.route import FeedRoute
from .topics.candles import CandleTopic
from .topics.topic import TopicState


class LiveFeed(Protocol):
    """A feed, as far as it matters what it delivers now."""

    @property
    def route(self) -> FeedRoute:
        """Which channels carry it."""
        ...

    @property
    def topics(self) -> Iterable[Topic]:
        """What it carries."""
        ...

    def state_of(self, topic: Topic) -> TopicState | None:
        """Return the state of a topic, if this feed carries it."""
        ...

    def is_witnessing(self, topic: Topic) -> bool:
        """Whether a socket brings the topic now, and was heard a moment ago."""
        ...


@define(eq=False)
class LiveView:
    """The topics that are followed and the feeds that carry them, by route.

    Attributes:
        states: every topic that somebody follows.
        feeds: the feeds that run.
        logger: is told when the past of a series has changed.

    """

    states: dict[tuple[FeedRoute, Topic], TopicState] = field(factory=dict[tuple[FeedRoute, Topic], TopicState])
    feeds: list[LiveFeed] = field(factory=list[LiveFeed])
    logger: Logger = field(factory=NullLogger)

    def followed(self, channel: str) -> frozenset[str]:
        """Return the topics that a channel delivers live now, as text."""
        feeds = [feed for feed in self.feeds if feed.route.live == channel]
        return frozenset(str(topic) for feed in feeds for topic in feed.topics if _newest(feed, topic) is not None)

    def newest(self, channel: str, topic: Topic) -> LiveValue | None:
        """Return the newest value of a topic that a channel delivers live now."""
        values = (_newest(feed, topic) for feed in self.feeds if feed.route.live == channel)
        return next((value for value in values if value is not None), None)

    def tip_of(self, key: SeriesKey) -> CandleSeries | None:
        """Return the slots that a live stream holds open now, or None where none is witnessed.

        The question begins where everything before has been delivered FINAL or is known to be empty.
        """
        state = self.witnessed(key)
        return None if state is None else state.tip()

    def witnessed(self, key: SeriesKey) -> CandleTopic | None:
        """Return what a live stream delivers of a series now, or None where none is witnessed."""
        if not self.feeds:
            return None
        topic = Topic(DataKind.CANDLE, key.symbol, key.timeframe)
        for feed in self.feeds:
            state, value = feed.state_of(topic), _newest(feed, topic)
            if isinstance(state, CandleTopic) and value is not None and value.venue == key.venue:
                return state
        return None

    def publish(self, key: SeriesKey, event: MarketEvent) -> None:
        """Tell the followers of a series, on whatever route, that its past has changed."""
        self.logger.warning("history_changed", series=str(key), change=type(event).__name__)
        topic = Topic(DataKind.CANDLE, key.symbol, key.timeframe)
        for (_, followed), state in list(self.states.items()):
            if followed == topic:
                state.subscribers.publish((event,))


def _newest(feed: LiveFeed, topic: Topic) -> LiveValue | None:
    state = feed.state_of(topic)
    return state.newest if state is not None and feed.is_witnessing(topic) else None
