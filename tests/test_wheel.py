import json
from pathlib import Path

import pytest
from environments import make_environment, run

DESCRIBE = """
import importlib.metadata, json
installed = importlib.metadata.distribution("market-backbone")
print(json.dumps({
    "files": [str(path) for path in installed.files],
    "entry_points": sorted(f"{point.group}: {point.name}" for point in installed.entry_points),
}))
"""

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    return make_environment(tmp_path_factory.mktemp("fresh") / "venv", wheel)


@pytest.fixture(scope="module")
def installed(python, tmp_path_factory):
    return json.loads(run(str(python), "-c", DESCRIBE, cwd=tmp_path_factory.mktemp("empty")))


def test_only_market_backbone_lands_in_site_packages(installed):
    tops = {Path(name).parts[0] for name in installed["files"]} - {".."}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"market_backbone"}


@pytest.mark.parametrize(
    "name",
    [
        "__init__.py",
        "py.typed",
        "application/__init__.py",
        "config/default.toml",
        "config/development.toml",
        "config/production.toml",
        "config/test.toml",
        "domain/errors.py",
        "infrastructure/candle_store/sqlite.py",
        "infrastructure/conformance/__init__.py",
        "infrastructure/upbit/__init__.py",
    ],
)
def test_what_the_package_needs_is_included(installed, name):
    assert f"market_backbone/{name}" in installed["files"]


def test_nothing_of_the_workshop_is_included(installed):
    seconds = {Path(name).parts[1] for name in installed["files"] if name.startswith("market_backbone/")}

    assert seconds.isdisjoint(
        {"tests", "features", "examples", "benchmarks", "docs", ".ci", "setup.py", "pyproject.toml", "Makefile"}
    )


@pytest.mark.parametrize(
    "point",
    [
        "console_scripts: market-backbone",
        "market_backbone.adapters: cache",
        "market_backbone.adapters: rest",
        "market_backbone.adapters: websocket",
        "market_backbone.policies: smart",
    ],
)
def test_entry_points_are_declared(installed, point):
    assert point in installed["entry_points"]


def test_the_command_is_installed(python):
    assert any(python.parent.glob("market-backbone*"))


def test_it_imports_from_an_empty_folder(python, tmp_path):
    assert run(str(python), "-c", "import market_backbone; print(market_backbone.__name__)", cwd=tmp_path) == (
        "market_backbone\n"
    )
