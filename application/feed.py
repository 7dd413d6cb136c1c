"""One feed: a fixed set of topics, carried by a stream while it lives and by REST while it does not."""

import asyncio
import math
from collections.abc import Awaitable, Iterable
from datetime import datetime

from attrs import define, field, frozen

from ..domain.capabilities import DataKind
from ..domain.errors import ChannelError, ChannelUnavailableError, MarketDataError, RequestError
from ..domain.events import ChannelSwitched, Degraded, ItemRejected, MarketEvent, Recovered
from ..domain.orderbook import OrderBook
from ..domain.ports import Channel, Clock, LiveChannel, LiveStream, ServerTime
from ..domain.request import Topic
from ..domain.streaming import LifeBegan, LifeEnded, Received, Rejected, StreamItem, stamp_of
from ..domain.symbol import Symbol
from .router import SmartChannelRouter
from .stall import Silence, StallWatch
from .topics import CandleTopic, TopicState, TradeTopic

TICK_S = 0.2
STILL_WITNESSED_S = 2.0
LEAST_REPAIR_S = 1.0
RANGES_PER_REPAIR = 4
TRADE_AUDIT_S = 30.0
"""A stream of trades is compared with REST this often: two calls a minute and symbol."""
OPENING_S = 3.0
RETRY_S = 1.0


@frozen(kw_only=True)
class FeedRules:
    """Timing of a feed, in market seconds."""

    polling_interval_s: float
    stall_after_s: float
    snapshot_timeout_s: float
    hold_bound_s: float = 30.0


