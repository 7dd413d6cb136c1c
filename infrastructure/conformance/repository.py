"""The contract of a channel: a source of market data, live or not."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, suppress

import pytest
import pytest_asyncio

from .bounds import BoundPromises
from .coverage import AgreementPromises, CoveragePromises
from .identity import IdentityPromises
from .lifecycle import LifecyclePromises
from .live import LivePromises
from .quotes import QuotePromises
from .refusals import RefusalPromises
from .rows import RowPromises
from .targets import ChannelUnderTest, opened


@pytest.mark.asyncio
class MarketDataRepositoryContract(
    IdentityPromises,
    RowPromises,
    BoundPromises,
    CoveragePromises,
    AgreementPromises,
    QuotePromises,
    RefusalPromises,
    LifecyclePromises,
    LivePromises,
):
    """The promises R-01 to R-49, and L-01 to L-08 for channels that can be followed.

    Override ``subject``.
    """

    @pytest.fixture
    def subject(self) -> ChannelUnderTest | AbstractAsyncContextManager[ChannelUnderTest]:
        """Return the channel to test, or an async context manager that yields it; the contract closes it."""
        pytest.fail("override the fixture 'subject': return ChannelUnderTest(YourChannel(...), symbol=...)")

    @pytest_asyncio.fixture
    async def under_test(
        self, subject: ChannelUnderTest | AbstractAsyncContextManager[ChannelUnderTest]
    ) -> AsyncGenerator[ChannelUnderTest]:
        """Open what ``subject`` returned, and close it after the test."""
        async with opened(subject) as under_test:
            yield under_test
            with suppress(Exception):  # a promise of its own tells of a close that fails
                await under_test.channel.close()
