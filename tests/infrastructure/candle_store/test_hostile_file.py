"""A file of the cache that somebody made to hurt: it is data and never a program, and no value of it is trusted."""

import json
import sqlite3
from contextlib import closing
from zlib import crc32

import pytest
from hostile import costs_at_most

from market_backbone.domain.errors import ChannelUnavailableError
from market_backbone.infrastructure.candle_store.codec import (
    DamagedBytesError,
    decode_block,
    decode_ledger,
    encode_block,
)
from market_backbone.infrastructure.candle_store.tables import Tables


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(statement)
        connection.commit()


def aside(path):
    return [file.name for file in path.parent.glob(f"{path.name}.altered-*")]


ENDLESS = "WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n) SELECT i, i, i, i, i, i FROM n"
PROGRAMS = {
    "a trigger": ["CREATE TRIGGER spy AFTER UPDATE ON series BEGIN DELETE FROM blocks; END"],
    "a view without end in place of a table": ["DROP TABLE blocks", f"CREATE VIEW blocks AS {ENDLESS}"],
    "a view beside our tables": [f"CREATE VIEW beside AS {ENDLESS}"],
    "other columns": ["DROP TABLE blocks", "CREATE TABLE blocks (series, start, rows, data)"],
    "no index": ["DROP INDEX served"],
}


@pytest.mark.parametrize("case", PROGRAMS)
async def test_a_file_that_acts_by_itself_is_moved_aside(case, opened, pages, path, told):
    async with opened() as store:
        await store.write(pages.page(0, 100))
    execute(path, *PROGRAMS[case])

    with costs_at_most(seconds=20, megabytes=64):
        async with opened() as store:
            assert store.ledger(pages.KEY).is_empty
            await store.write(pages.page(0, 10))

    assert len(aside(path)) == 1
    assert "programs of its own" in told[0][1]


async def test_what_people_add_to_look_at_the_file_harms_nobody(opened, pages, path):
    async with opened() as store:
        await store.write(pages.page(0, 100))
    execute(path, "CREATE TABLE notes (text)", "ANALYZE")

    async with opened() as store:
        assert await store.read(pages.KEY, pages.span(0, 100)) == pages.page(0, 100)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE series SET symbol = char(27) || '[2J'",
        "UPDATE series SET timeframe = '7m'",
        "UPDATE blocks SET newest = 9223372036854775807",
        "UPDATE blocks SET oldest = 'yesterday'",
        "UPDATE blocks SET rows = 'many'",
    ],
)
async def test_a_line_of_the_inventory_that_means_nothing_is_left_out_and_told(change, opened, pages, path, told):
    async with opened() as store:
        await store.write(pages.page(0, 100))
    execute(path, change)

    async with opened() as store:
        held = await store.inventory()
    assert held == () or change.endswith("'many'")
    assert [event for event, _ in told] in ([], ["cache_series_damaged"])


async def test_a_block_of_another_kind_of_value_is_struck(opened, pages, path, told):
    async with opened() as store:
        await store.write(pages.page(0, 100))
    execute(path, "UPDATE blocks SET data = 'a text'", "UPDATE series SET ledger = 7")

    async with opened() as store:
        assert store.ledger(pages.KEY).is_empty
        assert len(await store.read(pages.KEY, pages.span(0, 100))) == 0
    assert {event for event, _ in told} == {"cache_ledger_damaged", "cache_block_damaged"}


async def test_a_block_that_cannot_be_struck_ends_in_an_error_and_not_in_a_loop(opened, pages, path, monkeypatch):
    async with opened() as store:
        await store.write(pages.page(0, 100))
        execute(path, "UPDATE blocks SET data = x'00'")
        monkeypatch.setattr(Tables, "drop", lambda *_: None)
        with pytest.raises(ChannelUnavailableError, match="damaged"):
            await store.read(pages.KEY, pages.span(0, 100))


def sealed(body):
    return b"\x01" + crc32(body).to_bytes(4, "little") + body


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b"[" * 50_000,
        json.dumps({"proven": [[5, 1]], "provisional": [], "explained": [], "verified_at": None}).encode(),
        json.dumps({"proven": [[0, 2**63]], "provisional": [], "explained": [], "verified_at": None}).encode(),
        json.dumps({"proven": [], "provisional": [], "explained": [[5, 1, "OUTAGE"]], "verified_at": None}).encode(),
        json.dumps({"proven": [], "provisional": [], "explained": [], "verified_at": 1e300}).encode(),
    ],
)
def test_a_ledger_whose_checksum_fits_and_whose_content_does_not_is_damage(body):
    with pytest.raises(DamagedBytesError):
        decode_ledger(sealed(body))


def changed(data, old, new):
    """The same block with another text, of the length that its head says."""
    body = data[5:]
    text = body[body.index(b'{"marks"') :]
    assert old in text
    other = text.replace(old, new)
    head = body[:4] + len(other).to_bytes(4, "little") + body[8 : -len(text)]
    return sealed(head + other)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"outsized":[[', b'"outsized":[[[0,"1e999999999"]'),
        (b'"outsized":[[', b'"outsized":[[[0,"NaN"]'),
        (b'"outsized":[[', b'"outsized":[[[99999,"1"]'),
        (b'"outsized":', b'"others":'),
        (b'"marks":[[', b'"marks":[[7,'),
        (b'"marks":[', b'"marks":[],"x":['),
    ],
)
def test_a_block_whose_checksum_fits_and_whose_content_does_not_is_damage(pages, old, new):
    whole = encode_block(pages.page(0, 5).columns)

    assert len(decode_block(pages.KEY, changed(whole, old, old))) == len(pages.page(0, 5))
    with costs_at_most(seconds=5, megabytes=16), pytest.raises(DamagedBytesError):
        decode_block(pages.KEY, changed(whole, old, new))


def test_rows_out_of_order_beyond_all_years_or_missing_are_damage(pages):
    columns = pages.page(0, 5).columns
    body = encode_block(columns)[5:]
    first, last = columns.opened[0].to_bytes(8, "little"), columns.opened[-1].to_bytes(8, "little")
    far = (2**62).to_bytes(8, "little")

    for spoiled in (body.replace(first, last, 1), body.replace(last, far, 1), body[:-1], b"\xff" * 8 + body[8:]):
        with pytest.raises(DamagedBytesError):
            decode_block(pages.KEY, sealed(spoiled))
