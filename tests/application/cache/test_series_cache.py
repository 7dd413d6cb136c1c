"""How much of a request is held: what a plan is made from."""

from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import create_candle_request
from market_backbone.application.cache.series_cache import how_much_is_held
from market_backbone.domain.ledger import Ledger
from market_backbone.domain.time_range import TimeRange

OPEN_SLOT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


NOW = OPEN_SLOT + timedelta(seconds=20)


MINUTE = timedelta(minutes=1)


def held(start, end):
    """A ledger that knows from so many to so many minutes before the open slot."""
    return Ledger(proven=(TimeRange(OPEN_SLOT - start * MINUTE, OPEN_SLOT - end * MINUTE),))


def question(**options):
    return create_candle_request("KRW-BTC", "1m", **options)


@pytest.mark.parametrize(
    ("ledger", "asked", "lacks_only_tip"),
    [
        (held(100, 0), {"count": 30}, True),
        (held(100, 0), {"count": 1}, True),
        (held(100, 1), {"count": 30}, False),  # a minute that is over is not held
        (held(100, 1), {"count": 1}, False),
        (held(10, 0), {"count": 30}, False),  # it reaches behind what is held
        (held(100, 0), {"count": 30, "end": OPEN_SLOT}, False),  # the open slot is not wanted
        (held(100, 0), {"count": 30, "closed_only": True}, False),
        (held(100, 0), {"count": 30, "final_only": True}, False),
        (Ledger(), {"count": 30}, False),
    ],
)
def test_only_the_tip_is_lacking_where_all_that_is_over_is_held(ledger, asked, lacks_only_tip):
    assert how_much_is_held(question(**asked), ledger, NOW).lacks_only_tip is lacks_only_tip


def test_nothing_is_known_of_the_tip_before_the_venues_clock_is():
    assert not how_much_is_held(question(count=30), held(100, 0), None).lacks_only_tip
