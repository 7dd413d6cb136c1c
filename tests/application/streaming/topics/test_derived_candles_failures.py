"""What a derived topic does when rows cannot be read, minutes are missing, or the venue tells otherwise."""

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from market_backbone import (
    Backfilled,
    CandleRevised,
    CandleSeries,
    CandleUpdated,
    ChannelSwitched,
    ClosedError,
    Coverage,
    DataKind,
    Finality,
    Gap,
    Reason,
    SeamSettled,
    Timeframe,
    TimeRange,
    UnknownSymbolError,
)
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.topics.candle_tracker import CandleTracker, TrackerOptions
from market_backbone.application.streaming.topics.candles import CandleTopic
from market_backbone.application.streaming.topics.derived_candles import DerivedCandleFeed, DerivedCandleTopic
from market_backbone.domain.request import Topic

NOW_S = 150  # the third minute of a day


class Desk:
    """A day that is derived from minutes which the test gives."""

    def __init__(self, kit, **rest):
        self.kit = kit
        self.clock = kit.Clock()
        self.clock.now += NOW_S
        self.rest = kit.Channel(clock=self.clock, minutes=range(3), **rest)
        self.server_time = kit.ServerTime(self.clock)
        self.topic = self._topic(DerivedCandleTopic, Timeframe.D1)
        self.minutes = self._topic(CandleTopic, Timeframe.M1)
        self.minutes.subscribers.is_live.set()
        self.source = Subscriber.of(100, waits_for_history=False)
        self.reader = Subscriber.of(100, waits_for_history=False)
        self.topic.subscribers.members.add(self.reader)
        self.freshened = 0

    def _topic(self, kind, timeframe):
        rules = TrackerOptions(timeframe=timeframe, grace=self.kit.GRACE, repair_bound=timedelta(seconds=30))
        return kind(Topic(DataKind.CANDLE, self.kit.BTC, timeframe), CandleTracker(rules))

    def note_minute(self):
        self.freshened += 1

    def start(self):
        deriving = DerivedCandleFeed(
            topic=self.topic, minutes=self.minutes, subscriber=self.source, rest=self.rest, clock=self.clock,
            server_time=self.server_time, timeout_s=0.01, settled_after=self.kit.GRACE, on_minute=self.note_minute,
        )  # fmt: skip
        self.task = asyncio.create_task(deriving.run())

    async def hear(self, *events):
        """Let the minutes tell something; return what the followers of the day learn."""
        for event in events:
            self.source.deliver(event)
        await self.kit.turns()
        return await self.told()

    async def told(self):
        """Return what waits for the follower now."""
        return [await self.reader.buffer.get() for _ in range(len(self.reader.buffer))]

    async def volumes(self, *events):
        return [event.candle.volume for event in await self.hear(*events) if isinstance(event, CandleUpdated)]

    def moves(self, minute, volume):
        return CandleUpdated(self.kit.candle(minute, volume=volume))


@pytest.fixture
async def make_desk(kit):
    desks = []

    def make(**rest):
        desks.append(Desk(kit, **rest))
        return desks[-1]

    yield make
    for desk in desks:
        desk.task.cancel()
        await asyncio.wait([desk.task])


async def test_rows_first_then_each_move_of_a_minute(make_desk):
    desk = make_desk()
    desk.start()
    assert await desk.volumes() == [3]
    assert await desk.volumes(desk.moves(2, "4")) == [6]
    assert await desk.volumes(desk.moves(3, "1")) == [7]
    assert desk.freshened == 2
    assert desk.topic.newest.source == "derived"


async def test_nothing_is_told_before_the_minutes_are_subscribed_or_had_their_time(make_desk):
    desk = make_desk()
    desk.minutes.subscribers.is_live.clear()
    desk.start()
    assert await desk.volumes() == []
    await asyncio.sleep(0.05)
    assert await desk.volumes() == [3]


async def test_rows_that_cannot_be_read_are_asked_for_again(make_desk, kit):
    desk = make_desk(failures=[kit.broken(), kit.broken()])
    desk.start()
    assert await desk.volumes() == [3]
    assert len(desk.rest.calls) == 3


async def test_rows_are_asked_for_once_the_venue_has_told_the_time(make_desk):
    desk = make_desk()
    desk.server_time.is_known = False
    desk.start()
    assert await desk.volumes() == []
    desk.server_time.is_known = True
    assert await desk.volumes() == [3]


