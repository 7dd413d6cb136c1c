"""The forming candle on top of what is held: only where everything that is over is held."""

from datetime import UTC, datetime, timedelta

import pytest

from market_backbone.application.cache.reconciliation import tip_page
from market_backbone.domain.coverage import Coverage
from market_backbone.domain.ledger import Ledger
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe

OPEN_SLOT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


MINUTE = timedelta(minutes=1)


def held(start, end):
    """A ledger that knows from so many to so many minutes before the open slot."""
    return Ledger(proven=(TimeRange(OPEN_SLOT - start * MINUTE, OPEN_SLOT - end * MINUTE),))


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
