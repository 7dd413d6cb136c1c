"""The package's face: every public name is there, and importing it loads nothing that only an open API needs."""

import subprocess
import sys

import pytest

import market_backbone

HEAVY = (
    "aiohttp",
    "asyncio",
    "cattrs",
    "dependency_injector",
    "msgspec",
    "numpy",
    "pandas",
    "polars",
    "prometheus_client",
    "pydantic",
    "rich",
    "sqlite3",
    "ssl",
    "structlog",
    "typer",
    "websockets",
    "market_backbone.application",
    "market_backbone.config",
    "market_backbone.infrastructure.sandbox",
)


def run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_the_import_loads_nothing_that_only_an_open_api_needs():
    script = "import sys; before = set(sys.modules); import market_backbone; print(*set(sys.modules) - before)"
    loaded = set(run(script).split())
    assert "market_backbone.domain.series" in loaded
    assert sorted(loaded.intersection(HEAVY)) == []


def test_opening_against_an_exchange_loads_neither_the_sandbox_nor_a_web_server():
    script = """
import asyncio, sys, tempfile
from market_backbone import create_unified_api
urls = {"rest_url": "http://127.0.0.1:1", "websocket_url": "ws://127.0.0.1:1"}
async def main():
    async with create_unified_api("production", {"upbit": urls, "cache.folder": tempfile.mkdtemp()}):
        print(*sys.modules)
asyncio.run(main())
"""
    loaded = set(run(script).split())
    assert "market_backbone.infrastructure.container" in loaded
    unwanted = {"aiohttp.web", "market_backbone.infrastructure.sandbox", "market_backbone.infrastructure.cli", "typer"}
    assert sorted(loaded & unwanted) == []


def test_every_public_name_is_listed_before_it_is_used_and_found_when_it_is():
    script = """
import market_backbone as face
print(*sorted(set(face.__all__) - set(dir(face))))
for name in face.__all__:
    getattr(face, name)
from market_backbone import *
assert UnifiedMarketDataAPI is face.UnifiedMarketDataAPI
"""
    assert run(script).strip() == ""


def test_a_name_that_is_not_there_is_an_attribute_error_as_of_any_module():
    with pytest.raises(AttributeError, match="has no attribute 'UnifiedAPI'"):
        _ = market_backbone.UnifiedAPI
