"""Fixtures that every part of the suite may use: a real sandbox on loopback, and an API that talks to it."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from market_backbone import create_unified_api
from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "recorded"


@pytest.fixture(autouse=True)
def no_environment_of_this_machine(monkeypatch, tmp_path):
    """Keep the settings of whoever runs the tests out of them, and every test away from the exchange."""
    monkeypatch.setenv("MARKET_BACKBONE_ENV", "test")
    monkeypatch.delenv("MARKET_BACKBONE_CONFIG", raising=False)
    monkeypatch.setenv("MARKET_BACKBONE__CACHE__FOLDER", str(tmp_path / "cache"))


@pytest.fixture
def recorded():
    """The folder of real captures; tests that need it are skipped where it is absent."""
    if not RECORDED.is_dir():
        pytest.skip(f"real captures are not part of the project; none found at {RECORDED}")
    return RECORDED


@pytest.fixture
def open_market():
    """Open a sandbox and an API that talks to it: ``async with open_market(speed=…) as (sandbox, api)``."""

    @asynccontextmanager
    async def opened(*, policy=None, settings=None, **config):
        async with Sandbox(SandboxConfig(**{"speed": 20.0, **config})) as sandbox:
            addresses = {"upbit.rest_url": sandbox.rest_url, "upbit.websocket_url": sandbox.websocket_url}
            quiet = {"log.level": "ERROR"}
            async with create_unified_api("test", {**addresses, **quiet, **(settings or {})}, policy) as api:
                yield sandbox, api

    return opened
