"""One socket: what its frames have shown counts for one life, and a stamp from the future says nothing."""

import pytest

from market_backbone import DataKind
from market_backbone.application.streaming.feeds.connection import Connection
from market_backbone.application.streaming.feeds.stall_detector import StallDetector
from market_backbone.domain.request import Topic


@pytest.fixture
def topic(kit):
    return Topic(DataKind.CANDLE, kit.BTC, "1m")


@pytest.fixture
def connection(topic):
    made = Connection(frozenset({topic}), None, StallDetector(2.0))
    made.begin_life(0.0)
    return made


def test_a_topic_is_seen_from_its_first_frame_to_the_end_of_the_life(kit, connection, topic):
    connection.on_read(1.0)
    assert not connection.has_seen(topic)
    assert connection.record(topic, [kit.candle(0)])
    assert not connection.record(topic, [kit.candle(1)])
    assert connection.has_seen(topic)
    connection.end_life()
    assert not connection.has_seen(topic)


def test_a_topic_that_has_fallen_silent_is_new_with_its_next_frame(kit, connection, topic):
    connection.on_read(1.0)
    connection.record(topic, [kit.candle(0)])
    connection.mark_silent(topic)
    assert not connection.has_seen(topic)
    assert connection.record(topic, [kit.candle(0)])
    assert connection.silent == set()


def test_the_newest_candle_is_the_one_of_the_latest_slot_whatever_came_last(kit, connection, topic):
    connection.record(topic, [kit.candle(0), kit.candle(2), kit.candle(1)])
    assert connection.seen[topic].newest.opened_at == kit.candle(2).opened_at


def test_a_stamp_that_lies_in_the_future_does_not_move_the_position(kit, connection):
    connection.latest = kit.candle(1).opened_at
    connection.advance([kit.candle(0, second=30), kit.candle(5)])
    assert connection.position == kit.candle(0, second=30).updated_at
