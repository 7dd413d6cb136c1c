"""Where a stream took over: begun once both sides are known, settled once, by a read that proves the slot."""

from datetime import timedelta

import pytest

from market_backbone import Finality, SeamVerdict, Timeframe, TimeRange
from market_backbone.application.streaming.topics.seam_tracker import SeamTracker
from market_backbone.domain.coverage import Coverage
from market_backbone.domain.series import CandleSeries


@pytest.fixture
def tracker(kit):
    made = SeamTracker(Timeframe.M1)
    made.take_over(kit.candle(3, volume="2"))
    return made


def page(kit, *rows):
    start = kit.candle(3).opened_at
    span = TimeRange(start, start + timedelta(minutes=1))
    return CandleSeries.of("test", kit.BTC, Timeframe.M1, rows, Coverage(asked=span, proven=(span,)))


def test_a_joint_begins_when_both_sides_are_known_and_once_a_life(tracker):
    assert not tracker.is_waiting
    tracker.continue_from("rest")
    assert tracker.is_waiting
    assert (tracker.newest.older, tracker.newest.newer, tracker.newest.verdict) == (
        "rest",
        "websocket",
        SeamVerdict.PENDING,
    )


def test_a_life_that_ended_before_anybody_read_leaves_no_joint(tracker):
    tracker.begin_life()
    tracker.continue_from("rest")
    assert not tracker.is_waiting


def test_it_is_due_once_the_slot_is_over_by_the_grace(kit, tracker):
    tracker.continue_from("rest")
    end = kit.candle(4).opened_at
    assert tracker.due(end + timedelta(seconds=4.9), kit.GRACE) == []
    assert tracker.due(end + kit.GRACE, kit.GRACE) == [TimeRange(kit.candle(3).opened_at, end)]


@pytest.mark.parametrize(
    ("volume", "verdict"),
    [("3", SeamVerdict.PROVEN), ("4", SeamVerdict.REPAIRED), (None, SeamVerdict.UNPROVEN)],
)
def test_what_the_stream_saw_last_is_compared_with_what_rest_tells(kit, tracker, volume, verdict):
    tracker.continue_from("rest")
    tracker.saw(kit.candle(3, volume="3"))
    rows = [] if volume is None else [kit.candle(3, volume=volume, source="rest", finality=Finality.FINAL)]
    (settled,) = tracker.settle(page(kit, *rows))
    assert settled.seam.verdict is verdict
    assert tracker.newest == settled.seam
    assert not tracker.is_waiting


def test_a_range_that_could_not_be_had_proves_nothing(kit, tracker):
    tracker.continue_from("rest")
    start = kit.candle(3).opened_at
    assert [event.seam.verdict for event in tracker.give_up(TimeRange(start, kit.candle(4).opened_at))] == [
        SeamVerdict.UNPROVEN
    ]
