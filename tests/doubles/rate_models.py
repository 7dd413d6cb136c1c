"""Small models of a server that counts, of the way to it, and an event loop whose time jumps."""

import asyncio
import math
import random
import selectors
from collections import deque
from math import floor

from attrs import define, field

from market_backbone.domain.call_context import CallContext, use_call_context
from market_backbone.domain.request import Priority
from market_backbone.infrastructure.budget import AddressBudget, BudgetLimits, RateBudget

LIMITS = BudgetLimits()
LIMIT = 10


class JumpingSelector(selectors.SelectSelector):
    """Jumps over every wait instead of waiting."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0
        self.turns = 0
        self.at_turn = {}

    def select(self, timeout=None):
        self.turns += 1
        if self.turns in self.at_turn:
            self.at_turn[self.turns]()
            timeout = 0
        self.now += timeout or 0.0
        return super().select(0)


def jumping_loop(at_turn=None):
    """Return a loop; ``at_turn`` says what to do before its first, second, ... turn."""
    selector = JumpingSelector()
    selector.at_turn = at_turn or {}
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now
    return loop


class JumpingClock:
    """Market time of a jumping loop."""

    def monotonic(self):
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)

    def to_real_s(self, seconds):
        return seconds

    def follow_speed(self, speed):
        raise AssertionError(speed)


def run(main, at_turn=None):
    with asyncio.Runner(loop_factory=lambda: jumping_loop(at_turn)) as runner:
        return runner.run(main)


def alone(limits=LIMITS):
    """Return a budget that nobody shares, on jumping time."""
    clock = JumpingClock()
    return RateBudget(limits, clock, AddressBudget(now=clock.monotonic))


@define
class FixedWindows:
    """Seconds of a phase that nobody knows."""

    phase: float = 0.0
    window: int = 0
    used: int = 0

    def arrive(self, at):
        """Return what ``sec`` says after this arrival; below zero it is a refusal."""
        window = floor(at + self.phase)
        self.used = self.used + 1 if window == self.window else 1
        self.window = window
        return LIMIT - self.used


@define
class AnchoredWindows:
    """Seconds that begin with the first request after the last one was over."""

    phase: float = 0.0
    began_at: float = -math.inf
    used: int = 0

    def arrive(self, at):
        if at >= self.began_at + 1:
            self.began_at, self.used = at, 0
        self.used += 1
        return LIMIT - self.used


@define
class SlidingWindows:
    """The second before each arrival."""

    phase: float = 0.0
    arrivals: deque = field(factory=deque)

    def arrive(self, at):
        while self.arrivals and self.arrivals[0] <= at - 1:
            self.arrivals.popleft()
        self.arrivals.append(at)
        return LIMIT - len(self.arrivals)


SERVERS = {"fixed": FixedWindows, "anchored": AnchoredWindows, "sliding": SlidingWindows}


@define
class Way:
    """There and back: a constant round trip, jitter on each way, now and then a straggler."""

    round_trip_s: float = 0.0
    jitter_s: float = 0.0
    straggler_share: float = 0.0
    dice: random.Random = field(factory=lambda: random.Random(1))

    def extra(self):
        """Return by how much one direction exceeds its least delay."""
        if self.dice.random() < self.straggler_share:
            return self.dice.uniform(0.3, 2.0)
        return self.jitter_s / 2 * self.dice.random()


@define
class Desk:
    """Makes calls of one budget over one way to one server, and counts what happened."""

    budget: RateBudget
    server: object
    way: Way = field(factory=Way)
    group: str = "candles"
    sent: list = field(factory=list)
    waits: dict = field(factory=lambda: {priority: [] for priority in Priority})
    refused_at: list = field(factory=list)
    refused_sent_at: list = field(factory=list)
    beyond_j: int = 0

    async def call(self, priority=Priority.INTERACTIVE):
        clock = asyncio.get_running_loop()
        context = CallContext(priority)
        with use_call_context(context):
            async with self.budget.acquire(self.group) as permit:
                permit.written()
                self.sent.append(sent_at := clock.time())
                self.waits[priority].append(context.waited_s)
                there = self.way.extra()
                self.beyond_j += there > self.budget.headroom()[self.group].jitter_s
                await asyncio.sleep(self.way.round_trip_s / 2 + there)
                left = self.server.arrive(clock.time())
                await asyncio.sleep(self.way.round_trip_s / 2 + self.way.extra())
                permit.answered()
        permit.learn(self.group, max(left, 0), per_second=LIMIT)
        if left < 0:
            self.refused_at.append(clock.time())
            self.refused_sent_at.append(sent_at)
            self.budget.pause(self.group)

    async def keep_busy(self, calls, *, in_flight=20, priority=Priority.BULK):
        """Make so many calls, a constant number of them asked for at once."""
        left = iter(range(calls))

        async def one_after_another():
            for _ in left:
                await self.call(priority)

        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(one_after_another())

    def rate(self, first=0):
        """Return calls per second between two sends."""
        return (len(self.sent) - 1 - first) / (self.sent[-1] - self.sent[first])
