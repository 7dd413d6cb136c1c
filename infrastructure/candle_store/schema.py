"""What the file looks like, whose it is, and the migrations from every older version to this one."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import chain

from .connection import writing

APPLICATION_ID = int.from_bytes(b"MBbc")
"""Tells our files from those of other programs; shown by ``file`` and ``PRAGMA application_id``."""

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        """
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            venue TEXT NOT NULL,
            symbol TEXT NOT NULL,
            timeframe TEXT NOT NULL,
            set_aside TEXT NOT NULL DEFAULT '',
            ledger BLOB NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX served ON series (venue, symbol, timeframe) WHERE set_aside = ''",
        # With a rowid: a row of a table without one should fit into a page, and a block is much larger.
        # The blob comes last, so that the counts before it are read without it.
        """
        CREATE TABLE blocks (
            series INTEGER NOT NULL REFERENCES series (id),
            start INTEGER NOT NULL,
            rows INTEGER NOT NULL,
            oldest INTEGER NOT NULL,
            newest INTEGER NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (series, start)
        )
        """,
        """
        CREATE TABLE damaged (
            id INTEGER PRIMARY KEY,
            series INTEGER NOT NULL REFERENCES series (id),
            start INTEGER,
            reason TEXT NOT NULL,
            data BLOB NOT NULL
        )
        """,
    ),
)
"""Step ``n`` leads from version ``n`` to ``n + 1``; a step that was released never changes again."""


def find_incompatibility(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> str:
    """Return in one word why a file is not for us, or nothing when it is ours or still empty."""
    owner, version, tables = (
        _number(connection, question)
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if owner != APPLICATION_ID:
        return "foreign" if owner or version or tables else ""
    if version > len(migrations):
        return "newer"
    return "" if _is_as_made(connection, migrations[:version]) else "altered"


def _is_as_made(connection: sqlite3.Connection, steps: Sequence[Sequence[str]]) -> bool:
    """Return whether our tables are those that we make, and nothing in the file acts by itself."""
    with closing(sqlite3.connect(":memory:")) as model:
        for statement in chain.from_iterable(steps):
            model.execute(statement)
        ours = _things(model)
    found = _things(connection)
    return ours <= found and not any(kind in {"trigger", "view"} for kind, *_ in found)


def _things(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    return set(connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master"))


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring a file, also an empty one, to the newest version: wholly or not at all."""
    if _number(connection, "PRAGMA user_version") == len(migrations):
        return
    with writing(connection):
        version = _number(connection, "PRAGMA user_version")  # another process may have been here first
        for step in migrations[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _number(connection: sqlite3.Connection, question: str) -> int:
    row: tuple[int] = connection.execute(question).fetchone()
    return row[0]
