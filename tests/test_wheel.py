import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEFTOVERS = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)

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
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(ROOT, source, ignore=LEFTOVERS)
    target = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(target), str(source))
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=True)
    interpreter = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    run(str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    return interpreter


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
        "infrastructure/cache/sqlite.py",
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


def run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
