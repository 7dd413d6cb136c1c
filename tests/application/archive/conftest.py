"""A market that began in the middle of November."""

from datetime import UTC, datetime

import pytest

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def open_past(open_market):
    return lambda **more: open_market(starts_at=START, **{"speed": 100.0, **more})
