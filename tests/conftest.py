"""Fixtures that every part of the suite may use: a real sandbox on loopback, and an API that talks to it."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from environments import build_wheel
from kit import Kit
from scenes import Scene

from market_backbone import create_unified_api
from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig

ROOT = Path(__file__).resolve().parents[1]
DETERMINISTIC = {ROOT / "tests" / folder for folder in ("domain", "simulation")}
RERUNS = 2
RECORDED = ROOT.parent / "shared" / "recorded"


class PlainRoot:
    """Have pytest see a plain folder in the repository root.

    The root is the package ``market_backbone``. Left alone, pytest imports its ``__init__.py`` once more under the
    folder's own name: a second copy of every module, which a parallel worker's coverage takes for somebody else's
    files, so that it measures neither copy.
    """

    @staticmethod
    def pytest_collect_directory(path, parent):
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None

    @staticmethod
    def pytest_collection_modifyitems(config, items):
        """Run a test of real sockets, processes and seconds again where it fails: a busy machine may stand still.

        What is pure or runs in virtual time gets one chance; so does every promise, in ``tests/simulation``.
        """
        for item in items if config.pluginmanager.hasplugin("rerunfailures") else ():
            if not DETERMINISTIC.intersection(item.path.parents):
                item.add_marker(pytest.mark.flaky(reruns=RERUNS))


def pytest_configure(config):
    if not config.pluginmanager.has_plugin("plain-root"):  # features/ register the same
        config.pluginmanager.register(PlainRoot(), "plain-root")


@pytest.fixture(autouse=True)
def no_environment_of_this_machine(monkeypatch, tmp_path):
    """Keep the settings of whoever runs the tests out of them, and every test away from the exchange."""
    monkeypatch.setenv("MARKET_BACKBONE_ENV", "test")
    monkeypatch.delenv("MARKET_BACKBONE_CONFIG", raising=False)
    monkeypatch.setenv("MARKET_BACKBONE__CACHE__FOLDER", str(tmp_path.with_name(f"{tmp_path.name}-cache")))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel of this checkout; it takes a few seconds, so only tests of the mark ``wheel`` may ask for it."""
    return build_wheel(tmp_path_factory.mktemp("built"))


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


@pytest.fixture(scope="session")
def kit():
    """Doubles and makers."""
    return Kit


@pytest.fixture
async def make_scene(kit):
    scenes = []

    def make(kind, **rest):
        scenes.append(Scene(kit, kind, **rest))
        return scenes[-1]

    yield make
    for scene in scenes:
        await scene.tasks.close()


@pytest.fixture
async def market(open_market):
    async with open_market() as opened:
        yield opened


@pytest.fixture
def sandbox(market):
    return market[0]


@pytest.fixture
def api(market):
    return market[1]
