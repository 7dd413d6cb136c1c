"""What a socket is sent: snapshots first, then as much as it takes, or so much a second. Counts what it sent."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable

import msgspec
from attrs import define, field
from side.frames import BATCH, MS, SIZE, Batch, batch, body, framed, simple, stamped

SNAPSHOT_AFTER_S = 0.2
KEPT = 500
"""Trades of each code that REST remembers."""
NUMBER = bytes([8]) * 4
E8 = 10**8


class Plan(msgspec.Struct, frozen=True):
    """What the next subscriptions get.

    Attributes:
        kind: the type of frames that flow; of others only the snapshot is sent.
        rate: frames a second; 0 for as many as the client takes.
        settle_s: time between the snapshots and the flow.
        rest_delay_s: how much longer each answer of REST takes.

    """

    kind: str = "trade"
    rate: int = 0
    seconds: float = 1.0
    settle_s: float = 0.3
    rest_delay_s: float = 0.0


class Wanted(msgspec.Struct, frozen=True):
    """One object of a subscription."""

    type: str = ""
    format: str = ""
    codes: tuple[str, ...] = ()
    is_only_realtime: bool = False
    isOnlyRealtime: bool = False  # noqa: N815 - how some clients spell it

    @property
    def has_snapshot(self) -> bool:
        """Whether the present state is wanted, too."""
        return not (self.is_only_realtime or self.isOnlyRealtime)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Type and code of each stream; the depth of a book does not matter here."""
        return [(self.type, code.partition(".")[0]) for code in self.codes]


def size_of_now() -> bytes:
    """Spell the monotonic clock's nanoseconds as a size with eight decimals."""
    whole, rest = divmod(time.monotonic_ns(), E8)
    return b"%d.%08d" % (whole, rest)


@define
class Tally:
    """What was sent, by type, and how long the flow took."""

    frames: Counter[str] = field(factory=Counter)
    seconds: float = 0.0


@define(eq=False)
class Line:
    """One socket: ``write`` takes bytes of whole frames, ``drain`` waits until the client has read most of them."""

    write: Callable[[bytes], None]
    drain: Callable[[], Awaitable[None]]
    wanted: set[tuple[str, str]] = field(factory=set)
    is_simple: bool = False


@define(eq=False)
class Flows:
    """All sockets, and the plan; ``now_ms`` is the clock that dates the answers of REST, too."""

    now_ms: Callable[[], int]
    plan: Plan = field(factory=Plan)
    tally: Tally = field(factory=Tally)
    lines: list[Line] = field(factory=list)
    recent: dict[str, deque[tuple[int, bytes, bytes]]] = field(factory=dict)
    _batches: dict[tuple[str, bool], Batch] = field(factory=dict)
    _bodies: dict[tuple[str, str], bytes] = field(factory=dict)
    _last_ms: int = 0
    _number: int = 0

    def follow_plan(self, plan: Plan) -> None:
        """Begin anew."""
        self.plan, self.tally = plan, Tally()
        if not plan.rate and plan.kind in BATCH:
            self._batch(plan.kind, is_simple=False)

    def _batch(self, kind: str, *, is_simple: bool) -> Batch:
        if (kind, is_simple) not in self._batches:
            self._batches[kind, is_simple] = batch(kind, is_simple=is_simple)
        return self._batches[kind, is_simple]

    async def serve(self, line: Line, request: list[Wanted]) -> None:
        """Send what a subscription is owed."""
        line.is_simple = any(one.format == "SIMPLE" for one in request)
        line.wanted = {pair for one in request for pair in one.pairs}
        await asyncio.sleep(SNAPSHOT_AFTER_S)
        for kind, code in (pair for one in request if one.has_snapshot for pair in one.pairs):
            snapshot = stamped(body(kind, code, self._next_number(), is_snapshot=True), self.now_ms())
            line.write(framed(simple(snapshot) if line.is_simple else snapshot))
            self.tally.frames[kind] += 1
        flowing = sorted(pair for pair in line.wanted if pair[0] == self.plan.kind)
        if flowing:
            await asyncio.sleep(self.plan.settle_s)
            await (self.pace(flowing, self.plan) if self.plan.rate else self.pour(line))

    async def pour(self, line: Line) -> None:
        """Send whole batches, as fast as they are taken."""
        kind, tally = self.plan.kind, self.tally
        frames = self._batch(kind, is_simple=line.is_simple)
        began = time.perf_counter()
        while time.perf_counter() < began + self.plan.seconds:
            line.write(frames.at(self._next_ms()))
            tally.frames[kind] += frames.frames
            await line.drain()
        tally.seconds = time.perf_counter() - began

    def _next_ms(self) -> int:
        """Return a millisecond that no batch has had: the frames' ids follow from it."""
        self._last_ms = max(self._last_ms + 1, self.now_ms())
        return self._last_ms

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    async def pace(self, pairs: list[tuple[str, str]], plan: Plan) -> None:
        """Send a frame of each of these in turn, at the planned rate, one write each, to all who want it."""
        tally = self.tally
        began = time.perf_counter()
        for number in range(int(plan.rate * plan.seconds)):
            due = began + number / plan.rate
            while time.perf_counter() < due:  # noqa: ASYNC110 - a timer wakes up to a millisecond late
                await asyncio.sleep(0)
            pair = pairs[number % len(pairs)]
            wanting = [line for line in self.lines if pair in line.wanted]
            if wanting:
                frame = self._frame(*pair)
                tally.frames[pair[0]] += 1
                for line in wanting:
                    line.write(frame)
        tally.seconds = time.perf_counter() - began

    def _frame(self, kind: str, code: str) -> bytes:
        """Return a frame whose size tells when it was sent."""
        if (kind, code) not in self._bodies:
            self._bodies[kind, code] = body(kind, code, 1, size=SIZE.decode()).replace(MS + b"0001", MS + NUMBER)
        number, ms, size = b"%04d" % (self._next_number() % 10_000), self.now_ms(), size_of_now()
        if kind == "trade":
            self.recent.setdefault(code, deque(maxlen=KEPT)).append((ms, number, size))
        return framed(stamped(self._bodies[kind, code].replace(NUMBER, number), ms, size))
