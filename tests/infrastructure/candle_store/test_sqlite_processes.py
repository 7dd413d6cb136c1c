"""Several processes on one file, and processes that are killed."""

import asyncio
import os
import random
import shutil
import subprocess
from datetime import timedelta

import pytest

from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe

KILLS = int(os.environ.get("MARKET_BACKBONE_KILLS", "8"))
ROWS, STEP, BEYOND = 200, 190, 10**6
MINUTE = 60_000_000


def begin(page_writer, path, *numbers):
    return subprocess.Popen(
        [*page_writer, str(path), *map(str, numbers)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process):
    said, complaint = process.communicate(timeout=50)
    lines = [line.split() for line in said.splitlines(keepends=True) if line.endswith("\n")]
    return [(int(line[1]), int(line[2])) for line in lines if line[0] == "KEPT" and len(line) == 3], complaint


async def check_against_the_model(opened, pages, kept):
    """Every page that was acknowledged is there, and every proven slot has exactly its candle."""
    async with opened() as store:
        proven = store.ledger(pages.KEY).proven
        for first, beyond in kept:
            span = pages.span(first, beyond)
            assert any(part.start <= span.start and span.end <= part.end for part in proven), f"{span} is lost"
        for first, beyond in kept[-1:]:
            assert await store.read(pages.KEY, pages.span(first, beyond)) == pages.page(first, beyond)
        for span in proven:
            found = (await store.read(pages.KEY, span)).columns
            first, beyond = ((at - pages.START) // timedelta(minutes=1) for at in (span.start, span.end))
            traded = [number for number in range(first, beyond) if pages.has_trade(number)]
            assert list(found.opened) == [pages.FIRST_MICROS + MINUTE * number for number in traded]
            assert list(found.close.units) == [(pages.opening_price(number) + 1) * pages.ONE for number in traded]
    return Timeframe.M1.count_slots(TimeRange(proven[0].start, proven[-1].end)) if proven else 0


@pytest.mark.timeout(60 + 5 * KILLS)
async def test_a_killed_writer_loses_nothing_that_it_acknowledged_and_never_leaves_coverage_without_candles(
    page_writer, path, opened, pages, told
):
    """Each writer goes on where the one before it was killed; every tenth begins a new file."""
    dice = random.Random(20261122)
    kept, acknowledged, unacknowledged = [], 0, 0
    for number in range(KILLS):
        if number % 10 == 0:
            kept = []
            shutil.rmtree(path.parent, ignore_errors=True)
        process = begin(page_writer, path, kept[-1][0] if kept else 0, BEYOND, ROWS, STEP)
        assert process.stdout.readline() == "READY\n"
        await asyncio.sleep(dice.uniform(0.0, 0.25))
        process.kill()
        said, complaint = ended(process)
        assert complaint == ""
        kept += said
        acknowledged += len(said)
        known = await check_against_the_model(opened, pages, kept)
        unacknowledged += known > max((page[1] for page in kept), default=0)

    assert told == []
    print(f"{KILLS} kills, {acknowledged} pages acknowledged, {unacknowledged} times one more page was in the file")


async def test_two_processes_that_write_one_series_at_once_lose_nothing_of_each_other(
    page_writer, path, opened, pages, told
):
    """Their pages lie in the same blocks, every other one of each; both also begin the file at once."""
    writers = [begin(page_writer, path, start, 8000, 100, 200) for start in (0, 100)]
    said = [ended(writer) for writer in writers]

    assert [complaint for _, complaint in said] == ["", ""]
    kept = [page for pages_of_one, _ in said for page in pages_of_one]
    assert len(kept) == 80
    assert await check_against_the_model(opened, pages, kept) == 8000
    assert told == []


async def test_a_ledger_knows_at_once_what_another_process_has_written(page_writer, path, opened, pages):
    async with opened() as store:
        await store.write(pages.page(-100, 0))
        before = store.ledger(pages.KEY).proven
        assert store.ledger(pages.KEY) is store.ledger(pages.KEY)
        ended(begin(page_writer, path, 0, 1, 50, 50))

        assert before == pages.spans((-100, 0))
        assert store.ledger(pages.KEY).proven == pages.spans((-100, 50))
