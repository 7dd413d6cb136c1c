"""Entry points of strangers: what the settings do not allow is not even imported."""

import os
import subprocess
import sys

import pytest

WORD = "I WAS IMPORTED"
POINTS = """
[market_backbone.adapters]
uninvited = uninvited_plugin:make_channel

[market_backbone.policies]
uninvited = uninvited_plugin:Policy
"""


@pytest.fixture
def installed(tmp_path):
    """A package on the path, with an adapter and a policy, that tells when it is imported."""
    (tmp_path / "uninvited_plugin.py").write_text(f"import sys\nsys.stderr.write({WORD!r})\n")
    about = tmp_path / "uninvited_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: uninvited-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)
    return tmp_path


@pytest.fixture
def command(installed):
    """Run a command of ours beside that package."""

    def run(*words, **settings):
        environ = os.environ | {"PYTHONPATH": str(installed)} | settings
        line = [sys.executable, "-m", "market_backbone", *words]
        return subprocess.run(line, env=environ, capture_output=True, text=True, timeout=50, check=False)

    return run


ALLOWED = {
    "MARKET_BACKBONE__PLUGINS__ADAPTERS": "rest,websocket,cache",
    "MARKET_BACKBONE__PLUGINS__POLICIES": "smart",
}


@pytest.mark.parametrize("words", [("adapters",), ("explain", "KRW-BTC", "1m")])
def test_what_the_settings_do_not_allow_is_never_imported(command, words):
    ran = command(*words, **ALLOWED)

    assert ran.returncode == 0, ran.stderr
    assert WORD not in ran.stderr


def test_what_they_allow_is_imported_and_reported_when_it_fails(command):
    ran = command("adapters")

    assert WORD in ran.stderr
    assert "problem: uninvited" in ran.stdout
