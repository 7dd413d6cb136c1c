"""How the kit behaves towards its user: what it needs, what it skips, what it says."""

import asyncio
import subprocess
import sys

import pytest
from attrs import evolve
from fake_exchange import FakeExchange

from market_backbone.domain.errors import RateLimitedError
from market_backbone.infrastructure.conformance import (
    BrokenPromiseError,
    CandleStoreContract,
    CaseDoc,
    MarketDataRepositoryContract,
    RoutingPolicyContract,
    case_docs,
)
from market_backbone.infrastructure.conformance.promises import pure_promise, require
from market_backbone.infrastructure.conformance.task_watch import TaskWatch

CONTRACTS = (MarketDataRepositoryContract, CandleStoreContract, RoutingPolicyContract)


WITHOUT_PYTEST = """
import sys
import market_backbone
print("pytest" in sys.modules)
for missing in ("pytest_asyncio", "pytest"):
    sys.modules[missing] = None
    try:
        import market_backbone.infrastructure.conformance
    except ModuleNotFoundError as error:
        print(error)
"""


def test_the_package_does_not_import_pytest_and_without_it_the_kit_names_its_extra():
    done = subprocess.run([sys.executable, "-c", WITHOUT_PYTEST], capture_output=True, text=True, check=True)

    extra = "pip install 'market-backbone[conformance]'"
    told = [f"the conformance kit needs {missing}: {extra}" for missing in ("pytest_asyncio", "pytest")]
    assert done.stdout.splitlines() == ["False", *told]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_trial_is_a_promise_with_a_number(contract):
    trials = [name for name in dir(contract) if name.startswith("test_")]
    numbers = {f"test_{case_doc.number[0].lower()}{case_doc.number[2:]}" for case_doc in case_docs()}
    assert len(trials) >= 12
    assert {name[:8] for name in trials} <= numbers
    assert all(getattr(contract, name).__doc__ for name in trials)


async def test_what_is_not_declared_is_skipped_and_the_reason_names_it():
    exchange = FakeExchange("fake")
    exchange.capabilities = evolve(exchange.capabilities, follows=frozenset())

    with pytest.raises(pytest.skip.Exception, match=r"L-01 needs a kind of data in `capabilities\.follows`"):
        await MarketDataRepositoryContract().test_l01_life_first(exchange.under_test())


async def test_a_failure_names_the_promise_and_says_what_came_instead():
    exchange = FakeExchange("fake")
    exchange.capabilities = evolve(exchange.capabilities, candles_per_call=0)

    with pytest.raises(
        BrokenPromiseError, match=r"R-02: What is declared fits together\n  but .*expected True"
    ) as told:
        await MarketDataRepositoryContract().test_r02_coherent_capabilities(exchange.under_test())
    assert told.value.case_doc.number == "R-02"


async def test_no_trial_waits_longer_than_the_subject_has_patience():
    exchange = FakeExchange("fake")
    exchange.reach = lambda _: asyncio.sleep(60)

    with pytest.raises(BrokenPromiseError, match=r"nothing came of it within 0\.05 s"):
        await MarketDataRepositoryContract().test_r31_ticker(evolve(exchange.under_test(), timeout_s=0.05))


async def test_a_call_that_is_told_to_slow_down_is_made_again():
    answers = [RateLimitedError("slow down", channel="fake"), "answered"]

    async def call():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await FakeExchange("fake").under_test().ask(call) == "answered"


async def test_a_symbol_with_too_short_a_past_is_told_to_the_user():
    exchange = FakeExchange("fake")
    exchange.capabilities = evolve(exchange.capabilities, candles_per_call=5)

    with pytest.raises(BrokenPromiseError, match="KRW-BTC 1m has 5 candles only; name a symbol that has 12"):
        await MarketDataRepositoryContract().test_r13_end(exchange.under_test())


def test_a_contract_whose_fixture_was_not_overridden_says_so(tmp_path, run_pytest):
    classes = (f"class Test{kind.__name__}(kit.{kind.__name__}): pass" for kind in CONTRACTS)
    imported = "from market_backbone.infrastructure import conformance as kit"
    (tmp_path / "test_it.py").write_text("\n".join([imported, *classes]))

    done = run_pytest(tmp_path, "-k", "test_r01 or test_s01 or test_p01")

    assert done.stdout.count("\nE       Failed: override the fixture 'subject': return ") == 3


async def test_tasks_of_others_are_not_counted():
    others = []
    begin = asyncio.Event()

    async def server():
        await begin.wait()
        others.append(asyncio.get_running_loop().create_task(asyncio.sleep(60)))

    async with asyncio.TaskGroup() as group:
        group.create_task(server())
        await asyncio.sleep(0)
        with TaskWatch() as watch:
            begin.set()
            own = asyncio.get_running_loop().create_task(asyncio.sleep(0))
            await asyncio.sleep(0.01)
            left = await watch.left()
    others[0].cancel()
    assert (left, own.done()) == ([], True)


def test_a_promise_that_is_not_written_as_one_is_refused():
    with pytest.raises(ValueError, match="a promise is written as"):
        CaseDoc.read("Pages are small.", ())


def test_two_promises_cannot_have_one_number():
    def trial(self, under_test):
        """P-01: Another.

        Do: nothing.
        Pass: always.
        """
        require(under_test, "nothing is tested")

    with pytest.raises(ValueError, match="two promises have the number P-01"):
        pure_promise()(trial)