async def test_a_symbol_that_the_venue_refuses_is_not_asked_for_again(make_desk):
    desk = make_desk(failures=[UnknownSymbolError("unknown")])
    desk.start()
    assert await desk.volumes(desk.moves(2, "4")) == []
    assert len(desk.rest.calls) == 1


@pytest.mark.parametrize("what", ["gap", "backfilled", "revised"])
async def test_a_minute_that_was_missing_or_has_changed_makes_the_rows_be_read_anew(make_desk, kit, what):
    desk = make_desk()
    desk.start()
    await desk.hear()
    old = kit.candle(0, finality=Finality.FINAL)
    new = evolve(old, revision=1)
    missing = Gap(TimeRange(kit.START, kit.START + timedelta(minutes=1)), Reason.UNKNOWN)
    event = {"gap": missing, "backfilled": Backfilled(old), "revised": CandleRevised(old, new)}[what]
    assert await desk.hear(event) == []
    assert len(desk.rest.calls) == 2
    assert await desk.volumes(desk.moves(2, "4")) == [6]


async def test_a_doubt_that_comes_while_rows_are_read_has_them_read_once_more(make_desk, kit):
    desk = make_desk()
    read = desk.rest.get_candles

    async def doubted(*args, **rest):
        if not desk.rest.calls:
            desk.topic.invalidate()
        return await read(*args, **rest)

    desk.rest.get_candles = doubted
    desk.start()
    await desk.hear()
    assert len(desk.rest.calls) == 2


async def test_what_becomes_of_a_minute_that_is_not_settled_doubts_nothing(make_desk, kit):
    desk = make_desk()
    desk.start()
    await desk.hear(Backfilled(kit.candle(9, finality=Finality.FINAL)), SeamSettled(None))
    assert len(desk.rest.calls) == 1


async def test_who_follows_days_is_told_of_the_channel_that_brings_the_minutes(make_desk):
    desk = make_desk()
    desk.start()
    switched = ChannelSwitched("websocket", "rest", "lost")
    assert switched in await desk.hear(switched)


async def test_the_end_of_the_minutes_is_the_end_of_the_day(make_desk):
    desk = make_desk()
    desk.start()
    await desk.hear()
    desk.source.buffer.fail(ClosedError("closed"))
    await desk.kit.turns()
    with pytest.raises(ClosedError):
        await desk.reader.buffer.get()


def day_of(kit, volume):
    """The venue's own view of the day."""
    candle = evolve(kit.candle(0, volume=volume, source="rest"), timeframe=Timeframe.D1)
    return CandleSeries.of("test", kit.BTC, Timeframe.D1, [candle], Coverage.nothing(kit.START))


class DayReads:
    """REST that tells these views of the day."""

    def __init__(self, kit, *volumes):
        self.name = "rest"
        self.capabilities = kit.Channel().capabilities
        self.answers = [day_of(kit, volume) for volume in volumes]

    async def get_candles(self, *_, **__):
        return self.answers.pop(0)


@pytest.mark.parametrize(("reads", "told"), [(("2", "2"), [2]), (("9", "9"), [9])])
async def test_where_the_venue_keeps_telling_otherwise_its_view_stands_and_rows_are_read_anew(
    make_desk, kit, reads, told
):
    desk = make_desk()
    desk.start()
    assert await desk.volumes() == [3]
    rest = DayReads(kit, *reads)
    desk.topic.subscribers.publish(await desk.topic.catch_up(rest))
    await desk.hear()
    assert len(desk.rest.calls) == 1
    desk.topic.subscribers.publish(await desk.topic.catch_up(rest))
    assert [event.candle.volume for event in await desk.told()] == told
    await desk.hear()
    assert len(desk.rest.calls) == 2
    assert desk.topic.aggregator.corrections == 1


async def test_what_is_derived_is_never_final_whatever_the_stream_has_witnessed(make_desk, kit):
    desk = make_desk()
    desk.start()
    await desk.hear()
    tomorrow = kit.START + timedelta(days=1, minutes=1)
    desk.topic.tracker.start_at(kit.START)
    desk.topic.tracker.witness(tomorrow)
    events = [*desk.topic.settle(tomorrow)]
    assert [event.candle.finality for event in events] == [Finality.CLOSED]
    assert [span.start for span in desk.topic.tracker.unsettled(tomorrow)] == [kit.START]
