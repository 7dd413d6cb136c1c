"""The promises of the port, kept by ccxt's ``upbit`` at the sandbox."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from conftest import BTC, context_of
from market_backbone_ccxt import ccxt_channel, ccxt_pro_channel

from market_backbone.infrastructure.conformance import ChannelUnderTest, MarketDataRepositoryContract
from market_backbone.infrastructure.sandbox import Fault, Sandbox, SandboxConfig


@asynccontextmanager
async def at_a_sandbox(make, name):
    async with Sandbox(SandboxConfig(speed=1.0)) as sandbox:
        yield ChannelUnderTest(
            make(context_of(name, sandbox)),
            symbol=BTC,
            second_symbol="upbit:ETH/KRW",
            now=lambda: datetime.now(UTC),
            listen_s=0.3,
            break_source=lambda: break_(sandbox),
            mend_source=sandbox.clear_faults,
        )


def break_(sandbox):
    sandbox.inject(Fault("rest-status", status=500))
    sandbox.inject(Fault("refuse-upgrades"))
    sandbox.inject(Fault("drop-sockets"))


class TestCcxt(MarketDataRepositoryContract):
    @pytest.fixture
    def subject(self):
        return at_a_sandbox(ccxt_channel, "ccxt")


class TestCcxtPro(MarketDataRepositoryContract):
    @pytest.fixture
    def subject(self):
        return at_a_sandbox(ccxt_pro_channel, "ccxt-pro")
