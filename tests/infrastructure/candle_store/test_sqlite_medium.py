"""A disk that is full, a folder that cannot be written, a file that is locked, callers who give up."""

import asyncio
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from market_backbone.domain.errors import ChannelUnavailableError
from market_backbone.infrastructure.candle_store import SqliteCandleStore, sqlite
from market_backbone.infrastructure.candle_store.connection import connect
from market_backbone.infrastructure.candle_store.schema import migrate

OUT_OF_THE_WAY = 1 << 30


async def check_that_the_store_holds_exactly(store, pages, beyond):
    assert store.ledger(pages.KEY).proven == pages.spans((0, beyond))
    assert await store.read(pages.KEY, pages.span(0, 3000)) == pages.page(0, beyond)


async def test_a_full_disk_refuses_a_write_wholly_and_when_there_is_room_again_it_is_done(opened, pages, told):
    async with opened() as store:
        await store.write(pages.page(0, 100))
        pages_used = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages_used + 2}")

        with pytest.raises(ChannelUnavailableError, match="the disk is full; free some space") as caught:
            await store.write(pages.page(100, 2900))

        assert (caught.value.channel, caught.value.retryable) == ("cache", True)
        await check_that_the_store_holds_exactly(store, pages, 100)
        assert (await store.write(pages.page(100, 2900))).added == len(pages.page(100, 2900))
        await check_that_the_store_holds_exactly(store, pages, 2900)
    assert told == []


async def test_a_disk_that_takes_no_more_bytes_stops_a_process_from_nothing_but_keeping_more(
    page_writer, path, opened, pages, told
):
    """The operating system itself refuses, in the middle of a write, by a limit on the size of files."""

    def allow_little():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    command = [*page_writer, str(path), "0", "100000", "400", "400"]
    done = subprocess.run(  # noqa: ASYNC221 - nothing else goes on here
        command,
        capture_output=True,
        text=True,
        preexec_fn=allow_little,
        timeout=50,
        check=False,
    )

    kept = sum(line.startswith("KEPT") for line in done.stdout.splitlines())
    assert "ChannelUnavailableError: cache: " in done.stderr
    assert "check it, its quota and its free space" in done.stderr or "the disk is full" in done.stderr
    assert kept > 0
    async with opened() as store:
        proven = store.ledger(pages.KEY).proven
        assert proven == pages.spans((0, 400 * kept))
        assert await store.read(pages.KEY, proven[0]) == pages.page(0, 400 * kept)
    assert told == []


@pytest.mark.parametrize("place", ["a file/candles.sqlite", "a file/below/candles.sqlite", "a folder"])
async def test_a_place_that_cannot_be_written_is_named_with_what_to_do(tmp_path, pages, place):
    (tmp_path / "a file").write_text("no folder", encoding="utf-8")
    (tmp_path / "a folder").mkdir()
    store = SqliteCandleStore(tmp_path / place, report=lambda *told: pytest.fail(str(told)))

    for _ in range(2):
        with pytest.raises(ChannelUnavailableError, match=r"a f.*in the setting cache\.folder") as caught:
            await store.write(pages.page(0, 10))
        with pytest.raises(ChannelUnavailableError, match=r"a f.*in the setting cache\.folder"):
            store.ledger(pages.KEY)
        assert not caught.value.retryable
    await store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder that nobody may write, not even root")
async def test_a_folder_that_refuses_even_root_is_named_with_what_to_do(pages):
    store = SqliteCandleStore(Path("/proc/candles.sqlite"), report=lambda *told: pytest.fail(str(told)))
    with pytest.raises(ChannelUnavailableError, match=r"/proc/candles\.sqlite: it cannot be opened; choose a folder"):
        await store.write(pages.page(0, 10))
    await store.close()


async def test_a_file_that_may_only_be_read_says_so(opened, pages, path):
    async with opened() as store:
        await store.write(pages.page(0, 10))
        store._connection.execute("PRAGMA query_only = ON")

        with pytest.raises(ChannelUnavailableError, match="it may not be written") as caught:
            await store.write(pages.page(10, 20))

        assert not caught.value.retryable
        await check_that_the_store_holds_exactly(store, pages, 10)


