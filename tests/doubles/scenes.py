"""A hub over a fake exchange, and one follower of one topic."""

import asyncio

import pytest
from shared_clock import SharedClock

from market_backbone import (
    DataKind,
    SmartRoutingPolicy,
    Timeframe,
)
from market_backbone.application.cache.write_behind import WriteBehind
from market_backbone.application.routing.channel_directory import ChannelDirectory
from market_backbone.application.routing.router import SmartChannelRouter
from market_backbone.application.runtime.tasks import TaskSupervisor
from market_backbone.application.runtime.telemetry import StoreErrors, Telemetry
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.feeds.context import FeedContext, FeedOptions
from market_backbone.application.streaming.feeds.feed import Feed
from market_backbone.application.streaming.feeds.feed_telemetry import FeedTelemetry
from market_backbone.application.streaming.feeds.route import FeedRoute
from market_backbone.application.streaming.hub import LiveHub
from market_backbone.domain.finality import Grace
from market_backbone.domain.request import Topic

RULES = FeedOptions(polling_interval_s=1.0, stall_after_s=2.0, snapshot_timeout_s=10.0)


def polled_feed(kit, clock, rest, options=RULES):
    """Make a feed without a stream, which nobody owns."""
    channels = {} if rest is None else {rest.name: rest}
    context = FeedContext(
        router=SmartChannelRouter(channels, SmartRoutingPolicy(), clock, cool_down_s=1.0),
        clock=clock, server_time=kit.ServerTime(clock), options=options, telemetry=FeedTelemetry(Telemetry(), clock),
    )  # fmt: skip
    return Feed(
        route=FeedRoute(None, rest.name if rest is not None else None),
        live=None,
        rest=rest,
        context=context,
        on_drop=lambda *_: None,
    )


class Scene:
    """A hub over a fake exchange, and one follower of one topic."""

    def __init__(self, kit, kind, *, canary="", minutes=range(20), rest="rest"):
        self.kit = kit
        self.clock = SharedClock()
        self.rest = kit.Channel(clock=self.clock, minutes=minutes)
        self.live = kit.LiveChannel(clock=self.clock, canary=canary)
        self.server_time = kit.ServerTime(self.clock)
        self.reports = []
        self.router = SmartChannelRouter(
            {"rest": self.rest, "websocket": self.live}, SmartRoutingPolicy(), self.clock, cool_down_s=30.0
        )
        self.tasks = TaskSupervisor(lambda name, error: self.reports.append((name, error)))
        self.hub = LiveHub(
            router=self.router, clock=self.clock, grace=Grace(),
            directory=ChannelDirectory(self.router.channels, lambda _: self.server_time),
            options=RULES, tasks=self.tasks,
            write_behind=WriteBehind(store=None, clock=self.clock, tasks=self.tasks, errors=StoreErrors()),
        )  # fmt: skip
        self.topic = Topic(kind, kit.BTC, Timeframe.M1 if kind is DataKind.CANDLE else None)
        self.route = FeedRoute("websocket", rest)
        self.subscriber = Subscriber.of(1000, waits_for_history=False)
        self.state = self.hub.join(self.topic, self.route, self.subscriber)
        self.events = []

    async def pass_s(self, seconds):
        """Let market time pass."""
        until = self.clock.now + seconds
        await self.until(lambda: self.clock.now >= until)

    async def until(self, condition, turns=40_000):
        """Let the feed work until the condition holds; collects events."""
        for _ in range(turns):
            while len(self.subscriber.buffer):
                self.events.append(await self.subscriber.buffer.get())
            if condition():
                return
            await asyncio.sleep(0)
        pytest.fail(f"never came true; events: {self.events[-5:]}")

    async def read_to_the_end(self):
        """Read until the stream ends, with whatever error."""
        async with asyncio.timeout(5):
            while True:
                self.events.append(await self.subscriber.buffer.get())

    @property
    def stream(self):
        return self.live.streams[0]

    async def open(self):
        await self.until(lambda: self.live.streams)

    def follow(self, topic, capacity=1000):
        """Follow something else beside the scene's own topic."""
        other = Subscriber.of(capacity, waits_for_history=False)
        return self.hub.join(topic, self.route, other), other

    @property
    def sockets(self):
        """The streams that are open now."""
        return [stream for stream in self.live.streams if not stream.is_closed]

    @property
    def feed(self):
        return self.hub.live_view.feeds[0]

    def give(self, value, **rest):
        self.stream.give(self.topic, value, self.clock, **rest)

    def kinds(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def trades_of(code):
    return Topic(DataKind.TRADE, code)


async def open_more(scene, kit, topics):
    """Follow more topics, one batch after another; each gets its own socket, which shows it."""
    for topic in topics:
        scene.follow(topic)
        opened = len(scene.live.streams)
        await scene.until(lambda opened=opened: len(scene.live.streams) > opened)
        stream = scene.live.streams[-1]
        stream.begin()
        stream.give(topic, kit.trade(1, symbol=topic.symbol), scene.clock, is_snapshot=True)
        await scene.until(lambda topic=topic: scene.feed.is_witnessing(topic))
