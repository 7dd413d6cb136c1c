"""Pytest as a stranger runs it: in a process of its own, with pytest-asyncio and nothing that is configured."""

import os
import subprocess
import sys

import pytest

WITHOUT_CONFIGURATION = ("-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin")
QUIET = ("-q", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")
"""pytest-asyncio warns of this setting when nobody has chosen it."""


@pytest.fixture
def run_pytest():
    def ran(folder, *arguments):
        command = [sys.executable, "-m", "pytest", *WITHOUT_CONFIGURATION, *QUIET, *arguments]
        bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # too slow measured
        environment = {**bare, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
        )

    return ran
