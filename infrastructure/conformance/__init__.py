"""The promises of the ports as tests: what an adapter, a store or a policy of anybody's must keep.

Subclass a contract and override one fixture::

    class TestMySource(MarketDataRepositoryContract):
        @pytest.fixture
        def subject(self):
            return ChannelUnderTest(MySource("mine"), symbol="KRW-BTC")

Every promise has a number and a text, which a failure names; ``docs/adapters.md`` has a card for each.
What a subject does not declare is skipped, and the reason names it.
"""

try:
    import pytest
    import pytest_asyncio
except ModuleNotFoundError as error:
    msg = f"the conformance kit needs {error.name}: pip install 'market-backbone[conformance]'"
    raise ModuleNotFoundError(msg, name=error.name) from error

from .policy import RoutingPolicyContract
from .promises import BrokenPromiseError, CaseDoc, case_docs
from .repository import MarketDataRepositoryContract
from .store import CandleStoreContract
from .targets import ChannelUnderTest, PolicyUnderTest, StoreUnderTest

__all__ = [
    "BrokenPromiseError",
    "CandleStoreContract",
    "CaseDoc",
    "ChannelUnderTest",
    "MarketDataRepositoryContract",
    "PolicyUnderTest",
    "RoutingPolicyContract",
    "StoreUnderTest",
    "case_docs",
]

del pytest, pytest_asyncio
