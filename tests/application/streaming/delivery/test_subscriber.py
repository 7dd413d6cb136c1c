"""One subscriber: its history first, then what came meanwhile, nothing about a slot after its FINAL candle."""

import pytest

from market_backbone import (
    Backfilled,
    CandleUpdated,
    Finality,
    Gap,
    HistoryLoaded,
    Reason,
    SlowConsumerError,
    TimeRange,
    TradeReceived,
)
from market_backbone.application.streaming.delivery.event_buffer import FollowedEvents
from market_backbone.application.streaming.delivery.subscriber import Subscriber


async def drain(buffer):
    buffer.end()
    return [event async for event in FollowedEvents(buffer)]


async def test_history_comes_first_and_slots_that_it_holds_final_are_not_repeated(kit):
    def final(minute):
        return CandleUpdated(kit.candle(minute, finality=Finality.FINAL))

    subscriber = Subscriber.of(20, waits_for_history=True)
    for event in (final(0), Backfilled(kit.candle(0, finality=Finality.FINAL)), final(2)):
        subscriber.deliver(event)
    subscriber.deliver(Gap(TimeRange(kit.START, kit.START), Reason.UNKNOWN))
    history = HistoryLoaded(object())
    subscriber.deliver_history(history, kit.candle(1).opened_at, [final(1).candle, final(2).candle, kit.candle(3)])
    subscriber.deliver(final(2))
    subscriber.deliver(CandleUpdated(kit.candle(2, volume="9")))
    subscriber.deliver(final(3))
    events = await drain(subscriber.buffer)
    assert events[0] is history
    candles = [event.candle for event in events if isinstance(event, CandleUpdated)]
    assert kit.minutes(candles) == [1, 2, 3, 3]
    assert [candle.is_final for candle in candles] == [True, True, False, True]
    assert [type(event) for event in events if not isinstance(event, CandleUpdated)] == [HistoryLoaded, Gap]


async def test_a_forming_candle_takes_one_place_while_the_history_is_still_being_read(kit):
    subscriber = Subscriber.of(3, waits_for_history=True)
    for volume in range(1, 100):
        subscriber.deliver(CandleUpdated(kit.candle(0, volume=str(volume))))
    subscriber.deliver(CandleUpdated(kit.candle(1)))
    subscriber.deliver_history(HistoryLoaded("history"), None, [])
    events = await drain(subscriber.buffer)
    assert [event.candle.volume for event in events[1:]] == [99, 1]


async def test_what_may_not_be_dropped_still_overruns_a_history_that_takes_too_long(kit):
    subscriber = Subscriber.of(3, waits_for_history=True)
    for number in range(4):
        subscriber.deliver(TradeReceived(kit.trade(number)))
    with pytest.raises(SlowConsumerError, match="history took so long"):
        await subscriber.buffer.get()
