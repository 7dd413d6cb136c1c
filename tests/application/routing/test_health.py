"""The health of a channel: figures of the last 100 outcomes, and a circuit."""

import itertools

import pytest

from market_backbone import Capabilities, ChannelView
from market_backbone.application.routing.health import ChannelPerformance, percentile
from market_backbone.domain.routing import CircuitState, Grade


def test_a_new_channel_counts_as_healthy():
    health = ChannelPerformance().health(0.0)
    assert (health.success_rate, health.circuit, health.outcomes) == (1.0, CircuitState.CLOSED, 0)


def test_only_the_last_hundred_outcomes_count():
    performance = ChannelPerformance()
    for number in range(150):
        performance.record(10.0, success=number >= 50, now=float(number))
    health = performance.health(150.0)
    assert health.outcomes == 100
    assert health.success_rate == 1.0


def test_latency_percentiles_are_of_successes_only():
    performance = ChannelPerformance()
    for latency in range(1, 101):
        performance.record(float(latency), success=latency != 100, now=0.0)
    assert performance.health(0.0).latency_ms == {"p50": 50.0, "p90": 90.0, "p99": 99.0}


def test_three_failures_in_a_row_open_the_circuit_and_two_do_not():
    performance = ChannelPerformance()
    performance.record(1.0, success=False, now=1.0, error="a")
    performance.record(1.0, success=False, now=2.0, error="b")
    assert performance.state(2.0) is CircuitState.CLOSED
    performance.record(1.0, success=False, now=3.0, error="c")
    assert performance.state(3.0) is CircuitState.OPEN
    assert performance.health(3.0).last_error == "c"
    assert performance.health(3.0).since == 3.0


def test_a_report_from_outside_opens_the_circuit_at_once_for_one_cool_down():
    performance = ChannelPerformance(cool_down_s=30.0)
    performance.report(5000.0, success=False, now=10.0)
    assert performance.state(39.9) is CircuitState.OPEN
    assert performance.state(40.0) is CircuitState.HALF_OPEN


def test_half_open_closes_on_a_success_and_opens_again_on_a_failure():
    performance = ChannelPerformance(cool_down_s=30.0)
    performance.report(1.0, success=False, now=0.0)
    performance.record(0.0, success=False, now=31.0)
    assert performance.state(90.9) is CircuitState.OPEN
    performance.record(0.0, success=True, now=91.0)
    assert performance.state(91.0) is CircuitState.CLOSED


def test_each_probe_that_fails_doubles_the_wait_for_the_next_up_to_eightfold_and_a_success_forgets_it():
    performance, now, waits = ChannelPerformance(cool_down_s=30.0), 0.0, []
    performance.report(1.0, success=False, now=now)
    for _ in range(6):
        wait = next(s for s in range(1, 1000) if performance.state(now + s) is CircuitState.HALF_OPEN)
        now += wait
        waits.append(wait)
        performance.record(0.0, success=False, now=now)
    assert waits == [30, 60, 120, 240, 240, 240]
    performance.record(0.0, success=True, now=now + 240)
    performance.report(1.0, success=False, now=now + 241)
    assert performance.state(now + 241 + 30) is CircuitState.HALF_OPEN


def test_probes_of_many_clients_are_spread_over_a_tenth_of_the_cool_down():
    late = ChannelPerformance(cool_down_s=30.0)
    late.report(1.0, success=False, now=0.0, draw=0.9)
    assert late.state(32.6) is CircuitState.OPEN
    assert late.state(32.7) is CircuitState.HALF_OPEN


def test_a_half_open_circuit_lets_one_request_through_at_a_time():
    performance = ChannelPerformance(cool_down_s=30.0)
    performance.report(1.0, success=False, now=0.0)

    def is_usable(now):
        return ChannelView(name="rest", capabilities=Capabilities(), health=performance.health(now)).is_usable

    assert not is_usable(29.0)
    assert is_usable(30.0)
    assert performance.begin_probe(30.0)
    assert not performance.begin_probe(30.0)
    assert not is_usable(30.0)
    performance.end_probe()  # it was cancelled: nothing is known
    assert is_usable(31.0)
    performance.record(1.0, success=True, now=31.0)
    assert not performance.begin_probe(31.0)
    assert is_usable(31.0)


def test_what_began_before_the_circuit_opened_is_no_probe():
    performance = ChannelPerformance(cool_down_s=30.0)
    for _ in range(3):
        performance.record(1.0, success=False, now=1.0)
    performance.record(40_000.0, success=False, now=40.0)  # sent at 0
    assert performance.state(40.0) is CircuitState.HALF_OPEN
    performance.record(40_000.0, success=True, now=41.0)
    assert performance.state(41.0) is CircuitState.HALF_OPEN
    performance.record(100.0, success=True, now=41.0)
    assert performance.state(41.0) is CircuitState.CLOSED


def graded(performance, *outcomes):
    for success in outcomes:
        performance.record(10.0, success=success, now=0.0)
    return performance.health(0.0).grade


def test_the_grade_falls_with_the_share_of_failures_and_comes_back_late():
    performance = ChannelPerformance()
    assert graded(performance, *[True] * 94, False) is Grade.GOOD
    assert graded(performance, *[False, True] * 5) is Grade.DEGRADED
    assert graded(performance, *[False, True] * 25) is Grade.POOR
    seen = [graded(performance, True) for _ in range(100)]
    assert seen == sorted(seen, reverse=True)
    assert {Grade.POOR, Grade.DEGRADED, Grade.GOOD} == set(seen)


def test_a_channel_at_the_edge_of_a_grade_does_not_flap():
    performance = ChannelPerformance()
    graded(performance, *([True] * 19 + [False]) * 5)  # exactly 95 in a hundred
    grades = [graded(performance, *outcomes) for outcomes in [(False,), (True,), *[(False,), *[(True,)] * 19] * 10]]
    changes = sum(one is not other for one, other in itertools.pairwise(grades))
    assert changes <= 1


def test_slow_answers_degrade_a_channel_too():
    performance = ChannelPerformance()
    for _ in range(10):
        performance.record(2500.0, success=True, now=0.0)
    assert performance.health(0.0).grade is Grade.DEGRADED


def test_an_open_circuit_is_out():
    performance = ChannelPerformance()
    performance.report(1.0, success=False, now=0.0)
    assert performance.health(1.0).grade is Grade.OUT
    assert performance.health(30.0).grade is Grade.GOOD


def test_a_success_while_open_does_not_close_the_circuit_early():
    performance = ChannelPerformance(cool_down_s=30.0)
    performance.report(1.0, success=False, now=0.0)
    performance.report(1.0, success=True, now=1.0)
    assert performance.state(2.0) is CircuitState.OPEN


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2.0), (0.99, 4.0), (0.0, 1.0)])
def test_percentiles_are_nearest_rank(share, expected):
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == expected


def test_the_percentile_of_nothing_is_zero():
    assert percentile([], 0.5) == 0.0
