"""Two adapters from outside: installed beside our wheel into an environment of their own, and used like ours."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from environments import LEFTOVERS, ROOT, make_environment

from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(600)]

CCXT, FILES = "market-backbone-ccxt", "market-backbone-files"
SUITES = {
    "ccxt's promises": (CCXT, "tests/test_conformance.py", "-k", "not Pro"),
    "ccxt.pro's promises": (CCXT, "tests/test_conformance.py", "-k", "Pro"),
    "ccxt's own": (CCXT, "tests", "--ignore", "tests/test_conformance.py"),
    "files": (FILES, "tests"),
}
WITHOUT_CCXT = {"MARKET_BACKBONE__PLUGINS__ADAPTERS": "rest,cache,files"}
"""For commands that need it not: its import takes longer than everything else that they do."""


@pytest.fixture(scope="module")
def outside(wheel, tmp_path_factory):
    """A folder with copies of the examples, and an interpreter that has them and our wheel installed."""
    folder = tmp_path_factory.mktemp("outside")
    for name in (CCXT, FILES):
        shutil.copytree(ROOT / "examples" / name, folder / name, ignore=LEFTOVERS)
    wanted = [f"{wheel}[conformance]", f"{folder / CCXT}[test]", f"{folder / FILES}[test]"]
    return folder, make_environment(folder / "venv", *wanted)


def environment(**variables):
    """The variables of a user who has nothing set, and asks nobody but this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MARKET_BACKBONE", "PYTHON"))}
    return {**kept, "MARKET_BACKBONE_ENV": "test", **variables}


def test_the_tests_of_both_pass_where_only_the_wheel_is_known(outside):
    """All at once, because they mostly wait."""
    folder, python = outside
    command = (python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib")
    running = {
        suite: subprocess.Popen(
            [*command, "-o", "pythonpath=tests", *words],
            cwd=folder / name,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for suite, (name, *words) in SUITES.items()
    }
    said = {suite: process.communicate()[0] for suite, process in running.items()}
    failed = [said[suite][-4000:] for suite, process in running.items() if process.returncode]
    assert not failed, "\n".join(failed)
    assert all(re.search(r"\d\d passed", text) for text in said.values()), said


@pytest.fixture(scope="module")
def candle_folder(tmp_path_factory):
    """A file as freqtrade's users have it."""
    folder = tmp_path_factory.mktemp("candles")
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [f"{begin + n * timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ},1,2,1,{n}.5,3" for n in range(1, 11)]
    (folder / "BTC_KRW-1m.csv").write_text(
        "\n".join(["date,open,high,low,close,volume", *rows]).replace(",1,2,1,", ",1,99,1,")
    )
    return folder


@pytest.fixture
async def command(outside, candle_folder):
    """Run ``market-backbone`` of the fresh environment; answers (exit code, stdout, stderr)."""
    folder, python = outside
    program = python.with_name("market-backbone.exe" if sys.platform == "win32" else "market-backbone")
    async with Sandbox(SandboxConfig(speed=1.0)) as sandbox:
        variables = environment(
            MARKET_BACKBONE__UPBIT__REST_URL=sandbox.rest_url,
            MARKET_BACKBONE__CACHE__STORE="memory",
            MARKET_BACKBONE__PLUGINS__OPTIONS__CCXT__EXCHANGE="upbit",
            MARKET_BACKBONE__PLUGINS__OPTIONS__CCXT__URL=sandbox.rest_url,
            MARKET_BACKBONE__PLUGINS__OPTIONS__FILES__FOLDER=str(candle_folder),
        )

        async def call(*words, **more):
            process = await asyncio.create_subprocess_exec(
                program, *words, env={**variables, **more}, cwd=folder,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, err = await process.communicate()
            return process.returncode, out.decode(), err.decode()

        yield call


async def test_they_are_listed_beside_ours(command):
    code, out, _ = await command("adapters")
    assert code == 0, out
    for row in (
        r"ccxt +│ custom:127",
        r"ccxt-pro +│ custom:127",
        r"files +│ files +│ files:",
        r"rest +│ custom.* plain",
    ):
        assert re.search(row, out), out


async def test_a_bad_option_is_a_problem_of_that_adapter_and_of_no_other(command):
    code, out, _ = await command("adapters", MARKET_BACKBONE__PLUGINS__OPTIONS__FILES__FOLDER="nowhere", **WITHOUT_CCXT)
    assert code == 1
    assert "problem: files (market-backbone-files 0.1.0): its options are wrong: plugins.options.files.folder" in out
    assert "rest" in out


async def test_a_prefix_chooses_the_channel(command):
    code, out, err = await command("candles", "files:BTC/KRW", "1m", "--count", "5", "--json", **WITHOUT_CCXT)
    assert (code, len(out.splitlines()) > 4) == (0, True), err
    assert "*** files: another venue's data, not Upbit ***" in err
    code, out, err = await command("markets", "--prefix", "files", "--json", **WITHOUT_CCXT)
    assert (code, '"files:BTC/KRW"' in out) == (0, True), err
    code, out, err = await command("candles", "upbit:BTC/KRW", "1m", "--count", "5", "--json")
    assert code == 0, err
    assert '"venue":"custom:127.0.0.1' in out.replace(" ", "")


async def test_a_policy_chooses_the_channel_and_explain_says_so(command):
    plain = {**WITHOUT_CCXT, "MARKET_BACKBONE__PLUGINS__OPTIONS__FILES__PREFIX": ""}
    code, out, err = await command("explain", "KRW-BTC", "1m", "--count", "5", "--policy", "files-first", **plain)
    assert code == 0, err
    assert re.search(r"rule: files-first.*\n.*\n +1\. +files", out), out
    chosen = {**plain, "MARKET_BACKBONE__ROUTING__POLICY": "files-first"}
    code, out, err = await command("candles", "KRW-BTC", "1m", "--count", "5", "--json", **chosen)
    assert (code, '"source":"files"' in out.replace(" ", "")) == (0, True), err


async def test_a_venue_that_is_not_installed_is_refused_with_those_that_are(command):
    code, _, err = await command("candles", "kraken:BTC/USD", "1m")
    assert code == 2
    assert "symbols that begin with files:, symbols that begin with upbit:" in err
