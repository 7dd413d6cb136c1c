"""The forming candle on top of what is held: only where everything that is over is held."""

from datetime import UTC, datetime, timedelta

import pytest

from market_backbone import create_candle_request
from market_backbone.application.cache.reconciliation import tip_page
from market_backbone.application.cache.series_cache import how_much_is_held
from market_backbone.domain.coverage import Coverage
from market_backbone.domain.ledger import Ledger
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe

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


def newest_of(*candles):
    coverage = Coverage(asked=TimeRange(OPEN_SLOT - MINUTE, OPEN_SLOT + MINUTE))
    return CandleSeries.of("sandbox:7", "KRW-BTC", Timeframe.M1, candles, coverage)


def test_a_tip_goes_on_above_what_is_held_and_claims_nothing():
    tip = tip_page(held(100, 0), newest_of(), OPEN_SLOT)
    assert tip.coverage.asked == TimeRange(OPEN_SLOT, OPEN_SLOT + MINUTE)
    assert list(tip.coverage.proven) == []


@pytest.mark.parametrize("ledger", [held(100, 1), Ledger()])
def test_there_is_no_tip_above_a_hole(ledger):
    assert tip_page(ledger, newest_of(), OPEN_SLOT) is None
