"""One budget for the processes of a machine: a small file, which may fail."""

import asyncio
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
from rate_models import LIMITS, JumpingClock

from market_backbone.infrastructure.budget import AddressBudget, MachineLedger, RateBudget
from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig

CALLER = Path(__file__).with_name("caller.py")


async def refusals_of_two_processes(sandbox, calls, shared, folder):
    """Let two processes call at once; return how many refusals each of them has counted."""
    callers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, str(CALLER), sandbox.rest_url, str(calls), shared, str(folder)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for caller in callers:
        assert await caller.stdout.readline() == b"READY\n"
    said = [await asyncio.gather(*(caller.communicate(b"\n") for caller in callers))][0]
    assert [complaint for _, complaint in said] == [b"", b""]
    return [int(text.split()[-1]) for text, _ in said]


async def test_two_processes_that_share_never_earn_a_refusal_together(tmp_path):
    async with Sandbox(SandboxConfig(speed=4.0)) as sandbox:
        assert await refusals_of_two_processes(sandbox, 12, "machine", tmp_path) == [0, 0]
        assert sandbox.counters.requests["ticker"] == 24


async def test_two_processes_that_do_not_share_do_earn_refusals(tmp_path):
    """So that the test above can fail.

    A second of this sandbox is long, so that both fall into the same one, be the machine busy or not; every
    other pair may still be parted by its end, or one of the two be late.
    """
    async with Sandbox(SandboxConfig(speed=0.25)) as sandbox:
        for _ in range(3):
            if refused := sum(await refusals_of_two_processes(sandbox, 10, "process", tmp_path)):
                break

        assert refused == sandbox.counters.refusals > 0


class Watch:
    """A clock that goes when told to."""

    def __init__(self):
        self.at = 1000.0

    def __call__(self):
        return self.at


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def told():
    return []


@pytest.fixture
def ledger(tmp_path, watch, told):
    """Make ledgers of one file, as processes would."""
    return lambda: MachineLedger(
        tmp_path / "sub" / "budget.sqlite3", "somewhere:443", lambda *said: told.append(said), watch
    )


async def test_what_one_process_takes_the_other_does_not_have(ledger, watch):
    ours, theirs = ledger(), ledger()
    first = await ours.claim("candles", 1, 1.0, 0.02)
    waiting = await theirs.claim("candles", 1, 1.0, 0.02)
    ours.settle(first.row, 1000.0)
    await ours.claim("ticker", 1, 1.0, 0.02)
    late = await theirs.claim("candles", 1, 1.0, 0.3)
    watch.at = 1001.31

    assert first.is_granted
    assert not waiting.is_granted
    assert waiting.again_at == pytest.approx(1000.02), "it may be written at any time: ask again soon"
    assert late.again_at == pytest.approx(1001.3), "the larger J of both counts"
    assert (await theirs.claim("candles", 1, 1.0, 0.3)).is_granted


async def test_a_place_of_a_process_that_died_is_free_after_a_while(ledger, watch):
    await ledger().claim("candles", 1, 1.0, 0.02)
    watch.at += 20.1

    assert (await ledger().claim("candles", 1, 1.0, 0.02)).is_granted


async def test_after_the_machine_was_restarted_nothing_counts_that_lies_ahead(ledger, watch):
    ours = ledger()
    claim = await ours.claim("candles", 1, 1.0, 0.02)
    ours.settle(claim.row, 1000.0)
    ours.block("*", 2000.0)
    await ours.claim("candles", 1, 1.0, 0.02)
    watch.at = 5.0

    assert (await ledger().claim("candles", 1, 1.0, 0.02)).is_granted


async def test_a_block_stops_every_process_until_it_ends(ledger, watch):
    ledger().block("*", 1060.0)
    await asyncio.sleep(0.05)
    refused = await ledger().claim("candles", 10, 1.0, 0.02)
    watch.at = 1060.1

    assert (refused.is_granted, refused.again_at, refused.stops_all) == (False, 1060.0, True)
    assert (await ledger().claim("candles", 10, 1.0, 0.02)).is_granted