async def test_a_lock_that_is_held_for_too_long_fails_the_write_but_no_read(opened, pages, path, monkeypatch):
    monkeypatch.setattr(sqlite, "_TIMEOUT_S", 0.05)
    async with opened() as store:
        await store.write(pages.page(0, 100))
        with closing(connect(path, timeout_s=1)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ChannelUnavailableError, match="another process has kept it locked") as caught:
                await store.write(pages.page(100, 200))
            await check_that_the_store_holds_exactly(store, pages, 100)
            other.execute("ROLLBACK")

        assert caught.value.retryable
        await store.write(pages.page(100, 200))
        await check_that_the_store_holds_exactly(store, pages, 200)


async def test_the_event_loop_goes_on_while_a_write_waits_for_a_lock(opened, pages, path):
    async with opened() as store:
        await store.write(pages.page(0, 100))
        with closing(connect(path, timeout_s=1)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(store.write(pages.page(100, 200)))
                for _ in range(20):
                    await asyncio.sleep(0.005)
                    assert store.ledger(pages.KEY).proven == pages.spans((0, 100))
                assert not waiting.done()
                other.execute("ROLLBACK")
        await check_that_the_store_holds_exactly(store, pages, 200)


@pytest.mark.parametrize("turns", range(6))
async def test_a_write_that_is_cancelled_is_done_wholly_or_not_at_all(opened, pages, turns):
    async with opened() as store:
        await store.write(pages.page(0, 100))
        writing = asyncio.get_running_loop().create_task(store.write(pages.page(100, 3000)))
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        with suppress(asyncio.CancelledError):  # it may be done by now
            await writing

        assert (
            await store.read(pages.KEY, pages.span(0, 3000))
            in {beyond: pages.page(0, beyond) for beyond in (100, 3000)}.values()
        )
        assert store.ledger(pages.KEY).proven in {pages.spans((0, 100)), pages.spans((0, 3000))}
        assert len(asyncio.all_tasks()) == 1


async def test_calls_that_were_made_before_the_end_are_done_and_the_log_is_folded_into_the_file(opened, pages, path):
    async with opened() as store, asyncio.TaskGroup() as tasks:
        written = [tasks.create_task(store.write(pages.page(start, start + 100))) for start in range(0, 1000, 100)]
        await asyncio.sleep(0)
        await store.close()

    assert sum(task.result().added for task in written) == len(pages.page(0, 1000))
    assert [file.name for file in path.parent.iterdir()] == ["candles.sqlite"]
    async with opened() as store:
        await check_that_the_store_holds_exactly(store, pages, 1000)


async def test_a_mistake_of_our_own_is_no_failure_of_the_medium(opened, pages):
    async with opened() as store:
        with pytest.raises(AttributeError):
            await store.write(None)
        await store.write(pages.page(0, 10))
        await check_that_the_store_holds_exactly(store, pages, 10)


async def test_a_file_that_others_read_at_the_beginning_gets_its_log_as_soon_as_they_let_go(opened, pages, path):
    path.parent.mkdir()
    with closing(connect(path, timeout_s=1)) as other:
        migrate(other)
        other.execute("BEGIN")
        other.execute("SELECT * FROM series").fetchall()
        async with opened() as store, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(store.read(pages.KEY, pages.span(0, 10)))
            await asyncio.sleep(0.1)
            assert not reading.done()
            other.execute("ROLLBACK")
            assert len(await reading) == 0
            assert path.with_name(f"{path.name}-wal").exists()


async def test_a_file_that_cannot_be_begun_is_tried_again_by_the_next_call(opened, pages, path, monkeypatch):
    monkeypatch.setattr(sqlite, "_TIMEOUT_S", 0.05)
    path.parent.mkdir()
    async with opened() as store:
        with closing(connect(path, timeout_s=1)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(ChannelUnavailableError, match="kept it locked"):
                await store.write(pages.page(0, 10))
        await store.write(pages.page(0, 10))
        await check_that_the_store_holds_exactly(store, pages, 10)


async def test_an_error_that_nobody_foresaw_is_not_dressed_up_as_a_failing_disk(opened, pages):
    async with opened() as store:
        await store.write(pages.page(0, 10))
        store._connection.execute("DROP TABLE blocks")
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await store.write(pages.page(10, 20))
