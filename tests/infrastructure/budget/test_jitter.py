"""J from round trips."""

from itertools import pairwise

import pytest
from rate_models import LIMITS

from market_backbone.infrastructure.budget import Jitter


def test_jitter_is_assumed_until_eight_samples_and_then_measured_and_stretched_for_their_number():
    jitter = Jitter()
    for number in range(7):
        jitter.add(0.1 + 0.001 * number, 0.0)
    assert jitter.seconds(LIMITS, 0.0) == 0.25
    jitter.add(0.17, 0.0)
    assert jitter.seconds(LIMITS, 0.0) == pytest.approx(0.07 * 9 / 7)


def test_more_than_what_is_assumed_is_believed_at_once():
    jitter = Jitter()
    jitter.add(0.1, 0.0)
    jitter.add(0.6, 0.0)

    assert jitter.seconds(LIMITS, 0.0) == pytest.approx(1.5)


def test_equal_round_trips_leave_the_least_jitter():
    jitter = Jitter()
    for _ in range(8):
        jitter.add(0.4, 0.0)

    assert jitter.seconds(LIMITS, 0.0) == 0.02


def test_one_slow_answer_is_forgotten_evenly_over_ten_minutes():
    jitter = Jitter()
    jitter.add(3.1, 0.0)
    for second in range(1, 601):
        jitter.add(0.1, float(second))

    measured = [jitter.seconds(LIMITS, at) for at in (0.0, 300.0, 599.0, 700.0)]

    assert measured == [pytest.approx(3.01), pytest.approx(1.505), 0.02, 0.02]
    assert all(older >= newer for older, newer in pairwise(measured))


def test_at_a_higher_speed_ten_minutes_pass_sooner_and_the_least_is_less():
    jitter = Jitter()
    for _ in range(8):
        jitter.add(0.1, 0.0, 0.05)
    jitter.add(0.2, 0.0, 0.05)

    assert jitter.seconds(LIMITS, 15.0, 0.05) == pytest.approx(0.05 * 10 / 8)
    assert jitter.seconds(LIMITS, 31.0, 0.05) == pytest.approx(0.25 * 0.05)
