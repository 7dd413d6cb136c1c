"""The health of a channel: figures of the last 100 outcomes, and a circuit."""

import pytest

from market_backbone.application.health import ChannelPerformance, percentile
from market_backbone.domain.routing import CircuitState


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
    performance.record(1.0, success=False, now=31.0)
    assert performance.state(60.0) is CircuitState.OPEN
    performance.record(1.0, success=True, now=62.0)
    assert performance.state(62.0) is CircuitState.CLOSED


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
