"""Pauses grow up to a bound, and jitter only ever makes them shorter."""

from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.backoff import Backoff

SECONDS = st.floats(0.01, 1000)


@given(SECONDS, SECONDS, st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_a_pause_lies_between_nothing_and_the_longest(first, more, attempt, jitter, draw):
    backoff = Backoff(first_s=first, longest_s=first + more, jitter=jitter)
    whole, drawn = backoff.delay_s(attempt), backoff.delay_s(attempt, draw)
    assert first <= whole <= first + more
    assert whole * (1 - jitter) - 1e-9 <= drawn <= whole
    assert backoff.delay_s(attempt + 1) >= whole


def test_each_pause_is_twice_the_one_before_until_the_longest():
    backoff = Backoff(first_s=1.0, longest_s=30.0)
    assert [backoff.delay_s(attempt) for attempt in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_many_clients_do_not_come_back_at_one_instant():
    backoff = Backoff(first_s=2.0, longest_s=60.0, jitter=0.5)
    assert (backoff.delay_s(1, 0.0), backoff.delay_s(1, 0.5), backoff.delay_s(1)) == (2.0, 3.0, 4.0)