async def test_a_claim_that_is_cancelled_while_the_file_is_written_leaves_no_place_taken(tmp_path):
    writing, goes_on = threading.Event(), threading.Event()

    def now():
        writing.set()
        goes_on.wait(10)
        return 1000.0

    ours = MachineLedger(tmp_path / "budget.sqlite3", "somewhere:443", lambda *_: None, now)
    claiming = asyncio.ensure_future(ours.claim("candles", 1, 1.0, 0.02))
    await asyncio.to_thread(writing.wait, 10)
    claiming.cancel()
    await asyncio.wait([claiming])
    goes_on.set()

    assert claiming.cancelled()
    assert (await ours.claim("candles", 1, 1.0, 0.02)).is_granted


@pytest.mark.parametrize("fault", ["damaged", "a folder"])
async def test_a_file_that_cannot_be_used_is_told_once_and_this_process_goes_on_alone(ledger, told, tmp_path, fault):
    path = tmp_path / "sub" / "budget.sqlite3"
    if fault == "damaged":
        path.parent.mkdir()
        path.write_bytes(b"this is no database" * 1000)
    else:
        path.mkdir(parents=True)
    ours = ledger()

    claims = [await ours.claim("candles", 1, 1.0, 0.02) for _ in range(3)]
    ours.settle(1, 1000.0)
    ours.block("*", 2000.0)

    assert all(claim.is_granted for claim in claims)
    assert [event for event, _ in told] == ["budget_not_shared"]
    assert "delete the file" in told[0][1]


async def test_a_file_that_fails_while_it_is_written_to_is_told_as_well(ledger, told, tmp_path):
    ours = ledger()
    claim = await ours.claim("candles", 1, 1.0, 0.02)
    (tmp_path / "sub" / "budget.sqlite3").write_bytes(b"this is no database" * 1000)
    ours.settle(claim.row, 1000.0)
    ours._thread.shutdown(wait=True)

    assert [event for event, _ in told] == ["budget_not_shared"]


class RealClock(JumpingClock):
    """Real time at speed 1, on the running loop."""


class CountingLedger(MachineLedger):
    """Remembers how often it was asked."""

    asked = 0

    async def claim(self, *wanted):
        CountingLedger.asked += 1
        return await super().claim(*wanted)


async def test_a_place_that_the_file_refuses_is_given_back_and_asked_for_again(tmp_path):
    """Another process has blocked the group; our place is free meanwhile, and the block is ours as well."""
    clock = RealClock()
    address = AddressBudget(ledger=CountingLedger(tmp_path / "b.sqlite3", "x:1", lambda *_: None))
    budget = RateBudget(LIMITS, clock, address)
    other = MachineLedger(tmp_path / "b.sqlite3", "x:1", lambda *_: None)
    other.block("candles", other.now() + 0.3)
    other.block("*", other.now() + 0.1)
    other._thread.shutdown(wait=True)
    began = address.now()

    async with budget.acquire("candles") as permit:
        assert address.now() - began >= 0.25
        assert CountingLedger.asked <= 4, "it waits for what the file said"
        permit.written()
        permit.answered()
    budget.pause("candles")
    budget.stop_all(0.2)
    address.ledger._thread.shutdown(wait=True)

    with sqlite3.connect(tmp_path / "b.sqlite3") as connection:
        sends = connection.execute("SELECT count(*), count(sent_at) FROM sends").fetchone()
        blocks = connection.execute("SELECT place FROM blocks ORDER BY place").fetchall()
    connection.close()
    assert sends == (1, 1)
    assert blocks == [("x:1 *",), ("x:1 candles",)]


async def test_cancelling_while_the_file_is_asked_gives_the_place_back(tmp_path):
    address = AddressBudget(ledger=MachineLedger(tmp_path / "b.sqlite3", "x:1", lambda *_: None))
    budget = RateBudget(LIMITS, RealClock(), address)

    async def go():
        async with budget.acquire("candles") as permit:
            permit.written()
            permit.answered()

    doomed = asyncio.ensure_future(go())
    await asyncio.sleep(0)
    doomed.cancel()
    await asyncio.wait([doomed])
    group = address.group("candles")

    assert (group.claims, group.budget.sends, group.budget.unanswered) == (0, [], 0)
    await go()
