"""Who serves the forming tip when both channels can."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.application.routing.rules import picks_first, split
from market_backbone.domain.routing import Grade

GOOD, DEGRADED, POOR, OUT = Grade


@pytest.mark.parametrize(
    ("rest", "socket", "shares"),
    [
        (GOOD, GOOD, (50, 50)),
        (GOOD, DEGRADED, (70, 30)),
        (GOOD, POOR, (80, 20)),
        (GOOD, OUT, (100, 0)),
        (DEGRADED, GOOD, (30, 70)),
        (POOR, GOOD, (20, 80)),
        (OUT, GOOD, (0, 100)),
        (DEGRADED, POOR, (80, 20)),
        (POOR, POOR, (50, 50)),
        (OUT, OUT, (50, 50)),
    ],
)
def test_the_split_follows_the_health_of_both(rest, socket, shares):
    assert split(rest, socket) == shares


@given(st.sampled_from([(50, 50), (70, 30), (80, 20), (100, 0), (0, 100), (20, 80), (30, 70)]), st.integers(0, 500))
def test_after_any_number_of_turns_each_has_had_its_share(shares, turns):
    first = sum(picks_first(shares, turn) for turn in range(turns))
    assert abs(first - turns * shares[0] / 100) <= 0.5


def test_equals_alternate():
    assert [picks_first((50, 50), turn) for turn in range(4)] == [True, False, True, False]


def test_the_weaker_one_never_has_two_turns_in_a_row():
    turns = [picks_first((80, 20), turn) for turn in range(100)]
    assert not any(not one and not other for one, other in itertools.pairwise(turns))
