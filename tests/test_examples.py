"""The examples run, as a reader would run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from complaining import complaints

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SAID = {
    "chart_service.py": r"KRW-BTC 5m",
    "download_and_audit.py": r"(?s)\d+ candles in 1440 slots, complete: True.*KRW-ETH: 2\d longer candles, 0 differ",
    "first_candles.py": r"(?s)300 candles of KRW-BTC at sandbox:.*rule: candles-bulk",
    "follow_three_symbols.py": r"updates: KRW-BTC [1-9]\d*, KRW-ETH [1-9]\d*, KRW-XRP [1-9]\d*",
}


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_an_example_runs_to_its_end_and_says_something_sensible(name, tmp_path):
    environment = {**os.environ, "MARKET_BACKBONE_ENV": "development", "MARKET_BACKBONE__LOG__LEVEL": "WARNING"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    assert (done.returncode, complaints(done.stderr)) == (0, [])
    assert re.search(SAID[name], done.stdout)
    assert "MARKET_BACKBONE_ENV=development" in (EXAMPLES / name).read_text()  # it says how to run it
