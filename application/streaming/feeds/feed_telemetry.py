"""What a feed tells the logger and the observers: its sockets, who delivers what, and how complete it is.

Events of many codes at once (a lost socket switches all of them) become one line of the log.
"""

from collections.abc import Callable, Iterable

from attrs import define, field, frozen

from ....domain.coverage_report import Completeness
from ....domain.events import (
    Backfilled,
    CandleUpdated,
    ChannelSwitched,
    Degraded,
    MarketEvent,
    Recovered,
    SubscriptionUnanswered,
)
from ....domain.ports import Clock
from ....domain.request import Topic
from ....domain.telemetry_events import DeliverySwitched, SeriesFollowed, StreamBegan, StreamEnded
from ...runtime.telemetry import Telemetry
from ..topics.topic import TopicState
from .connection import Connection

EXAMPLES = 5
"""Codes that a line of the log names; it counts the others."""


@frozen
class LogKey:
    """One line of the log to be, for all codes that share it."""

    event: str
    details: tuple[tuple[str, object], ...]


@define
class _Gathered:
    """The codes that share a line, and the longest time among them."""

    topics: list[str] = field(factory=list[str])
    worst_s: float = 0.0


@define(eq=False)
class FeedTelemetry:
    """Account of one feed; ``flush`` writes what was gathered."""

    telemetry: Telemetry
    clock: Clock
    _received: dict[Topic, int] = field(init=False, factory=dict[Topic, int])
    _measured: dict[Topic, Completeness] = field(init=False, factory=dict[Topic, Completeness])
    _gathered: dict[LogKey, _Gathered] = field(init=False, factory=dict[LogKey, _Gathered])
    _began: dict[Connection, tuple[float, str]] = field(init=False, factory=dict[Connection, tuple[float, str]])
    _lost: dict[Connection, float] = field(init=False, factory=dict[Connection, float])

    # --- what followers are told -------------------------------------------------------------

    def listener(self, topic: Topic) -> Callable[[MarketEvent], None]:
        """Return what has to hear every event of a topic."""
        self._received[topic] = 0
        self._measured.pop(topic, None)

        def listen(event: MarketEvent) -> None:
            match event:
                case CandleUpdated():
                    self._received[topic] += event.candle.is_final
                case Backfilled():
                    self._received[topic] += 1
                case ChannelSwitched():
                    self.telemetry.observe(DeliverySwitched(topic=topic, old=event.old, new=event.new))
                    self._gather(topic, "channel_switched", old=event.old, new=event.new, reason=event.reason)
                case Degraded() | Recovered() | SubscriptionUnanswered():
                    self._gather_state(topic, event)
                case _:
                    return

        return listen

    def _gather_state(self, topic: Topic, event: Degraded | Recovered | SubscriptionUnanswered) -> None:
        match event:
            case Degraded(channel, staleness_s, reason):
                self._gather(topic, "data_degraded", worst_s=staleness_s, channel=channel, reason=reason)
            case Recovered(channel):
                self._gather(topic, "data_recovered", channel=channel)
            case SubscriptionUnanswered(waited_s=waited_s):
                self._gather(topic, "subscription_unanswered", worst_s=waited_s)

    def _gather(self, topic: Topic, event: str, worst_s: float = 0.0, **details: object) -> None:
        gathered = self._gathered.setdefault(LogKey(event, tuple(details.items())), _Gathered())
        gathered.topics.append(str(topic))
        gathered.worst_s = max(gathered.worst_s, worst_s)

    def flush(self) -> None:
        """Write what was gathered since the last time, one line for all codes that share it."""
        lines, self._gathered = self._gathered, {}
        for key, gathered in lines.items():
            worst_s, details = round(gathered.worst_s, 1), dict(key.details)
            codes = {"codes": len(gathered.topics), "examples": gathered.topics[:EXAMPLES]}
            match key.event:
                case "channel_switched":
                    self.telemetry.info("channel_switched", **details, **codes)
                case "data_recovered":
                    self.telemetry.info("data_recovered", **details, **codes)
                case "data_degraded":
                    self.telemetry.warning("data_degraded", **details, staleness_s=worst_s, **codes)
                case _:
                    self.telemetry.warning("subscription_unanswered", waited_s=worst_s, **codes)

    # --- sockets -------------------------------------------------------------------------------

    def life_began(self, connection: Connection, channel: str) -> None:
        """Note that a socket is open."""
        self._began[connection] = self.clock.monotonic(), channel
        self.telemetry.observe(StreamBegan(channel=channel, is_reconnect=connection in self._lost))

    def life_proven(self, connection: Connection, channel: str) -> None:
        """Note that a socket shows data."""
        # only now: a socket that opens and shows nothing has restored nothing
        lost_at = self._lost.pop(connection, None)
        if lost_at is not None:
            down_s = round(self.clock.monotonic() - lost_at, 1)
            self.telemetry.info("stream_restored", channel=channel, codes=len(connection.topics), down_s=down_s)

    def life_lost(self, connection: Connection, channel: str, cause: str) -> None:
        """Note that a socket is gone, or could not be opened; further attempts are no news."""
        lasted_s = self._end_life(connection, is_lost=True)
        if connection not in self._lost:
            self._lost[connection] = self.clock.monotonic()
            codes = len(connection.topics)
            self.telemetry.warning(
                "stream_lost", channel=channel, cause=cause, codes=codes, lasted_s=round(lasted_s, 1)
            )

    def replaced(self, lost: Iterable[Connection], connection: Connection) -> None:
        """Note that a new socket stands for some that were lost."""
        since = [self._lost[one] for one in lost if one in self._lost]
        if since:
            self._lost[connection] = min(since)

    def closed(self, connection: Connection) -> None:
        """Note that a socket is needed no more."""
        self._end_life(connection, is_lost=False)
        self._lost.pop(connection, None)

    def end(self) -> None:
        """Note that the feed has ended, and all its sockets with it."""
        for connection in list(self._began):
            self.closed(connection)
        self.flush()

    def _end_life(self, connection: Connection, *, is_lost: bool) -> float:
        began_at, channel = self._began.pop(connection, (None, ""))
        if began_at is None:
            return 0.0
        lasted_s = self.clock.monotonic() - began_at
        self.telemetry.observe(StreamEnded(channel=channel, lasted_s=lasted_s, is_lost=is_lost))
        return lasted_s

    def stalled(self, connection: Connection, channel: str, silent_s: float) -> None:
        """Note that a socket is given up because REST knows more."""
        self.telemetry.warning(
            "feed_stalled", channel=channel, silent_s=round(silent_s, 1), codes=len(connection.topics)
        )

    def merged(self, channel: str, before: int, after: int, codes: int) -> None:
        """Note that one socket has taken over."""
        self.telemetry.info("sockets_merged", channel=channel, before=before, after=after, codes=codes)

    def refused(self, topic: Topic, error: Exception) -> None:
        """Note that no socket can carry a topic."""
        self.telemetry.warning("subscription_refused", topic=str(topic), error=str(error))

    def code_silent(self, topic: Topic, cause: str) -> None:
        """Note that a single code is dead."""
        self.telemetry.warning("code_silent", topic=str(topic), cause=cause)

    # --- completeness --------------------------------------------------------------------------

    def completeness(self, state: TopicState) -> Completeness | None:
        """Return what became of the slots of a followed series that are over."""
        return state.completeness(self._received.get(state.topic, 0))

    def measure(self, state: TopicState) -> None:
        """Tell the observers how complete a followed series is, if that has changed."""
        topic = state.topic
        if not self.telemetry.has_observers or topic.timeframe is None:
            return
        found = self.completeness(state)
        if found is not None and found != self._measured.get(topic, Completeness()):
            self._measured[topic] = found
            self.telemetry.observe(SeriesFollowed(symbol=topic.symbol, timeframe=topic.timeframe, completeness=found))
