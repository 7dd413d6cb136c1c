"""Stores to test, and the pages that the tests and their child processes write."""

import importlib.util
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from market_backbone.infrastructure.candle_store import MemoryCandleStore, SqliteCandleStore

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def pages():
    """The module beside this file, which child processes import as well."""
    spec = importlib.util.spec_from_file_location("candle_pages", HERE / "candle_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def page_writer():
    """The command that starts a process which writes pages."""
    return [sys.executable, str(HERE / "page_writer.py")]


@pytest.fixture
def told():
    """What a store has reported: pairs of an event and a sentence."""
    return []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "candles.sqlite"


@pytest.fixture
def opened(path, told):
    """Open a store on the file, as often as a test likes: ``async with opened() as store``."""

    @asynccontextmanager
    async def open_store():
        store = SqliteCandleStore(path, report=lambda event, text: told.append((event, text)))
        try:
            yield store
        finally:
            await store.close()

    return open_store


@pytest.fixture(params=["sqlite", "memory"])
async def store(request, path, told):
    """Each adapter of the port in turn."""
    store = (
        MemoryCandleStore()
        if request.param == "memory"
        else SqliteCandleStore(path, report=lambda event, text: told.append((event, text)))
    )
    yield store
    await store.close()
    assert told == []