@define(eq=False, kw_only=True)
class Feed:
    """Carries ``states`` from ``live`` (or nobody) and ``rest`` (or nobody) to their followers.

    Invariant: at any moment exactly one channel is said to deliver; a change of it is an event.
    """

    states: dict[Topic, TopicState]
    live: LiveChannel | None
    rest: Channel | None
    router: SmartChannelRouter
    clock: Clock
    server_time: ServerTime
    rules: FeedRules
    watch: StallWatch = field(init=False)
    _stream: LiveStream | None = None
    _delivering: str = ""
    _life_began_at: float = 0.0
    _is_proven: bool = False
    _poll_at: float = -math.inf
    _repaired_at: dict[Topic, float] = field(factory=dict[Topic, float])
    _audited_at: dict[Topic, float] = field(factory=dict[Topic, float])
    _behind_since: dict[Topic, float] = field(factory=dict[Topic, float])
    _fresh_at: float = 0.0
    _is_degraded: bool = False
    _is_waiting: bool = False
    _canary: Topic | None = field(init=False, default=None)
    _position: datetime | None = None

    def __attrs_post_init__(self) -> None:
        """Choose the canary: the venue's busiest book."""
        self.watch = StallWatch(self.rules.stall_after_s)
        self._fresh_at = self.clock.monotonic()
        if self.live is not None and self.live.capabilities.canary:
            self._canary = Topic(DataKind.ORDERBOOK, Symbol(self.live.capabilities.canary))

    @property
    def is_delivering_live(self) -> bool:
        """Whether the stream delivers now, and a frame of the last two seconds witnesses it."""
        return self._is_proven and self.watch.silence_s(self.clock.monotonic()) <= STILL_WITNESSED_S

    def note_fresh(self) -> None:
        """Note that somebody else has just renewed what is delivered."""
        self._fresh_at = self.clock.monotonic()

    def _everyone(self, event: MarketEvent) -> None:
        for state in self.states.values():
            state.audience.publish((event,))

    async def run(self) -> None:
        """Carry the topics until cancelled, or until nothing is left that could."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_time())
            if self.rest is not None:
                tasks.create_task(self._keep_filled(self.rest))
            if self.live is not None:
                tasks.create_task(self._follow(self.live))

    async def _follow(self, live: LiveChannel) -> None:
        while not self.router.is_usable(live.name):
            self._is_waiting = True
            await self.clock.sleep(self.rules.polling_interval_s)
        self._is_waiting = False
        try:
            await self._read(live)
        except ChannelError as error:
            if self.rest is None:
                raise
            self._lose(live.name, str(error))

    async def _read(self, live: LiveChannel) -> None:
        async with live.open_stream(self.states, canary=self._canary) as stream:
            self._stream = stream
            async for item in stream:
                self._take(live.name, item)
                await asyncio.sleep(0)  # frames come in bursts: who waits for the next one gets each of them
        msg = "the stream ended by itself"
        raise ChannelUnavailableError(msg, channel=live.name)

    def _take(self, name: str, item: StreamItem) -> None:
        match item:
            case Received():
                self._receive(name, item)
            case LifeBegan():
                self._life_began_at = self.clock.monotonic()
                self._position = None
                self.watch.begin_life(self._life_began_at)
                for state in self.states.values():
                    state.begin_life()
            case LifeEnded():
                self._lose(name, item.cause)
            case Rejected():
                self.router.count_rejected(name)
                self._everyone(ItemRejected(name, item.reason, item.excerpt))

    def _receive(self, name: str, item: Received) -> None:
        is_canary = item.topic == self._canary
        stamp = item.value.updated_at if is_canary and isinstance(item.value, OrderBook) else None
        if not self._is_proven:
            self._is_proven = True
            self.router.record(name, self._life_began_at, success=True)
            self._deliver_from(name, "the stream is up")
            self._recover(name)
        elif self._canary is not None and self._may_have_lost(item, stamp):
            for state in self.states.values():
                state.suspect()
        self.watch.heard(item.received_at, stamp)
        self._fresh_at = item.received_at
        self._advance(item)
        state = self.states.get(item.topic)
        if state is not None:
            state.audience.publish(state.take(item.value))
            state.audience.is_live.set()

    def _may_have_lost(self, item: Received, stamp: datetime | None) -> bool:
        is_hole = stamp is not None and self.watch.leaves_a_hole(stamp)
        return is_hole or self.watch.silence_s(item.received_at) > self.rules.stall_after_s

    def _advance(self, item: Received) -> None:
        """Note how far the socket's data reaches; a stamp from the future says nothing."""
        latest = self.server_time.latest(item.received_at)
        if latest is not None and (stamp := stamp_of(item.value)) is not None and stamp <= latest:
            self._position = stamp if self._position is None else max(self._position, stamp)

    def _lose(self, name: str, cause: str) -> None:
        self.router.record(name, self._life_began_at, success=False, error=cause)
        self._is_proven = False
        self._poll_at = -math.inf
        for state in self.states.values():
            if isinstance(state, CandleTopic):
                state.begin_life()
        if self.rest is not None:
            self._deliver_from(self.rest.name, cause)
        else:
            self._degrade(name, cause)

    def _deliver_from(self, name: str, reason: str) -> None:
        old, self._delivering = self._delivering, name
        if old and old != name:
            self._everyone(ChannelSwitched(old, name, reason))

    async def _keep_time(self) -> None:
        """Close and seal what time has decided, whatever REST is busy with."""
        while True:
            await self.clock.sleep(TICK_S)
            self._settle()

    async def _keep_filled(self, rest: Channel) -> None:
        """Ask REST for what the stream lacks, and about its silence."""
        while True:
            await self.clock.sleep(TICK_S)
            now = self.clock.monotonic()
            if self._is_proven:
                await self._question_silence(rest, now)
            elif now >= self._poll_at and self._may_poll(now):
                self._poll_at = now + self.rules.polling_interval_s
                await self._poll(rest)
            await self._catch_up_behind(rest)

    def _may_poll(self, now: float) -> bool:
        """A socket that is opening gets a moment before REST stands in for it."""
        opening = self.live is not None and not self._delivering
        return not opening or self._is_waiting or now - self._fresh_at >= OPENING_S

    def _settle(self) -> None:
        server_now = self.server_time.earliest()
        if server_now is None:
            return
        for state in self.states.values():
            if isinstance(state, CandleTopic):
                if self._position is not None and self._is_proven:
                    state.tail.witness(self._position)
                state.audience.publish(state.settle(server_now))

    async def _poll(self, rest: Channel) -> None:
        self._deliver_from(rest.name, "no stream delivers")
        for state in self._wanted():
            if self._is_proven:
                return
            await self._ask(rest, state)

    def _wanted(self) -> list[TopicState]:
        """Return the topics that somebody still follows."""
        return [state for state in self.states.values() if state.audience.followers]

    async def _catch_up_behind(self, rest: Channel) -> None:
        server_now = self.server_time.earliest()
        for state in self._wanted():
            if isinstance(state, TradeTopic) and self._is_proven:
                await (self._join(rest, state) if state.is_behind else self._audit(rest, state))
            elif isinstance(state, CandleTopic) and server_now is not None and state.tail.unsettled(server_now):
                await self._repair(rest, state)

    async def _join(self, rest: Channel, state: TradeTopic) -> None:
        since = self._behind_since.setdefault(state.topic, self.clock.monotonic())
        if self.clock.monotonic() - since >= self.rules.hold_bound_s:
            state.audience.publish(state.give_up())
        elif self._may_join(state):
            await self._ask(rest, state)
        if not state.is_behind:
            del self._behind_since[state.topic]

    async def _audit(self, rest: Channel, state: TradeTopic) -> None:
        """Have REST confirm the trades of a stream now and then."""
        now = self.clock.monotonic()
        if now - self._audited_at.setdefault(state.topic, now) >= TRADE_AUDIT_S:
            self._audited_at[state.topic] = now
            await self._attempt(rest, state, state.audit(rest))

    def _may_join(self, state: TradeTopic) -> bool:
        """REST is asked after the SNAPSHOT only, so that its answer cannot end before the stream begins."""
        if self.clock.monotonic() - self._life_began_at >= self.rules.snapshot_timeout_s:
            state.is_witnessed = True
        return state.is_witnessed

    async def _repair(self, rest: Channel, state: CandleTopic) -> None:
        server_now, now = self.server_time.earliest(), self.clock.monotonic()
        if server_now is None or now - self._repaired_at.get(state.topic, 0.0) < LEAST_REPAIR_S:
            return
        self._repaired_at[state.topic] = now
        for span in state.tail.unsettled(server_now)[:RANGES_PER_REPAIR]:
            await self._attempt(rest, state, state.catch_up(rest, span))

    async def _ask(self, rest: Channel, state: TopicState) -> None:
        await self._attempt(rest, state, state.catch_up(rest))

    async def _attempt(self, rest: Channel, state: TopicState, asking: Awaitable[Iterable[MarketEvent]]) -> None:
        started = self.clock.monotonic()
        try:
            events = await asking
        except RequestError as error:
            state.audience.fail(error)
            return
        except MarketDataError as error:
            self.router.record(rest.name, started, success=False, error=str(error))
            self._poll_at = min(self._poll_at, self.clock.monotonic() + RETRY_S)
            self._degrade(rest.name, str(error))
            return
        self.router.record(rest.name, started, success=True)
        self._fresh_at = self.clock.monotonic()
        self._recover(rest.name)
        state.audience.publish(events)
        state.audience.is_live.set()

    def _degrade(self, name: str, reason: str) -> None:
        if self._is_proven:
            return
        self._is_degraded = True
        self._everyone(Degraded(name, self.clock.monotonic() - self._fresh_at, reason))

    def _recover(self, name: str) -> None:
        if self._is_degraded:
            self._is_degraded = False
            self._everyone(Recovered(name))

    async def _question_silence(self, rest: Channel, now: float) -> None:
        if self._canary is None or self._stream is None or not self.watch.is_worth_asking(now):
            return
        try:
            book = await rest.get_orderbook(self._canary.symbol, 1)
        except RequestError:
            self._canary = None
            return
        except MarketDataError:
            self.watch.judge(None, self.clock.monotonic())
            return
        if self.watch.judge(book.updated_at, self.clock.monotonic()) is Silence.STALLED:
            silence = self.watch.silence_s(self.clock.monotonic())
            self._stream.abandon(f"silent for {silence:.1f} s while REST has newer data")
