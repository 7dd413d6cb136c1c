"""The live end of a series: FINAL once and in order, by rules that a clock or a lost socket cannot fool."""

from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from market_backbone import (
    Backfilled,
    CandleRevised,
    CandleSeries,
    Coverage,
    Finality,
    Gap,
    SealedBy,
    SeamSettled,
    SeamVerdict,
    Timeframe,
    TimeRange,
)
from market_backbone.application.streaming.topics.candle_tracker import CandleTracker, TrackerOptions


@pytest.fixture
def tracker(kit):
    return CandleTracker(TrackerOptions(timeframe=Timeframe.M1, grace=kit.GRACE, repair_bound=timedelta(seconds=30)))


def at(kit, minute, second=0.0):
    return kit.START + timedelta(minutes=minute, seconds=second)


def passed(tracker, now):
    """Settle, on a socket whose own data has come this far."""
    tracker.witness(now)
    return tracker.settle(now)


def rest_series(kit, minutes, *, start, end, volume="1"):
    """A REST answer that proves the minutes from ``start`` to ``end``."""
    span = TimeRange(at(kit, start), at(kit, end))
    rows = [kit.candle(minute, finality=Finality.FINAL, source="rest", volume=volume) for minute in minutes]
    return CandleSeries.of("test", kit.BTC, Timeframe.M1, rows, Coverage(asked=span, proven=(span,)))


def final_minutes(kit, events):
    return [
        kit.minutes([event.candle])[0] for event in events if getattr(event, "candle", None) and event.candle.is_final
    ]


def test_frames_pass_at_once_and_older_views_of_a_slot_do_not(kit, tracker):
    assert [e.candle.volume for e in tracker.apply_frame(kit.candle(0, volume="2"))] == [2]
    assert list(tracker.apply_frame(kit.candle(0, volume="1"))) == []
    assert [e.candle.volume for e in tracker.apply_frame(kit.candle(0, volume="3"))] == [3]


