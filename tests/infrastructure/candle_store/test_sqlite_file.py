"""Files that are damaged, or not ours, or of another version."""

import random
import sqlite3
from contextlib import closing

import pytest

from market_backbone.domain.errors import ChannelUnavailableError
from market_backbone.domain.timestamps import to_micros
from market_backbone.infrastructure.candle_store.connection import connect
from market_backbone.infrastructure.candle_store.schema import APPLICATION_ID, MIGRATIONS, find_incompatibility, migrate
from market_backbone.infrastructure.candle_store.tables import DamagedBlockError, Tables


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(statement)
        connection.commit()


def ask(path, question):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()


WORDS_FOR = {"corrupt": "damaged or no SQLite file", "foreign": "belongs to another program", "newer": "newer version"}


def moved(path, reason):
    """The files that were moved aside for this reason, without their companions."""
    return sorted(
        file for file in path.parent.glob(f"{path.name}.{reason}-*") if not file.name.endswith(("-wal", "-shm"))
    )


async def begin_file(opened, pages):
    async with opened() as store:
        await store.write(pages.page(0, 3000))


def overwrite_the_start(path):
    with path.open("r+b") as file:
        file.write(random.Random(1).randbytes(4096))


def truncate(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def replace_by_text(path):
    path.write_text("opened_at,open,high,low,close\n", encoding="utf-8")


async def check_that_a_new_file_was_begun(opened, pages, path, told, *, reason):
    async with opened() as store:
        assert store.ledger(pages.KEY).is_empty
        assert (await store.write(pages.page(0, 10))).added == len(pages.page(0, 10))
    async with opened() as store:
        assert await store.read(pages.KEY, pages.span(0, 10)) == pages.page(0, 10)
    (aside,) = moved(path, reason)
    ((event, text),) = told
    assert event == "cache_file_moved_aside"
    assert WORDS_FOR[reason] in text
    assert aside.name in text
    return aside


@pytest.mark.parametrize("damage", [overwrite_the_start, truncate, replace_by_text])
async def test_a_damaged_file_is_moved_aside_whole_and_a_new_one_is_begun(opened, pages, path, told, damage):
    await begin_file(opened, pages)
    damage(path)
    before = path.read_bytes()

    aside = await check_that_a_new_file_was_begun(opened, pages, path, told, reason="corrupt")

    assert aside.read_bytes() == before


async def test_a_file_of_another_program_is_moved_aside_and_stays_what_it_was(opened, pages, path, told):
    path.parent.mkdir()
    execute(path, "CREATE TABLE theirs (value)", "INSERT INTO theirs VALUES (42)")
    before = path.read_bytes()

    aside = await check_that_a_new_file_was_begun(opened, pages, path, told, reason="foreign")

    assert aside.read_bytes() == before
    assert ask(aside, "SELECT value FROM theirs") == [(42,)]


async def test_a_file_of_another_program_that_names_itself_is_moved_aside_even_when_it_is_empty(
    opened, pages, path, told
):
    path.parent.mkdir()
    execute(path, "PRAGMA application_id = 7")

    await check_that_a_new_file_was_begun(opened, pages, path, told, reason="foreign")


async def test_a_file_of_a_newer_version_is_moved_aside_with_all_that_it_holds(opened, pages, path, told):
    await begin_file(opened, pages)
    execute(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    aside = await check_that_a_new_file_was_begun(opened, pages, path, told, reason="newer")

    assert ask(aside, "SELECT sum(rows) FROM blocks") == [(len(pages.page(0, 3000)),)]


async def test_what_the_log_beside_the_file_holds_moves_with_it(opened, pages, path, told):
    """Killed before a checkpoint, everything is in the log; a newer version must find it there."""
    await begin_file(opened, pages)
    other = connect(path, timeout_s=1)
    other.execute("PRAGMA wal_autocheckpoint = 0")
    other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    other.execute("CREATE TABLE later (value)")
    try:
        aside = await check_that_a_new_file_was_begun(opened, pages, path, told, reason="newer")
        assert aside.with_name(f"{aside.name}-wal").stat().st_size > 0
    finally:
        other.close()

    assert ask(aside, "SELECT count(*) FROM later") == [(0,)]


async def test_nothing_that_was_moved_aside_is_overwritten_by_the_next(opened, pages, path, told, monkeypatch):
    monkeypatch.setattr("market_backbone.infrastructure.candle_store.store_file.read_wall_clock", lambda: pages.START)
    path.parent.mkdir()
    for content in ("first", "second", "third"):
        path.write_text(content, encoding="utf-8")
        path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
        async with opened() as store:
            assert store.ledger(pages.KEY).is_empty

    assert [file.read_text(encoding="utf-8") for file in moved(path, "corrupt")] == ["first", "second", "third"]
    assert moved(path, "corrupt")[0].name == "candles.sqlite.corrupt-20260101T000000Z"
    assert len(told) == 3


async def test_an_empty_file_is_begun_in_place(opened, pages, path, told):
    path.parent.mkdir()
    path.touch()

    async with opened() as store:
        await store.write(pages.page(0, 10))

    assert told == []
    assert ask(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]


def turn_a_bit(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def damage_a_block(path, pages):
    """Turn one bit of the second day."""
    start = to_micros(pages.minute(1440))
    with closing(sqlite3.connect(path)) as connection:
        ((data,),) = connection.execute("SELECT data FROM blocks WHERE start = ?", (start,)).fetchall()
    execute(path, ("UPDATE blocks SET data = ? WHERE start = ?", (turn_a_bit(data), start)))
    return turn_a_bit(data)


@pytest.mark.parametrize("work", ["read", "read_newest", "write"])
async def test_a_damaged_block_is_never_served_and_its_slots_are_known_no_more(opened, pages, path, told, work):
    await begin_file(opened, pages)
    turned = damage_a_block(path, pages)
    everything = pages.span(0, 3000)

    async with opened() as store:
        if work == "write":
            remembered = await store.write(pages.page(1500, 1600))
            assert remembered.added == len(pages.page(1500, 1600))
            assert store.ledger(pages.KEY).proven == pages.spans((0, 1440), (1500, 1600), (2880, 3000))
        else:
            call = (
                store.read(pages.KEY, everything) if work == "read" else store.read_newest(pages.KEY, 9999, everything)
            )
            found = await call
            assert list(found) == [*pages.page(0, 1440), *pages.page(2880, 3000)]
            assert found.coverage.proven == pages.spans((0, 1440), (2880, 3000))
        await store.write(pages.page(1440, 2880))
        assert await store.read(pages.KEY, everything) == pages.page(0, 3000)

    assert ask(path, "SELECT data FROM damaged") == [(turned,)]
    ((event, text),) = told
    assert event == "cache_block_damaged"
    assert "[2026-01-02T00:00:00Z, 2026-01-03T00:00:00Z)" in text


async def test_a_block_that_another_process_has_mended_meanwhile_is_not_struck(opened, pages, path, told):
    await begin_file(opened, pages)
    with closing(connect(path, timeout_s=1)) as connection:
        tables = Tables(connection, lambda *event: told.append(event))
        for start in (to_micros(pages.minute(1440)), to_micros(pages.minute(99 * 1440))):
            tables.drop(pages.KEY, DamagedBlockError(start, "as it was a moment ago"))

    async with opened() as store:
        assert await store.read(pages.KEY, pages.span(0, 3000)) == pages.page(0, 3000)
    assert told == []


async def test_a_block_at_the_place_of_another_is_damage_too(opened, pages, path, told):
    await begin_file(opened, pages)
    execute(path, "UPDATE blocks SET start = start + 1 WHERE start = (SELECT max(start) FROM blocks)")

    async with opened() as store:
        assert await store.read(pages.KEY, pages.span(0, 3000)) == pages.page(0, 2880)

    assert [event for event, _ in told] == ["cache_block_damaged"]


async def test_a_damaged_ledger_vouches_for_nothing_and_leaves_the_candles(opened, pages, path, told):
    await begin_file(opened, pages)
    ((data,),) = ask(path, "SELECT ledger FROM series")
    execute(path, ("UPDATE series SET ledger = ?", (turn_a_bit(data),)))

    async with opened() as store:
        assert store.ledger(pages.KEY).is_empty
        assert len(await store.read(pages.KEY, pages.span(0, 3000))) == len(pages.page(0, 3000))
        await store.write(pages.page(5, 10))
        assert store.ledger(pages.KEY).proven == pages.spans((5, 10))

    assert {event for event, _ in told} == {"cache_ledger_damaged"}


def damage_the_pages(path):
    """Write over everything but the first page, as a dying disk may, while the file is open."""
    ((page,),) = ask(path, "PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek(page)
        file.write(b"\xa5" * (path.stat().st_size - page))


async def test_damage_that_is_met_in_use_is_an_error_once_and_then_the_file_is_moved_aside(opened, pages, path, told):
    await begin_file(opened, pages)
    async with opened() as store:
        assert not store.ledger(pages.KEY).is_empty
        damage_the_pages(path)

        with pytest.raises(ChannelUnavailableError, match="moves it aside and begins a new one") as caught:
            await store.read(pages.KEY, pages.span(0, 3000))
        assert (caught.value.channel, caught.value.retryable) == ("cache", True)
        assert told == []
        with pytest.raises(ChannelUnavailableError, match="is being checked"):
            store.ledger(pages.KEY)

        assert (await store.write(pages.page(0, 10))).added == len(pages.page(0, 10))
        assert store.ledger(pages.KEY).proven == pages.spans((0, 10))

    assert len(moved(path, "corrupt")) == 1
    assert [event for event, _ in told] == ["cache_file_moved_aside"]


async def test_damage_that_the_ledger_meets_is_mended_without_another_call(opened, pages, path, told):
    await begin_file(opened, pages)
    async with opened() as store:
        assert await store.inventory()
        damage_the_pages(path)

        with pytest.raises(ChannelUnavailableError, match="moves it aside"):
            store.ledger(pages.KEY)
        with pytest.raises(ChannelUnavailableError, match="is being checked"):
            store.ledger(pages.KEY)
        await store.inventory()

        assert store.ledger(pages.KEY).is_empty

    assert [event for event, _ in told] == ["cache_file_moved_aside"]


STEPS = (*MIGRATIONS, ("ALTER TABLE series ADD COLUMN note TEXT NOT NULL DEFAULT ''",))


async def test_an_older_file_climbs_the_ladder_and_keeps_what_it_holds(opened, pages, path):
    await begin_file(opened, pages)
    with closing(connect(path, timeout_s=1)) as connection:
        assert find_incompatibility(connection, STEPS) == ""
        migrate(connection, STEPS)

        assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
        assert connection.execute("SELECT note FROM series").fetchall() == [("",)]
        assert find_incompatibility(connection) == "newer"


async def test_a_step_that_fails_leaves_the_file_where_it_was(opened, pages, path):
    await begin_file(opened, pages)
    with closing(connect(path, timeout_s=1)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, (*STEPS, ("CREATE TABLE series (twice)",)))

        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert "note" not in {row[1] for row in connection.execute("PRAGMA table_info(series)")}


async def test_room_is_made_for_the_rows_that_are_there_whatever_the_file_says_of_their_number(opened, path, pages):
    await begin_file(opened, pages)
    execute(path, "UPDATE blocks SET rows = 1000000000000")

    async with opened() as store:
        held = await store.read(pages.KEY, pages.span(0, 3000))

    with closing(connect(path, timeout_s=1)) as connection:
        tables = Tables(connection, lambda *_: None)
        series = tables.find(pages.KEY)
        assert 0 <= tables.count_rows(series, pages.KEY, pages.span(0, 3000)) - len(held) < 20
        assert tables.count_rows(series, pages.KEY, pages.span(0, 1440)) < len(held)
        assert tables.count_rows(None, pages.KEY, pages.span(0, 1440)) == 0
    assert held == pages.page(0, 3000)
