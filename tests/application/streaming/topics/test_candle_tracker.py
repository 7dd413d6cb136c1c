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
from market_backbone.application.streaming.topics.candle_tracker import CandleTail, TailRules


@pytest.fixture
def tail(kit):
    return CandleTail(TailRules(timeframe=Timeframe.M1, grace=kit.GRACE, repair_bound=timedelta(seconds=30)))


def at(kit, minute, second=0.0):
    return kit.START + timedelta(minutes=minute, seconds=second)


def passed(tail, now):
    """Settle, on a socket whose own data has come this far."""
    tail.witness(now)
    return tail.settle(now)


def rest_series(kit, minutes, *, start, end, volume="1"):
    """A REST answer that proves the minutes from ``start`` to ``end``."""
    span = TimeRange(at(kit, start), at(kit, end))
    rows = [kit.candle(minute, finality=Finality.FINAL, source="rest", volume=volume) for minute in minutes]
    return CandleSeries.of("test", kit.BTC, Timeframe.M1, rows, Coverage(asked=span, proven=(span,)))


def final_minutes(kit, events):
    return [
        kit.minutes([event.candle])[0] for event in events if getattr(event, "candle", None) and event.candle.is_final
    ]


def test_frames_pass_at_once_and_older_views_of_a_slot_do_not(kit, tail):
    assert [e.candle.volume for e in tail.take_frame(kit.candle(0, volume="2"))] == [2]
    assert list(tail.take_frame(kit.candle(0, volume="1"))) == []
    assert [e.candle.volume for e in tail.take_frame(kit.candle(0, volume="3"))] == [3]