def test_a_slot_that_is_over_is_closed_once(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    assert list(passed(tracker, at(kit, 0, 59.9))) == []
    assert [e.candle.finality for e in passed(tracker, at(kit, 1))] == [Finality.CLOSED]
    assert list(passed(tracker, at(kit, 1, 1))) == []


def test_the_last_frame_of_a_slot_may_come_after_its_end_and_still_counts(kit, tracker):
    list(tracker.apply_frame(kit.candle(0, volume="1")))
    list(passed(tracker, at(kit, 1)))
    assert [e.candle.volume for e in tracker.apply_frame(kit.candle(0, volume="2"))] == [2]
    list(tracker.apply_frame(kit.candle(1)))
    assert [e.candle.volume for e in passed(tracker, at(kit, 1, 10)) if e.candle.is_final] == [2]


def test_a_successor_on_the_same_life_seals_after_the_grace_and_not_before(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    list(tracker.apply_frame(kit.candle(1)))
    assert final_minutes(kit, passed(tracker, at(kit, 1, 4.9))) == []
    sealed = [e.candle for e in passed(tracker, at(kit, 1, 5)) if e.candle.is_final]
    assert [candle.sealed_by for candle in sealed] == [SealedBy.SUCCESSOR]


def test_silence_seals_only_when_a_later_frame_of_the_socket_witnesses_it(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    assert final_minutes(kit, tracker.settle(at(kit, 5))) == []
    tracker.witness(at(kit, 1, 5.5))
    assert final_minutes(kit, tracker.settle(at(kit, 5))) == []
    tracker.witness(at(kit, 1, 6))
    sealed = [e.candle for e in tracker.settle(at(kit, 5)) if e.candle.is_final]
    assert [candle.sealed_by for candle in sealed] == [SealedBy.STREAM_QUIET]


def test_frames_that_still_wait_in_a_buffer_keep_their_slot_open_whatever_the_server_time(kit, tracker):
    list(tracker.apply_frame(kit.candle(0, volume="1")))
    list(tracker.apply_frame(kit.candle(1)))
    tracker.witness(at(kit, 1, 3))
    assert final_minutes(kit, tracker.settle(at(kit, 9))) == []
    list(tracker.apply_frame(kit.candle(0, volume="2")))
    tracker.witness(at(kit, 1, 5))
    assert [e.candle.volume for e in tracker.settle(at(kit, 9)) if e.candle.is_final] == [2]


def test_rest_that_lacks_what_the_stream_saw_proves_nothing_from_there_on(kit, tracker):
    tracker.start_at(at(kit, 0))
    list(tracker.apply_frame(kit.candle(1)))
    tracker.begin_life()
    assert final_minutes(kit, tracker.apply_series(rest_series(kit, [0], start=0, end=3))) == [0]
    assert tracker.frontier == at(kit, 1)
    assert final_minutes(kit, tracker.apply_series(rest_series(kit, [0, 1], start=0, end=3))) == [1]
    assert tracker.frontier == at(kit, 3)


def test_a_new_life_proves_nothing_about_the_candle_held_before_it(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    tracker.begin_life()
    list(tracker.apply_frame(kit.candle(2)))
    tracker.witness(at(kit, 9))
    assert final_minutes(kit, tracker.settle(at(kit, 9))) == []
    assert tracker.unsettled(at(kit, 9)) == (TimeRange(at(kit, 0), at(kit, 2)),)


def test_rest_settles_what_two_lives_leave_open_and_order_is_kept(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    tracker.begin_life()
    list(tracker.apply_frame(kit.candle(2)))
    events = [*tracker.apply_series(rest_series(kit, [0, 1], start=0, end=2))]
    assert final_minutes(kit, events) == [0, 1]
    assert tracker.unsettled(at(kit, 2, 30)) == ()
    list(tracker.apply_frame(kit.candle(3)))
    assert final_minutes(kit, passed(tracker, at(kit, 3, 10))) == [2]


def test_a_slot_is_never_final_twice(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    list(tracker.apply_frame(kit.candle(1)))
    first = list(passed(tracker, at(kit, 1, 10)))
    again = [*tracker.apply_series(rest_series(kit, [0], start=0, end=1)), *passed(tracker, at(kit, 1, 11))]
    assert final_minutes(kit, first) == [0]
    assert final_minutes(kit, again) == []


def test_a_final_candle_that_the_exchange_changed_is_a_revision(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    list(tracker.apply_frame(kit.candle(1)))
    list(passed(tracker, at(kit, 1, 10)))
    late = kit.candle(0, volume="7")
    assert list(tracker.apply_frame(late)) == []
    assert tracker.unsettled(at(kit, 1, 11)) == (TimeRange(at(kit, 0), at(kit, 1)),)
    revised = list(tracker.apply_series(rest_series(kit, [0], start=0, end=1, volume="7")))
    assert [type(event) for event in revised] == [CandleRevised]
    assert (revised[0].old.volume, revised[0].new.volume, revised[0].new.revision) == (1, 7, 1)
    assert revised[0].candle is revised[0].new
    assert tracker.unsettled(at(kit, 1, 11)) == ()


def test_a_hole_holds_later_candles_back_for_the_repair_bound_then_becomes_a_gap(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    tracker.begin_life()
    list(tracker.apply_frame(kit.candle(2)))
    list(tracker.apply_frame(kit.candle(3)))
    assert list(tracker.give_up(at(kit, 3, 10))) == []
    assert final_minutes(kit, passed(tracker, at(kit, 3, 10))) == []
    gaps = list(tracker.give_up(at(kit, 3, 40)))
    assert [(type(gap), gap.range) for gap in gaps] == [(Gap, TimeRange(at(kit, 0), at(kit, 2)))]
    assert final_minutes(kit, passed(tracker, at(kit, 3, 41))) == [2]
    later = list(tracker.apply_series(rest_series(kit, [0, 1], start=0, end=2)))
    assert [(type(event), kit.minutes([event.candle])[0]) for event in later] == [(Backfilled, 0), (Backfilled, 1)]
    assert list(tracker.apply_series(rest_series(kit, [0, 1], start=0, end=2))) == []
    assert tracker.pending_backfill == ()


def test_a_slot_without_a_trade_is_passed_over(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    tracker.witness(at(kit, 3, 10))
    list(tracker.settle(at(kit, 3, 10)))
    list(tracker.apply_frame(kit.candle(4)))
    list(tracker.apply_frame(kit.candle(5)))
    assert final_minutes(kit, passed(tracker, at(kit, 5, 10))) == [4]


def test_late_joiners_can_have_what_is_open_and_what_was_sealed(kit, tracker):
    for minute in range(3):
        list(tracker.apply_frame(kit.candle(minute)))
    list(passed(tracker, at(kit, 2, 10)))
    assert kit.minutes(tracker.current()) == [2]
    assert kit.minutes(tracker.held_since(at(kit, 1))) == [1, 2]


@settings(max_examples=150, deadline=None)
@given(
    traded=st.sets(st.integers(0, 11), min_size=1),
    cuts=st.sets(st.integers(1, 11)),
    down=st.integers(0, 2),
    repair_every=st.integers(1, 3),
)
def test_whatever_is_cut_every_slot_that_traded_is_final_once_and_in_order(kit, traded, cuts, down, repair_every):
    """A stream with cuts, a REST that answers now and then: the promise of the follower."""
    tracker = CandleTracker(TrackerOptions(timeframe=Timeframe.M1, grace=kit.GRACE, repair_bound=timedelta(days=1)))
    tracker.start_at(at(kit, 0))
    events, dead_for = [], 0
    for minute in range(16):
        if minute in cuts:
            tracker.begin_life()
            dead_for = down
        now = at(kit, minute, 59)
        if dead_for == 0:
            newest = max((m for m in traded if m <= minute), default=None)
            events += tracker.apply_frame(kit.candle(newest, volume="5")) if newest is not None else []
            tracker.witness(now)
        dead_for = max(0, dead_for - 1)
        events += tracker.settle(now)
        if (minute % repair_every == 0 or minute == 15) and tracker.unsettled(now):
            end = (now - kit.GRACE - kit.START) // timedelta(minutes=1)
            rows = [m for m in traded if m < end]
            events += tracker.apply_series(rest_series(kit, rows, start=0, end=end, volume="5"))
    assert final_minutes(kit, events) == sorted(m for m in traded if m < 15)


def test_a_mixed_candle_never_leaves(kit, tracker):
    stream = evolve(kit.candle(0, volume="4"), updated_at=None)
    events = [*tracker.apply_frame(stream), *tracker.apply_series(rest_series(kit, [0], start=0, end=1, volume="3"))]
    assert [event.candle.volume for event in events] == [4, 3]
    assert [event.candle.source for event in events] == ["websocket", "rest"]


def test_a_frame_that_came_before_the_history_does_not_cut_the_promise_short(kit, tracker):
    list(tracker.apply_frame(kit.candle(2)))
    tracker.start_at(at(kit, 1))
    assert tracker.frontier == at(kit, 1)
    assert tracker.unsettled(at(kit, 2, 6)) == (TimeRange(at(kit, 1), at(kit, 2)),)
    list(tracker.apply_frame(kit.candle(3)))
    assert final_minutes(kit, passed(tracker, at(kit, 3, 10))) == []
    events = [*tracker.apply_series(rest_series(kit, [1], start=1, end=2)), *passed(tracker, at(kit, 3, 10))]
    assert final_minutes(kit, events) == [1, 2]


def test_what_a_late_joiner_still_misses_is_owed_once_something_was_sealed(kit, tracker):
    list(tracker.apply_frame(kit.candle(2)))
    list(tracker.apply_frame(kit.candle(3)))
    list(passed(tracker, at(kit, 3, 10)))
    tracker.start_at(at(kit, 1))
    assert tracker.pending_backfill == (TimeRange(at(kit, 1), at(kit, 2)),)
    paid = list(tracker.apply_series(rest_series(kit, [1], start=1, end=2)))
    assert [type(event) for event in paid] == [Backfilled]


def test_a_doubt_that_rest_has_nothing_to_say_about_is_asked_about_once(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    list(tracker.apply_frame(kit.candle(1)))
    list(passed(tracker, at(kit, 1, 10)))
    list(tracker.apply_frame(kit.candle(0, volume="7")))
    assert tracker.unsettled(at(kit, 1, 11))
    list(tracker.apply_series(rest_series(kit, [], start=0, end=1)))
    assert tracker.unsettled(at(kit, 1, 12)) == ()


def joined(kit, tracker, volume):
    """History up to minute 1, a stream from minute 1 on, and REST's word on what the stream saw of it."""
    list(tracker.apply_frame(kit.candle(1, volume="1")))
    tracker.start_at(at(kit, 1), "rest")
    list(tracker.apply_frame(kit.candle(1, volume="5")))
    pending = tracker.seams.newest
    assert (pending.at, pending.older, pending.newer, pending.verdict) == (
        at(kit, 1), "rest", "websocket", SeamVerdict.PENDING,
    )  # fmt: skip
    assert tracker.unsettled(at(kit, 2, 4.9)) == ()
    assert tracker.unsettled(at(kit, 2, 5)) == (TimeRange(at(kit, 1), at(kit, 2)),)
    events = list(tracker.apply_series(rest_series(kit, [1], start=1, end=2, volume=volume)))
    (settled,) = [event.seam for event in events if isinstance(event, SeamSettled)]
    assert tracker.seams.newest == settled
    assert tracker.unsettled(at(kit, 2, 9)) == ()
    return settled


def test_a_joint_is_proven_when_rest_and_the_stream_tell_the_same_of_the_slot_that_both_saw(kit, tracker):
    assert joined(kit, tracker, "5").verdict is SeamVerdict.PROVEN


def test_a_joint_is_repaired_when_they_differ(kit, tracker):
    seam = joined(kit, tracker, "6")
    assert seam.verdict is SeamVerdict.REPAIRED
    assert "volume 5 by the stream, 6.00000000 by REST" in seam.detail


def test_a_joint_that_rest_cannot_be_asked_about_ends_unproven(kit, tracker):
    list(tracker.apply_frame(kit.candle(0)))
    tracker.start_at(at(kit, 0), "rest")
    tracker.begin_life()
    list(tracker.apply_frame(kit.candle(2)))
    list(tracker.give_up(at(kit, 3, 10)))
    (settled,) = [e.seam for e in tracker.give_up(at(kit, 3, 40)) if isinstance(e, SeamSettled)]
    assert (settled.at, settled.verdict) == (at(kit, 0), SeamVerdict.UNPROVEN)


def test_each_life_has_its_own_joint(kit, tracker):
    tracker.start_at(at(kit, 0), "rest")
    list(tracker.apply_frame(kit.candle(0)))
    first = tracker.seams.newest
    tracker.begin_life()
    list(tracker.apply_frame(kit.candle(2)))
    assert (first.at, tracker.seams.newest.at) == (at(kit, 0), at(kit, 2))
    verdicts = [e.seam.verdict for e in tracker.apply_series(rest_series(kit, [0, 1, 2], start=0, end=3))
                if isinstance(e, SeamSettled)]  # fmt: skip
    assert verdicts == [SeamVerdict.PROVEN, SeamVerdict.PROVEN]


def test_what_a_stream_sealed_is_read_once_more_a_page_at_a_time_and_late_revisions_are_told(kit, tracker):
    tracker.start_at(at(kit, 0))
    finals = []
    for minute in range(200):
        list(tracker.apply_frame(kit.candle(minute, volume="2")))
        finals += final_minutes(kit, passed(tracker, at(kit, minute, 30)))
    assert finals == list(range(199))
    now = at(kit, 199, 30)
    assert tracker.unsettled(now) == (TimeRange(at(kit, 0), at(kit, 199)),)
    rows = [kit.candle(minute, finality=Finality.FINAL, source="rest", volume="2") for minute in range(199)]
    rows[50] = kit.candle(50, finality=Finality.FINAL, source="rest", volume="3")
    span = TimeRange(at(kit, 0), at(kit, 199))
    events = list(
        tracker.apply_series(CandleSeries.of("test", kit.BTC, Timeframe.M1, rows, Coverage(asked=span, proven=(span,))))
    )
    assert [type(event) for event in events] == [CandleRevised]
    assert (events[0].old.volume, events[0].new.volume, events[0].new.revision) == (2, 3, 1)
    assert tracker.unsettled(now) == ()


def test_a_candle_that_the_stream_never_showed_comes_late_but_once(kit, tracker):
    tracker.start_at(at(kit, 0))
    for minute in (0, 1, 3, 4):
        list(tracker.apply_frame(kit.candle(minute)))
        list(passed(tracker, at(kit, minute, 30)))
    page = rest_series(kit, range(4), start=0, end=4)
    events = list(tracker.apply_series(page))
    assert [(type(event), kit.minutes([event.candle])) for event in events] == [(Backfilled, [2])]
    assert list(tracker.apply_series(page)) == []
