"""Silence is a question; REST answers it."""

from copy import copy
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from market_backbone.application.streaming.feeds.stall_detector import Diagnosis, StallDetector


def test_a_socket_that_talks_is_not_questioned():
    detector = StallDetector(2.0)
    detector.begin_life(0.0)
    detector.on_read(1.5)
    assert not detector.is_worth_asking(3.4)
    assert detector.is_worth_asking(3.5)


def test_newer_data_on_rest_means_stalled_and_the_same_means_quiet(kit):
    detector = StallDetector(2.0)
    detector.begin_life(0.0)
    detector.on_read(0.0)
    detector.leaves_a_hole(kit.START)
    assert detector.diagnose(kit.START + timedelta(seconds=1), 2.0) is Diagnosis.QUIET
    assert detector.diagnose(kit.START + timedelta(seconds=1.001), 4.0) is Diagnosis.STALLED


def test_a_quiet_socket_is_asked_about_ever_less_often(kit):
    detector = StallDetector(2.0)
    detector.begin_life(0.0)
    detector.on_read(0.0)
    detector.leaves_a_hole(kit.START)
    asked, now = [], 0.0
    while now < 200.0:
        now += 1.0
        if detector.is_worth_asking(now):
            detector.diagnose(kit.START, now)
            asked.append(now)
    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(gaps) == 30.0


def test_when_rest_fails_too_nothing_is_concluded(kit):
    detector = StallDetector(2.0)
    detector.on_read(0.0)
    detector.leaves_a_hole(kit.START)
    assert detector.diagnose(None, 2.0) is Diagnosis.QUIET
    assert detector.silence_s(5.0) == 5.0


def test_a_socket_that_never_brought_the_canary_cannot_be_compared(kit):
    detector = StallDetector(2.0)
    detector.begin_life(0.0)
    assert detector.diagnose(kit.START, 2.0) is Diagnosis.QUIET


def test_a_canary_that_skips_time_by_its_own_stamps_has_lost_something_however_late_it_is_read():
    detector, at = StallDetector(2.0), datetime(2026, 11, 1, tzinfo=UTC)
    detector.begin_life(0.0)
    for step in range(40):
        stamp = at + timedelta(seconds=0.1 * step)
        assert not detector.leaves_a_hole(stamp)
    last = at + timedelta(seconds=3.9)
    assert not detector.leaves_a_hole(last - timedelta(seconds=5))
    assert not copy(detector).leaves_a_hole(last - timedelta(seconds=4.3))
    detector.leaves_a_hole(last)
    assert not copy(detector).leaves_a_hole(last + timedelta(seconds=0.7))
    assert copy(detector).leaves_a_hole(last + timedelta(seconds=0.9))


def test_what_is_usual_for_a_slow_canary_is_no_hole():
    detector, at = StallDetector(2.0), datetime(2026, 11, 1, tzinfo=UTC)
    detector.begin_life(0.0)
    for step in range(40):
        detector.leaves_a_hole(at + timedelta(seconds=step))
    assert not copy(detector).leaves_a_hole(at + timedelta(seconds=39 + 5))
    assert detector.leaves_a_hole(at + timedelta(seconds=39 + 9))