def test_a_slot_that_is_over_is_closed_once(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    assert list(passed(tail, at(kit, 0, 59.9))) == []
    assert [e.candle.finality for e in passed(tail, at(kit, 1))] == [Finality.CLOSED]
    assert list(passed(tail, at(kit, 1, 1))) == []


def test_the_last_frame_of_a_slot_may_come_after_its_end_and_still_counts(kit, tail):
    list(tail.take_frame(kit.candle(0, volume="1")))
    list(passed(tail, at(kit, 1)))
    assert [e.candle.volume for e in tail.take_frame(kit.candle(0, volume="2"))] == [2]
    list(tail.take_frame(kit.candle(1)))
    assert [e.candle.volume for e in passed(tail, at(kit, 1, 10)) if e.candle.is_final] == [2]


def test_a_successor_on_the_same_life_seals_after_the_grace_and_not_before(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    list(tail.take_frame(kit.candle(1)))
    assert final_minutes(kit, passed(tail, at(kit, 1, 4.9))) == []
    sealed = [e.candle for e in passed(tail, at(kit, 1, 5)) if e.candle.is_final]
    assert [candle.sealed_by for candle in sealed] == [SealedBy.SUCCESSOR]


def test_silence_seals_only_when_a_later_frame_of_the_socket_witnesses_it(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    assert final_minutes(kit, tail.settle(at(kit, 5))) == []
    tail.witness(at(kit, 1, 5.5))
    assert final_minutes(kit, tail.settle(at(kit, 5))) == []
    tail.witness(at(kit, 1, 6))
    sealed = [e.candle for e in tail.settle(at(kit, 5)) if e.candle.is_final]
    assert [candle.sealed_by for candle in sealed] == [SealedBy.STREAM_QUIET]


def test_frames_that_still_wait_in_a_buffer_keep_their_slot_open_whatever_the_server_time(kit, tail):
    list(tail.take_frame(kit.candle(0, volume="1")))
    list(tail.take_frame(kit.candle(1)))
    tail.witness(at(kit, 1, 3))
    assert final_minutes(kit, tail.settle(at(kit, 9))) == []
    list(tail.take_frame(kit.candle(0, volume="2")))
    tail.witness(at(kit, 1, 5))
    assert [e.candle.volume for e in tail.settle(at(kit, 9)) if e.candle.is_final] == [2]


def test_rest_that_lacks_what_the_stream_saw_proves_nothing_from_there_on(kit, tail):
    tail.start_at(at(kit, 0))
    list(tail.take_frame(kit.candle(1)))
    tail.begin_life()
    assert final_minutes(kit, tail.take_series(rest_series(kit, [0], start=0, end=3))) == [0]
    assert tail.frontier == at(kit, 1)
    assert final_minutes(kit, tail.take_series(rest_series(kit, [0, 1], start=0, end=3))) == [1]
    assert tail.frontier == at(kit, 3)


def test_a_new_life_proves_nothing_about_the_candle_held_before_it(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    tail.begin_life()
    list(tail.take_frame(kit.candle(2)))
    tail.witness(at(kit, 9))
    assert final_minutes(kit, tail.settle(at(kit, 9))) == []
    assert tail.unsettled(at(kit, 9)) == (TimeRange(at(kit, 0), at(kit, 2)),)


def test_rest_settles_what_two_lives_leave_open_and_order_is_kept(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    tail.begin_life()
    list(tail.take_frame(kit.candle(2)))
    events = [*tail.take_series(rest_series(kit, [0, 1], start=0, end=2))]
    assert final_minutes(kit, events) == [0, 1]
    assert tail.unsettled(at(kit, 2, 30)) == ()
    list(tail.take_frame(kit.candle(3)))
    assert final_minutes(kit, passed(tail, at(kit, 3, 10))) == [2]


def test_a_slot_is_never_final_twice(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    list(tail.take_frame(kit.candle(1)))
    first = list(passed(tail, at(kit, 1, 10)))
    again = [*tail.take_series(rest_series(kit, [0], start=0, end=1)), *passed(tail, at(kit, 1, 11))]
    assert final_minutes(kit, first) == [0]
    assert final_minutes(kit, again) == []


def test_a_final_candle_that_the_exchange_changed_is_a_revision(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    list(tail.take_frame(kit.candle(1)))
    list(passed(tail, at(kit, 1, 10)))
    late = kit.candle(0, volume="7")
    assert list(tail.take_frame(late)) == []
    assert tail.unsettled(at(kit, 1, 11)) == (TimeRange(at(kit, 0), at(kit, 1)),)
    revised = list(tail.take_series(rest_series(kit, [0], start=0, end=1, volume="7")))
    assert [type(event) for event in revised] == [CandleRevised]
    assert (revised[0].old.volume, revised[0].new.volume, revised[0].new.revision) == (1, 7, 1)
    assert revised[0].candle is revised[0].new
    assert tail.unsettled(at(kit, 1, 11)) == ()


def test_a_hole_holds_later_candles_back_for_the_repair_bound_then_becomes_a_gap(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    tail.begin_life()
    list(tail.take_frame(kit.candle(2)))
    list(tail.take_frame(kit.candle(3)))
    assert list(tail.give_up(at(kit, 3, 10))) == []
    assert final_minutes(kit, passed(tail, at(kit, 3, 10))) == []
    gaps = list(tail.give_up(at(kit, 3, 40)))
    assert [(type(gap), gap.range) for gap in gaps] == [(Gap, TimeRange(at(kit, 0), at(kit, 2)))]
    assert final_minutes(kit, passed(tail, at(kit, 3, 41))) == [2]
    later = list(tail.take_series(rest_series(kit, [0, 1], start=0, end=2)))
    assert [(type(event), kit.minutes([event.candle])[0]) for event in later] == [(Backfilled, 0), (Backfilled, 1)]
    assert list(tail.take_series(rest_series(kit, [0, 1], start=0, end=2))) == []
    assert tail.owed == ()


def test_a_slot_without_a_trade_is_passed_over(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    tail.witness(at(kit, 3, 10))
    list(tail.settle(at(kit, 3, 10)))
    list(tail.take_frame(kit.candle(4)))
    list(tail.take_frame(kit.candle(5)))
    assert final_minutes(kit, passed(tail, at(kit, 5, 10))) == [4]


def test_late_joiners_can_have_what_is_open_and_what_was_sealed(kit, tail):
    for minute in range(3):
        list(tail.take_frame(kit.candle(minute)))
    list(passed(tail, at(kit, 2, 10)))
    assert kit.minutes(tail.current()) == [2]
    assert kit.minutes(tail.held_since(at(kit, 1))) == [1, 2]


@settings(max_examples=150, deadline=None)
@given(
    traded=st.sets(st.integers(0, 11), min_size=1),
    cuts=st.sets(st.integers(1, 11)),
    down=st.integers(0, 2),
    repair_every=st.integers(1, 3),
)
def test_whatever_is_cut_every_slot_that_traded_is_final_once_and_in_order(kit, traded, cuts, down, repair_every):
    """A stream with cuts, a REST that answers now and then: the promise of the follower."""
    tail = CandleTail(TailRules(timeframe=Timeframe.M1, grace=kit.GRACE, repair_bound=timedelta(days=1)))
    tail.start_at(at(kit, 0))
    events, dead_for = [], 0
    for minute in range(16):
        if minute in cuts:
            tail.begin_life()
            dead_for = down
        now = at(kit, minute, 59)
        if dead_for == 0:
            newest = max((m for m in traded if m <= minute), default=None)
            events += tail.take_frame(kit.candle(newest, volume="5")) if newest is not None else []
            tail.witness(now)
        dead_for = max(0, dead_for - 1)
        events += tail.settle(now)
        if (minute % repair_every == 0 or minute == 15) and tail.unsettled(now):
            end = (now - kit.GRACE - kit.START) // timedelta(minutes=1)
            rows = [m for m in traded if m < end]
            events += tail.take_series(rest_series(kit, rows, start=0, end=end, volume="5"))
    assert final_minutes(kit, events) == sorted(m for m in traded if m < 15)


def test_a_mixed_candle_never_leaves(kit, tail):
    stream = evolve(kit.candle(0, volume="4"), updated_at=None)
    events = [*tail.take_frame(stream), *tail.take_series(rest_series(kit, [0], start=0, end=1, volume="3"))]
    assert [event.candle.volume for event in events] == [4, 3]
    assert [event.candle.source for event in events] == ["websocket", "rest"]


def test_a_frame_that_came_before_the_history_does_not_cut_the_promise_short(kit, tail):
    list(tail.take_frame(kit.candle(2)))
    tail.start_at(at(kit, 1))
    assert tail.frontier == at(kit, 1)
    assert tail.unsettled(at(kit, 2, 6)) == (TimeRange(at(kit, 1), at(kit, 2)),)
    list(tail.take_frame(kit.candle(3)))
    assert final_minutes(kit, passed(tail, at(kit, 3, 10))) == []
    events = [*tail.take_series(rest_series(kit, [1], start=1, end=2)), *passed(tail, at(kit, 3, 10))]
    assert final_minutes(kit, events) == [1, 2]


def test_what_a_late_joiner_still_misses_is_owed_once_something_was_sealed(kit, tail):
    list(tail.take_frame(kit.candle(2)))
    list(tail.take_frame(kit.candle(3)))
    list(passed(tail, at(kit, 3, 10)))
    tail.start_at(at(kit, 1))
    assert tail.owed == (TimeRange(at(kit, 1), at(kit, 2)),)
    paid = list(tail.take_series(rest_series(kit, [1], start=1, end=2)))
    assert [type(event) for event in paid] == [Backfilled]


def test_a_doubt_that_rest_has_nothing_to_say_about_is_asked_about_once(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    list(tail.take_frame(kit.candle(1)))
    list(passed(tail, at(kit, 1, 10)))
    list(tail.take_frame(kit.candle(0, volume="7")))
    assert tail.unsettled(at(kit, 1, 11))
    list(tail.take_series(rest_series(kit, [], start=0, end=1)))
    assert tail.unsettled(at(kit, 1, 12)) == ()


def joined(kit, tail, volume):
    """History up to minute 1, a stream from minute 1 on, and REST's word on what the stream saw of it."""
    list(tail.take_frame(kit.candle(1, volume="1")))
    tail.start_at(at(kit, 1), "rest")
    list(tail.take_frame(kit.candle(1, volume="5")))
    pending = tail.seams.newest
    assert (pending.at, pending.older, pending.newer, pending.verdict) == (
        at(kit, 1), "rest", "websocket", SeamVerdict.PENDING,
    )  # fmt: skip
    assert tail.unsettled(at(kit, 2, 4.9)) == ()
    assert tail.unsettled(at(kit, 2, 5)) == (TimeRange(at(kit, 1), at(kit, 2)),)
    events = list(tail.take_series(rest_series(kit, [1], start=1, end=2, volume=volume)))
    (settled,) = [event.seam for event in events if isinstance(event, SeamSettled)]
    assert tail.seams.newest == settled
    assert tail.unsettled(at(kit, 2, 9)) == ()
    return settled


def test_a_joint_is_proven_when_rest_and_the_stream_tell_the_same_of_the_slot_that_both_saw(kit, tail):
    assert joined(kit, tail, "5").verdict is SeamVerdict.PROVEN


def test_a_joint_is_repaired_when_they_differ(kit, tail):
    seam = joined(kit, tail, "6")
    assert seam.verdict is SeamVerdict.REPAIRED
    assert "volume 5 by the stream, 6.00000000 by REST" in seam.detail


def test_a_joint_that_rest_cannot_be_asked_about_ends_unproven(kit, tail):
    list(tail.take_frame(kit.candle(0)))
    tail.start_at(at(kit, 0), "rest")
    tail.begin_life()
    list(tail.take_frame(kit.candle(2)))
    list(tail.give_up(at(kit, 3, 10)))
    (settled,) = [e.seam for e in tail.give_up(at(kit, 3, 40)) if isinstance(e, SeamSettled)]
    assert (settled.at, settled.verdict) == (at(kit, 0), SeamVerdict.UNPROVEN)


def test_each_life_has_its_own_joint(kit, tail):
    tail.start_at(at(kit, 0), "rest")
    list(tail.take_frame(kit.candle(0)))
    first = tail.seams.newest
    tail.begin_life()
    list(tail.take_frame(kit.candle(2)))
    assert (first.at, tail.seams.newest.at) == (at(kit, 0), at(kit, 2))
    verdicts = [e.seam.verdict for e in tail.take_series(rest_series(kit, [0, 1, 2], start=0, end=3))
                if isinstance(e, SeamSettled)]  # fmt: skip
    assert verdicts == [SeamVerdict.PROVEN, SeamVerdict.PROVEN]


def test_what_a_stream_sealed_is_read_once_more_a_page_at_a_time_and_late_revisions_are_told(kit, tail):
    tail.start_at(at(kit, 0))
    finals = []
    for minute in range(200):
        list(tail.take_frame(kit.candle(minute, volume="2")))
        finals += final_minutes(kit, passed(tail, at(kit, minute, 30)))
    assert finals == list(range(199))
    now = at(kit, 199, 30)
    assert tail.unsettled(now) == (TimeRange(at(kit, 0), at(kit, 199)),)
    rows = [kit.candle(minute, finality=Finality.FINAL, source="rest", volume="2") for minute in range(199)]
    rows[50] = kit.candle(50, finality=Finality.FINAL, source="rest", volume="3")
    span = TimeRange(at(kit, 0), at(kit, 199))
    events = list(
        tail.take_series(CandleSeries.of("test", kit.BTC, Timeframe.M1, rows, Coverage(asked=span, proven=(span,))))
    )
    assert [type(event) for event in events] == [CandleRevised]
    assert (events[0].old.volume, events[0].new.volume, events[0].new.revision) == (2, 3, 1)
    assert tail.unsettled(now) == ()


def test_a_candle_that_the_stream_never_showed_comes_late_but_once(kit, tail):
    tail.start_at(at(kit, 0))
    for minute in (0, 1, 3, 4):
        list(tail.take_frame(kit.candle(minute)))
        list(passed(tail, at(kit, minute, 30)))
    page = rest_series(kit, range(4), start=0, end=4)
    events = list(tail.take_series(page))
    assert [(type(event), kit.minutes([event.candle])) for event in events] == [(Backfilled, [2])]
    assert list(tail.take_series(page)) == []
