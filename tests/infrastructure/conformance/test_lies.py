"""The kit itself is tested: each promise is broken on purpose, and the trial of that promise notices."""

from pathlib import Path
from xml.etree import ElementTree as ET

import lying_candles
import lying_holders
import lying_lifecycle
import pytest

from market_backbone.infrastructure.conformance import (
    CandleStoreContract,
    MarketDataRepositoryContract,
    RoutingPolicyContract,
    case_docs,
)

HERE = Path(__file__).parent
DOUBLES = HERE.parents[1] / "doubles"
LIES = (*lying_candles.LIES, *lying_lifecycle.LIES, *lying_holders.LIES)
CONTRACTS = (MarketDataRepositoryContract, CandleStoreContract, RoutingPolicyContract)


def trial_of(number):
    """The test that tries a promise."""
    begin = f"test_{number[0].lower()}{number[2:]}_"
    (found,) = {name for contract in CONTRACTS for name in dir(contract) if name.startswith(begin)}
    return found


def what_is_said_of(lies, report, run_pytest):
    """Let the kit try the promise that each lie breaks; return the first line of each failure, by the lie's name."""
    nodes = [f"{HERE / 'lies.py'}::Test{lie.__name__}::{trial_of(lie.breaks)}" for lie in lies]
    done = run_pytest(HERE, "-o", f"pythonpath={DOUBLES}", "--tb=line", f"--junitxml={report}", *nodes)
    assert done.returncode == 1, done.stdout + done.stderr
    said = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        failure = case.find("failure")
        message = "nothing" if failure is None else failure.get("message").splitlines()[0]
        said[case.get("classname").rsplit(".Test", 1)[1]] = message.split(" [+")[0]
    return said


@pytest.mark.timeout(120)
def test_each_lie_is_caught_by_the_promise_that_it_breaks(tmp_path, run_pytest):
    texts = {case_doc.number: str(case_doc) for case_doc in case_docs()}
    error = "market_backbone.infrastructure.conformance.promises.BrokenPromiseError"

    said = what_is_said_of(LIES, tmp_path / "report.xml", run_pytest)

    assert said == {lie.__name__: f"{error}: {texts[lie.breaks]}" for lie in LIES}


def test_every_promise_has_a_lie_that_it_catches():
    assert {case_doc.number for case_doc in case_docs()} == {lie.breaks for lie in LIES}
