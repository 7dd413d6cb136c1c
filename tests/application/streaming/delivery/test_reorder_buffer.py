"""Trades that are held for a moment and leave in the market's order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone import (
    Gap,
    Reason,
    SlowConsumerError,
    TimeRange,
    TradeReceived,
    UnsupportedRequestError,
    create_realtime_request,
)
from market_backbone.application.streaming.delivery.event_buffer import FollowedEvents
from market_backbone.application.streaming.delivery.reorder_buffer import ReorderBuffer
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.domain.trade import order_of_trade
from market_backbone.infrastructure.sandbox import Fault


class AtInstants:
    """A buffer that is told what time it is."""

    def __init__(self, kit, hold_s):
        self.clock = kit.Clock()
        self.buffer = ReorderBuffer(hold_s, self.clock)
        self.flush = self.buffer.flush

    def add(self, trade, now):
        self.clock.now = now
        self.buffer.add(trade)

    def release(self, now):
        self.clock.now = now
        return self.buffer.release()

    def wait_s(self, now):
        self.clock.now = now
        return self.buffer.wait_s()


def ids(trades):
    return [trade.sequential_id for trade in trades]


def test_what_arrives_in_disorder_leaves_in_order_once_the_first_has_waited_long_enough(kit):
    held = AtInstants(kit, 0.5)
    held.add(kit.trade(10), 0.0)
    held.add(kit.trade(5), 0.3)
    held.add(kit.trade(12), 0.4)
    assert held.release(0.4) == []
    assert held.wait_s(0.4) == pytest.approx(0.1)
    assert ids(held.release(0.5)) == [5, 10]
    assert ids(held.release(0.9)) == [12]
    assert held.wait_s(0.9) == pytest.approx(0.5)


def test_what_comes_after_a_later_one_has_left_is_late_and_what_was_only_in_disorder_is_not(kit):
    held = AtInstants(kit, 0.5)
    held.add(kit.trade(10), 0.0)
    held.add(kit.trade(5), 0.1)
    assert [trade.is_late for trade in held.release(0.5)] == [False, False]
    held.add(kit.trade(7), 0.6)
    assert [trade.is_late for trade in held.flush()] == [True]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(0, 0.4)), max_size=60, unique_by=lambda one: one[0]),
    st.floats(0.01, 1.0),
)
def test_each_trade_leaves_once_and_those_within_the_time_leave_in_order(kit, arrivals, hold_s):
    """Each trade is executed at its number of milliseconds and arrives up to 0.4 s later."""
    coming = sorted((number / 1000 + after, number) for number, after in arrivals)
    held, left = AtInstants(kit, hold_s), []
    for at, number in coming:
        left += held.release(at)
        held.add(kit.trade(number), at)
    left += held.flush()
    assert sorted(ids(left)) == sorted(number for number, _ in arrivals)
    in_time = [order_of_trade(trade) for trade in left if not trade.is_late]
    assert in_time == sorted(in_time)
    if hold_s > 0.41:
        assert ids(left) == sorted(ids(left))


async def test_a_follower_holds_trades_for_market_seconds_and_nothing_overtakes_them_but_state(kit):
    clock = kit.Clock()
    subscriber = Subscriber.of(20, waits_for_history=False, reorder=ReorderBuffer(0.5, clock))
    for number in (9, 3):
        subscriber.deliver(TradeReceived(kit.trade(number)))
    assert len(subscriber.buffer) == 0
    started = clock.now
    async with asyncio.timeout(2), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(subscriber.keep_order())
        events = [await subscriber.buffer.get() for _ in range(2)]
        running.cancel()
    assert ids(event.trade for event in events) == [3, 9]
    assert clock.now - started >= 0.5
    subscriber.deliver(TradeReceived(kit.trade(20)))
    subscriber.deliver(Gap(TimeRange(kit.START, kit.START), Reason.UNKNOWN))
    assert [type(await subscriber.buffer.get()) for _ in range(2)] == [TradeReceived, Gap]


@pytest.mark.parametrize("ending", ["the end", "an error", "a full buffer"])
async def test_what_is_held_when_a_stream_ends_is_delivered_before_the_end(kit, ending):
    capacity, reorder = 2 if ending == "a full buffer" else 20, ReorderBuffer(5.0, kit.Clock())
    subscriber = Subscriber.of(capacity, waits_for_history=False, reorder=reorder)
    for number in (9, 3, 6):
        subscriber.deliver(TradeReceived(kit.trade(number)))
    if ending == "an error":
        subscriber.buffer.fail(UnsupportedRequestError("delisted"))
    else:
        subscriber.buffer.end()
    events = FollowedEvents(subscriber.buffer)
    assert ids([(await anext(events)).trade for _ in range(2)]) == [3, 6]
    if ending == "a full buffer":
        with pytest.raises(SlowConsumerError):
            await anext(events)
        return
    assert (await anext(events)).trade.sequential_id == 9
    with pytest.raises(UnsupportedRequestError if ending == "an error" else StopAsyncIteration):
        await anext(events)


async def test_over_real_sockets_disordered_frames_leave_in_order(open_market):
    request = create_realtime_request("KRW-BTC", kind="trade", reorder_s=2.0)
    async with open_market(speed=10) as (sandbox, api):
        sandbox.inject(Fault("disordered-frames", share=0.6, maximum_ms=400))
        trades = []
        async with asyncio.timeout(30), api.follow(request) as events:
            async for event in events:
                if isinstance(event, TradeReceived):
                    trades.append(event.trade)
                if len(trades) == 60:
                    break
    orders = [order_of_trade(trade) for trade in trades]
    assert orders == sorted(set(orders))
    assert not any(trade.is_late for trade in trades)
    first, last = (trade.traded_at.timestamp() * 1000 for trade in (trades[0], trades[-1]))
    truth = [t.sequential_id for t in sandbox.market.trades("KRW-BTC", round(first), round(last) + 1)]
    assert set(ids(trades)) <= set(truth)
    assert {n for n in truth if trades[0].sequential_id <= n <= trades[-1].sequential_id} == set(ids(trades))
