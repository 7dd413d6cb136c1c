"""Silence is a question; REST answers it."""

from copy import copy
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from market_backbone.application.streaming.feeds.stall_detector import Silence, StallWatch


def test_a_socket_that_talks_is_not_questioned():
    watch = StallWatch(2.0)
    watch.begin_life(0.0)
    watch.heard(1.5)
    assert not watch.is_worth_asking(3.4)
    assert watch.is_worth_asking(3.5)


def test_newer_data_on_rest_means_stalled_and_the_same_means_quiet(kit):
    watch = StallWatch(2.0)
    watch.begin_life(0.0)
    watch.heard(0.0)
    watch.leaves_a_hole(kit.START)
    assert watch.judge(kit.START + timedelta(seconds=1), 2.0) is Silence.QUIET
    assert watch.judge(kit.START + timedelta(seconds=1.001), 4.0) is Silence.STALLED


def test_a_quiet_socket_is_asked_about_ever_less_often(kit):
    watch = StallWatch(2.0)
    watch.begin_life(0.0)
    watch.heard(0.0)
    watch.leaves_a_hole(kit.START)
    asked, now = [], 0.0
    while now < 200.0:
        now += 1.0
        if watch.is_worth_asking(now):
            watch.judge(kit.START, now)
            asked.append(now)
    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(gaps) == 30.0


def test_when_rest_fails_too_nothing_is_concluded(kit):
    watch = StallWatch(2.0)
    watch.heard(0.0)
    watch.leaves_a_hole(kit.START)
    assert watch.judge(None, 2.0) is Silence.QUIET
    assert watch.silence_s(5.0) == 5.0


def test_a_socket_that_never_brought_the_canary_cannot_be_compared(kit):
    watch = StallWatch(2.0)
    watch.begin_life(0.0)
    assert watch.judge(kit.START, 2.0) is Silence.QUIET


def test_a_canary_that_skips_time_by_its_own_stamps_has_lost_something_however_late_it_is_read():
    watch, at = StallWatch(2.0), datetime(2026, 11, 1, tzinfo=UTC)
    watch.begin_life(0.0)
    for step in range(40):
        stamp = at + timedelta(seconds=0.1 * step)
        assert not watch.leaves_a_hole(stamp)
    last = at + timedelta(seconds=3.9)
    assert not watch.leaves_a_hole(last - timedelta(seconds=5))
    assert not copy(watch).leaves_a_hole(last - timedelta(seconds=4.3))
    watch.leaves_a_hole(last)
    assert not copy(watch).leaves_a_hole(last + timedelta(seconds=0.7))
    assert copy(watch).leaves_a_hole(last + timedelta(seconds=0.9))


def test_what_is_usual_for_a_slow_canary_is_no_hole():
    watch, at = StallWatch(2.0), datetime(2026, 11, 1, tzinfo=UTC)
    watch.begin_life(0.0)
    for step in range(40):
        watch.leaves_a_hole(at + timedelta(seconds=step))
    assert not copy(watch).leaves_a_hole(at + timedelta(seconds=39 + 5))
    assert watch.leaves_a_hole(at + timedelta(seconds=39 + 9))
