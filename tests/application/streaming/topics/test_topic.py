"""Who hears of a topic: batches are handed over whole, and callbacks hear of all but quotes and trades."""

import asyncio

import pytest

from market_backbone import CandleUpdated, ChannelUnavailableError, TradeReceived
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.topics.topic import Subscribers


@pytest.fixture
def subscriber():
    return Subscriber.of(20, waits_for_history=False)


def test_callbacks_hear_of_candles_and_of_no_trades_whether_anybody_follows_or_not(kit):
    heard = []
    subscribers = Subscribers(on_event=[heard.append])
    subscribers.publish([TradeReceived(kit.trade(1))])
    subscribers.publish([candle := CandleUpdated(kit.candle(0))])
    assert heard == [candle]


@pytest.mark.parametrize("mixed", [False, True])
def test_every_follower_has_every_event_in_its_order(kit, subscriber, mixed):
    subscribers = Subscribers(members={subscriber})
    events = [TradeReceived(kit.trade(number)) for number in (1, 2, 3)]
    if mixed:
        events.insert(1, CandleUpdated(kit.candle(0)))
    subscribers.publish(events, 1.0)
    assert subscriber.buffer.drain() == events


async def test_an_error_ends_who_follows_and_who_waits_for_the_first_sign(subscriber):
    subscribers = Subscribers(members={subscriber})
    waiting = asyncio.create_task(subscribers.wait_until_live(60.0))
    await asyncio.sleep(0)
    subscribers.fail(ChannelUnavailableError("broken", channel="rest"))
    await waiting
    with pytest.raises(ChannelUnavailableError):
        await subscriber.buffer.get()


async def test_who_waits_for_the_first_sign_goes_on_without_one(subscriber):
    await Subscribers(members={subscriber}).wait_until_live(0.0)
    assert not subscriber.buffer.has_failed
