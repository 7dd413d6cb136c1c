"""The promises of the port, kept by a folder."""

from datetime import UTC, datetime

import pytest
from market_backbone_files import FilesFirst

from market_backbone.infrastructure.conformance import (
    ChannelUnderTest,
    MarketDataRepositoryContract,
    PolicyUnderTest,
    RoutingPolicyContract,
)


class TestFolderOfCsv(MarketDataRepositoryContract):
    @pytest.fixture
    def subject(self, folder):
        file = folder.write_csv()
        whole = file.read_text(encoding="utf-8")
        return ChannelUnderTest(
            folder.channel(),
            symbol="files:BTC/KRW",
            now=lambda: datetime.now(UTC),
            break_source=lambda: file.write_text("broken", encoding="utf-8"),
            mend_source=lambda: file.write_text(whole, encoding="utf-8"),
        )


class TestFolderWithHoles(MarketDataRepositoryContract):
    """A file whose owner vouches for what lacks."""

    @pytest.fixture
    def subject(self, folder):
        folder.write_csv(minutes=[n for n in range(90) if n % 7])
        return ChannelUnderTest(folder.channel(complete=True), symbol="files:BTC/KRW")


class TestFilesFirst(RoutingPolicyContract):
    @pytest.fixture
    def subject(self):
        return PolicyUnderTest(FilesFirst())
