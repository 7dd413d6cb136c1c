"""The sockets of one feed: opened, read, lost; whose frames count for a topic is decided here.

Invariants:
    A topic has at most one owner among the sockets. Only the owner's frames witness anything; what another
    socket brings of the topic meanwhile is delivered, too, and proves nothing.
    A topic changes its owner only when the owner does not show it, or when the new owner has shown it for
    so long that the old one has delivered everything from before the new one began.
    A socket is closed only when it owns nothing that is followed.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter

from attrs import define, field

from ....domain.errors import ChannelError, ChannelUnavailableError, MarketDataError, RequestError
from ....domain.events import Degraded, ItemRejected
from ....domain.ports import LiveChannel, ReadyStream
from ....domain.request import Topic
from ....domain.streaming import LifeBegan, LifeEnded, LiveValue, Rejected, StreamItem
from ..topics.candles import CandleTopic
from ..topics.trades import TradeTopic
from .batching import Run, Turn, in_runs
from .connection import Carrier
from .context import FeedTools
from .stall_detector import StallWatch
from .subscription import Serving, Trouble

FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 30.0
_value_of = attrgetter("value")


@define(eq=False, kw_only=True)
class Carriers:
    """All sockets of a feed, and the reading of each.

    Attributes:
        stands_in: name of the channel that serves what no socket does; empty for none.
        drop: lets go of a topic: with an error for its followers, or because nobody follows it.
        on_lost: called when something has just lost its socket.
        on_shown: called when a socket shows a topic for the first time in a life.

    """

    live: LiveChannel
    servings: dict[Topic, Serving]
    tools: FeedTools
    stands_in: str
    canary: Topic | None
    drop: Callable[[Serving, MarketDataError | None], None]
    on_lost: Callable[[], None]
    on_shown: Callable[[Topic], None] = lambda _: None
    on_refused: Callable[[Carrier], None] = lambda _: None
    sockets: list[Carrier] = field(factory=list[Carrier])
    has_lost_all: bool = False
    _group: asyncio.TaskGroup | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Read from now on, in tasks of ``group``."""
        self._group = group
        for carrier in self.sockets:
            carrier.task = group.create_task(self._run(carrier))

    def open(self, topics: Iterable[Topic]) -> Carrier:
        """Open a socket of its own for these topics; it owns none of them yet."""
        watch = StallWatch(self.tools.rules.stall_after_s)
        carrier = Carrier(frozenset(topics), self.canary, watch, began_at=self.tools.clock.monotonic())
        self.sockets.append(carrier)
        if self._group is not None:
            carrier.task = self._group.create_task(self._run(carrier))
        return carrier

    def carry(self, servings: Iterable[Serving]) -> None:
        """Open a socket that owns these topics."""
        owned = list(servings)
        carrier = self.open(serving.state.topic for serving in owned)
        for serving in owned:
            serving.carrier = carrier

    def owned_by(self, carrier: Carrier) -> list[Serving]:
        """Return the topics whose frames count when this socket brings them."""
        return [serving for serving in self.servings.values() if serving.carrier is carrier]

    def close(self, carrier: Carrier) -> None:
        """Close a socket; what it owned and nobody follows is let go."""
        self.sockets.remove(carrier)
        self.tools.report.closed(carrier)
        if carrier.task is not None:
            carrier.task.cancel()
        for serving in self.owned_by(carrier):
            self.drop(serving, None)

    async def _run(self, carrier: Carrier) -> None:
        pause = FIRST_PAUSE_S
        while True:
            await self._wait_for_circuit(carrier)
            try:
                await self._read(carrier)
            except (ChannelError, RequestError) as error:
                if isinstance(error, RequestError) or not error.retryable:
                    self._refuse(carrier, error)
                    return
                pause = FIRST_PAUSE_S if carrier.is_proven else min(MAX_PAUSE_S, pause * 2)
                self._lose(carrier, str(error))
            await self.tools.clock.sleep(pause)

    async def _wait_for_circuit(self, carrier: Carrier) -> None:
        while not self.tools.router.is_usable(self.live.name):
            carrier.is_waiting = True
            await self.tools.clock.sleep(self.tools.rules.polling_interval_s)
        carrier.is_waiting = False

    async def _read(self, carrier: Carrier) -> None:
        async with self.live.open_stream(carrier.topics, canary=self.canary) as stream:
            carrier.stream = stream
            ready = stream.ready if isinstance(stream, ReadyStream) else tuple[StreamItem]
            in_a_row, read_at, most_in_a_row, turn = 0, 0.0, self.tools.rules.frames_in_a_row, Turn()
            async for first in stream:
                for run in in_runs(chain((first,), ready()), most_in_a_row):
                    if not isinstance(run, list):
                        self._take(carrier, run)
                        continue
                    in_a_row += len(run)
                    if run[0].received_at != read_at or in_a_row > most_in_a_row:
                        read_at, in_a_row = run[0].received_at, len(run)
                        await turn.give()  # followers have what came before, however much came at once
                    else:
                        turn.begin()  # a stranger's stream may wait in the middle of a reading, and end all turns
                    self._receive(carrier, run)
        msg = "the stream ended by itself"
        raise ChannelUnavailableError(msg, channel=self.live.name)

    def _take(self, carrier: Carrier, item: LifeBegan | LifeEnded | Rejected) -> None:
        match item:
            case LifeBegan():
                carrier.begin_life(self.tools.clock.monotonic())
                self.tools.report.life_began(carrier, self.live.name)
                for serving in self.owned_by(carrier):
                    serving.state.begin_life()
            case LifeEnded():
                self._lose(carrier, item.cause)
            case Rejected():
                self.tools.router.count_rejected(self.live.name)
                for serving in self.owned_by(carrier):
                    if item.topic in {None, serving.state.topic}:
                        serving.tell(ItemRejected(self.live.name, item.reason, item.excerpt))
                        serving.state.suspect()

    def _receive(self, carrier: Carrier, run: Run) -> None:
        topic, read_at, values = run[0].topic, run[0].received_at, [*map(_value_of, run)]
        may_have_lost = self._hear(carrier, read_at) if read_at != carrier.read_at else False
        if carrier.hear_canary(topic, values) or may_have_lost:
            for serving in self.owned_by(carrier):
                serving.state.suspect()
        carrier.advance(values)
        serving = self.servings.get(topic)
        if serving is not None and (serving.carrier is carrier or topic in carrier.topics):
            is_first = carrier.see(topic, values)
            self._deliver(serving, carrier, values, read_at, is_first=is_first)

    def _hear(self, carrier: Carrier, read_at: float) -> bool:
        """Learn from a reading that the socket lives; return whether something before it may be missing."""
        carrier.read_at, carrier.latest = read_at, self.tools.server_time.latest(read_at)
        was_proven = carrier.is_proven
        may_have_lost = carrier.hear(read_at)
        if not was_proven:
            self.tools.router.record(self.live.name, carrier.began_at, success=True)
            self.tools.report.life_proven(carrier, self.live.name)
        return was_proven and may_have_lost

    def _deliver(
        self, serving: Serving, carrier: Carrier, values: Sequence[LiveValue], read_at: float, *, is_first: bool
    ) -> None:
        state, audience = serving.state, serving.state.audience
        is_owed = audience.followers or not isinstance(state, TradeTopic)  # else the next follower is owed nothing
        if serving.carrier is not carrier and serving.is_live:
            audience.publish(state.take_beside(*values) if is_owed else (), read_at)
            return
        if serving.carrier is not carrier or is_first:
            serving.carrier = carrier
            self._begin(serving)
        serving.fresh_at = read_at
        audience.publish(state.take(*values) if is_owed else (), read_at)
        audience.is_live.set()

    def _begin(self, serving: Serving) -> None:
        """Take a topic over from whoever stood in: this is its first frame of the owner's life."""
        serving.state.begin_life()
        serving.is_told_unanswered = False
        serving.deliver_from(self.live.name, "the stream is up")
        serving.recover(self.live.name)
        self.on_shown(serving.state.topic)

    def hand_over(self, serving: Serving, carrier: Carrier) -> None:
        """Go over to another socket without a break: it has shown the topic since before now."""
        sight = carrier.sights[serving.state.topic]
        serving.carrier = carrier
        serving.state.go_on_with(sight.first, sight.newest)

    def _lose(self, carrier: Carrier, cause: str) -> None:
        if self._tells_of_channel(carrier):
            self.tools.router.record(self.live.name, carrier.began_at, success=False, error=cause)
        self.tools.report.life_lost(carrier, self.live.name, cause)
        was_proven = carrier.is_proven
        carrier.end_life()
        for serving in self.owned_by(carrier):
            serving.fresh_at = max(serving.fresh_at, carrier.watch.heard_at)
            heir = next((other for other in self.sockets if other.shows(serving.state.topic)), None)
            if heir is None:
                self._stand_in(serving, cause)
            else:
                serving.state.suspect()
                self.hand_over(serving, heir)
        if was_proven:
            self.has_lost_all = not any(other.is_proven for other in self.sockets)
            self.on_lost()

    def _tells_of_channel(self, carrier: Carrier) -> bool:
        """Return whether a loss is one of the channel: sockets that fall together are one incident, not several.

        Of those that delivered the last one counts; of those that try to come back, the first.
        """
        if carrier.is_proven:
            return not any(other.is_proven for other in self.sockets if other is not carrier)
        return carrier is next((one for one in self.sockets if not one.is_proven), carrier)

    def _stand_in(self, serving: Serving, cause: str) -> None:
        if isinstance(serving.state, CandleTopic):
            serving.state.begin_life()
        if self.stands_in:
            serving.deliver_from(self.stands_in, cause)
        else:
            staleness = self.tools.clock.monotonic() - serving.fresh_at
            serving.worry(Trouble.UNREACHABLE, Degraded(self.live.name, staleness, cause))

    def forget_canary(self) -> None:
        """Question no silence any more: REST does not know the canary."""
        self.canary = None
        for carrier in self.sockets:
            carrier.canary = None

    def mute(self, serving: Serving, cause: str) -> None:
        """Count a topic as dead on its socket, which goes on for the others."""
        if serving.carrier is not None:
            serving.carrier.mute(serving.state.topic)
            self._stand_in(serving, cause)
            self.on_lost()

    def _refuse(self, carrier: Carrier, error: ChannelError | RequestError) -> None:
        """Find the guilty topic by halving: an error frame does not name it. Costs at most two connects a topic."""
        self.tools.router.record(self.live.name, carrier.began_at, success=False, error=error)
        self.tools.report.closed(carrier)
        carrier.end_life()
        owned = self.owned_by(carrier)
        self.sockets.remove(carrier)
        self.on_refused(carrier)
        if len(owned) == 1:
            self._exclude(owned[0], error)
        elif owned:
            for serving in owned:
                self._stand_in(serving, str(error))
            owned.sort(key=lambda serving: str(serving.state.topic))
            self.carry(owned[: len(owned) // 2])
            self.carry(owned[len(owned) // 2 :])
        self.on_lost()

    def _exclude(self, serving: Serving, error: ChannelError | RequestError) -> None:
        self.tools.report.refused(serving.state.topic, error)
        if not self.stands_in:
            self.drop(serving, error)
            return
        serving.refuse(error)
        self._stand_in(serving, str(error))
