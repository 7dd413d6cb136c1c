"""One topic of a feed: a change of channel is an event, and old data is told once."""

import pytest

from market_backbone import ChannelSwitched, DataKind, Degraded, Recovered, SubscriptionUnanswered
from market_backbone.application.streaming.delivery.subscriber import Subscriber
from market_backbone.application.streaming.feeds.subscription import DegradedReason, Subscription, Subscriptions
from market_backbone.application.streaming.topics.quotes import QuoteTopic
from market_backbone.domain.request import Topic


@pytest.fixture
def subscriber():
    return Subscriber.of(20, waits_for_history=False)


@pytest.fixture
def subscription(kit, subscriber):
    state = QuoteTopic(Topic(DataKind.TICKER, kit.BTC))
    state.subscribers.members.add(subscriber)
    return Subscription(state, None, 0.0)


def told(subscriber):
    return subscriber.buffer.drain()


def test_the_first_channel_is_no_switch_and_the_next_is(subscription, subscriber):
    for channel in ("websocket", "websocket", "rest"):
        subscription.deliver_from(channel, "cut")
    assert told(subscriber) == [ChannelSwitched("websocket", "rest", "cut")]


@pytest.mark.parametrize(("second_s", "is_told"), [(4.0, False), (15.0, False), (15.1, True)])
def test_a_crowd_is_told_again_only_when_it_has_grown_by_half(subscription, subscriber, second_s, is_told):
    subscription.report_degraded(DegradedReason.CROWDED, Degraded("rest", 10.0, "many"))
    assert len(told(subscriber)) == 1
    subscription.report_degraded(DegradedReason.CROWDED, Degraded("rest", second_s, "many"))
    assert bool(told(subscriber)) is is_told


def test_only_the_end_of_what_was_told_is_told(subscription, subscriber):
    subscription.recover("rest")
    subscription.report_degraded(DegradedReason.UNREACHABLE, Degraded("rest", 1.0, "dead"))
    told(subscriber)
    subscription.recover("rest", of=frozenset({DegradedReason.CROWDED}))
    assert told(subscriber) == []
    subscription.recover("rest")
    assert told(subscriber) == [Recovered("rest")]


def test_a_code_of_which_nothing_comes_is_told_once_and_its_retry_is_not_put_off(subscription, subscriber):
    subscription.report_unanswered(10.0, 60.0)
    subscription.report_unanswered(11.0, 61.0)
    assert [type(event) for event in told(subscriber)] == [SubscriptionUnanswered]
    assert subscription.retry.at == 60.0


async def test_a_topic_that_is_let_go_ends_its_followers_only_with_an_error(kit, subscription, subscriber):
    dropped = []
    subscriptions = Subscriptions(lambda state, error: dropped.append((state, error)))
    subscriptions[subscription.state.topic] = subscription
    subscriptions.drop(subscription, None)
    assert not subscriptions
    assert not subscriber.buffer.has_failed
    error = kit.broken()
    subscriptions.drop(subscription, error)
    assert subscriber.buffer.has_failed
    assert dropped == [(subscription.state, None), (subscription.state, error)]
