"""The true time of the server lies inside the interval, whatever the round trips were."""

import math

from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.server_clock import DRIFT, ServerClock

EPOCH_S = 1_773_240_000.0
seconds = st.floats(0.0, 5.0, allow_nan=False)
trips = st.lists(st.tuples(st.floats(0.0, 600.0), seconds, seconds, st.booleans()), min_size=1, max_size=20)


@given(trips, st.floats(-DRIFT, DRIFT), st.floats(-1e6, 1e6), st.floats(0, 3600))
def test_the_true_time_is_never_outside_whatever_the_round_trips_and_the_drift(trips, drift, offset, later):
    def server(at):
        return EPOCH_S + offset + at * (1 + drift)

    clock, now = ServerClock(), 0.0
    for pause, there, back, is_stamped in trips:
        sent = now + pause
        answered, received = sent + there, sent + there + back
        clock = clock.observe(math.floor(server(answered)), sent=sent, received=received)
        if is_stamped:
            clock = clock.witness(server(answered), received=received)
        now = received
        for at in (sent, received, received + later):
            assert clock.earliest(at) - 1e-6 <= server(at) < clock.latest(at) + 1e-6
    assert clock.restarts == 0


@given(trips)
def test_replies_that_overtake_each_other_prove_no_less(trips):
    clock = ServerClock()
    observed = [(pause, pause + there + back, pause + there) for pause, there, back, _ in trips]
    for sent, received, answered in observed:
        clock = clock.observe(math.floor(EPOCH_S + answered), sent=sent, received=received)
        assert clock.earliest(700.0) - 1e-6 <= EPOCH_S + 700.0 < clock.latest(700.0) + 1e-6
    assert clock.restarts == 0


def test_nothing_is_known_before_the_first_reply():
    clock = ServerClock()

    assert clock.earliest(5.0) is None
    assert clock.latest(5.0) is None
    assert clock.witness(EPOCH_S, received=1.0) == clock


def test_proofs_that_contradict_each_other_begin_anew_with_the_newest():
    clock = ServerClock().observe(EPOCH_S, sent=0.0, received=0.1)

    jumped = clock.observe(EPOCH_S + 3600, sent=1.0, received=1.1)

    assert jumped.restarts == 1
    assert jumped.earliest(1.1) == EPOCH_S + 3600
    assert jumped.observe(EPOCH_S, sent=2.0, received=2.1).restarts == 2


@given(st.floats(1.0, 1e18), st.floats(0, 100))
def test_a_stamp_moves_the_lower_bound_inside_the_interval_only(stamp_s, later):
    """One microsecond stamp read as milliseconds would otherwise finalise everything."""
    clock = ServerClock().observe(EPOCH_S, sent=0.0, received=0.2)

    witnessed = clock.witness(stamp_s, received=0.5)

    assert clock.earliest(0.5 + later) <= witnessed.earliest(0.5 + later) < clock.latest(0.5 + later)
    assert witnessed.latest(0.5 + later) <= clock.latest(0.5 + later) + 1e-6


def test_a_stamp_inside_the_interval_sharpens_it():
    clock = ServerClock().observe(EPOCH_S, sent=0.0, received=0.2).witness(EPOCH_S + 0.9, received=0.4)

    assert clock.earliest(0.4) == EPOCH_S + 0.9


def test_the_interval_widens_by_100_ppm_in_both_directions_of_time():
    clock = ServerClock().observe(EPOCH_S, sent=100.0, received=100.0)

    assert clock.latest(1100.0) - clock.earliest(1100.0) > 1.0 + 2 * 1000 * DRIFT - 1e-6
    assert clock.latest(0.0) - clock.earliest(0.0) > 1.0 + 2 * 100 * DRIFT - 1e-6
