"""What waits for one reader: conflated where only the newest matters, never dropped where all do."""

import asyncio

import pytest

from market_backbone import (
    CandleUpdated,
    ClosedError,
    Finality,
    SlowConsumerError,
    TickerUpdated,
    TradeReceived,
)
from market_backbone.application.streaming.delivery.event_buffer import EventBuffer, FollowedEvents
from market_backbone.application.streaming.resume import MissedTrades


async def test_history_beyond_the_capacity_leaves_the_same_room_for_live_events(kit):
    buffer = EventBuffer(2)
    buffer.put_history([TradeReceived(kit.trade(n)) for n in range(10)])
    buffer.put(TradeReceived(kit.trade(10)))
    buffer.put(TradeReceived(kit.trade(11)))
    assert len(buffer) == 12
    missed = MissedTrades(5)
    assert missed.joins([])


async def drain(buffer):
    buffer.end()
    return [event async for event in FollowedEvents(buffer)]


async def test_quotes_and_forming_candles_keep_only_their_newest_in_place(kit):
    buffer = EventBuffer(10)
    for price in ("1", "2"):
        buffer.put(TickerUpdated(kit.ticker(price=price)))
        buffer.put(CandleUpdated(kit.candle(0, close=price)))
        buffer.put(TradeReceived(kit.trade(int(price))))
    events = await drain(buffer)
    assert [type(event).__name__ for event in events] == [
        "TickerUpdated",
        "CandleUpdated",
        "TradeReceived",
        "TradeReceived",
    ]
    assert events[0].ticker.price == 2
    assert events[1].candle.close == 2


async def test_who_keeps_up_has_every_quote_also_those_that_were_read_together(kit):
    buffer = EventBuffer(10)
    for price, read_at in (("1", 5.0), ("2", 6.0), ("3", 6.0)):
        buffer.put(TickerUpdated(kit.ticker(price=price)), read_at)
        buffer.put(TradeReceived(kit.trade(int(price))), read_at)
    assert len(buffer) == 4, "a quote has one place"
    events = [buffer.pop() for _ in range(2)]
    assert [event.ticker.price for event in events] == [2, 3], "what was read before the last reading is old"
    buffer.put(TickerUpdated(kit.ticker(price="4")), 6.0)
    assert [type(event).__name__ for event in await drain(buffer)] == [*["TradeReceived"] * 3, "TickerUpdated"]


async def test_final_candles_and_trades_keep_their_order(kit):
    buffer = EventBuffer(10)
    events = [
        CandleUpdated(kit.candle(0, finality=Finality.FINAL)),
        TradeReceived(kit.trade(1)),
        CandleUpdated(kit.candle(1, finality=Finality.FINAL)),
    ]
    for event in events:
        buffer.put(event)
    assert await drain(buffer) == events


async def test_a_reader_that_is_too_slow_has_what_waits_and_then_is_told(kit):
    buffer = EventBuffer(2)
    for number in range(3):
        buffer.put(TradeReceived(kit.trade(number)))
    assert len(buffer) == 2
    assert [(await buffer.get()).trade.sequential_id for _ in range(2)] == [0, 1]
    with pytest.raises(SlowConsumerError, match="read faster"):
        await buffer.get()


async def test_a_waiting_reader_wakes_up(kit):
    buffer = EventBuffer(2)
    async with asyncio.timeout(2), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(buffer.get())
        await kit.turns()
        buffer.put(TradeReceived(kit.trade(1)))
    assert waiting.result().trade.sequential_id == 1


async def test_nothing_is_added_after_the_end(kit):
    buffer = EventBuffer(2)
    buffer.end()
    buffer.put(TradeReceived(kit.trade(1)))
    assert await drain(buffer) == []


async def test_a_reader_that_polls_with_a_time_out_leaves_nothing_behind(kit):
    buffer = EventBuffer(2)
    for _ in range(50):
        reading = asyncio.ensure_future(buffer.get())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
    assert buffer._waiting == []
    buffer.put(TradeReceived(kit.trade(1)))
    assert (await buffer.get()).trade.sequential_id == 1


async def test_a_reader_that_is_cancelled_just_when_it_was_woken_loses_no_event(kit):
    buffer = EventBuffer(2)
    reading = asyncio.ensure_future(buffer.get())
    await asyncio.sleep(0)
    reading.cancel()
    buffer.put(TradeReceived(kit.trade(1)))
    await asyncio.wait([reading])
    assert (await buffer.get()).trade.sequential_id == 1


async def test_who_reads_on_after_the_block_has_ended_is_told_and_does_not_wait_for_ever(kit):
    buffer = EventBuffer(2)
    buffer.put(TradeReceived(kit.trade(1)))
    buffer.leave()
    with pytest.raises(ClosedError, match="async with"):
        await buffer.get()


async def test_who_waits_while_the_block_ends_has_come_to_the_end(kit):
    buffer = EventBuffer(2)

    async def read():
        return [event async for event in FollowedEvents(buffer)]

    reading = asyncio.ensure_future(read())
    await kit.turns()
    buffer.leave()
    assert await reading == []
