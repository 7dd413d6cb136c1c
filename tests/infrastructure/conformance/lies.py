"""Every lie as a subject of its contract; collected only by the test that expects each of them to be caught."""

import lying_candles
import lying_holders
import lying_lifecycle
import pytest
from attrs import evolve

from market_backbone.infrastructure.conformance import (
    CandleStoreContract,
    MarketDataRepositoryContract,
    RoutingPolicyContract,
)

CONTRACTS = {
    "R": MarketDataRepositoryContract,
    "L": MarketDataRepositoryContract,
    "S": CandleStoreContract,
    "P": RoutingPolicyContract,
}


def subject_of(lie):
    @pytest.fixture
    def subject(_):
        under_test = lie("fake").under_test() if lie.breaks[0] in "RL" else lie.under_test()
        return evolve(under_test, timeout_s=0.6)

    return subject


for lie in (*lying_candles.LIES, *lying_lifecycle.LIES, *lying_holders.LIES):
    name = f"Test{lie.__name__}"
    globals()[name] = type(name, (CONTRACTS[lie.breaks[0]],), {"subject": subject_of(lie)})
del name, lie
