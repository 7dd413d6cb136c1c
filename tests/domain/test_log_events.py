"""The names of log events are a promise: the code, the table and the docs say the same."""

import ast
import re
from pathlib import Path

import pytest

from market_backbone.domain.log_events import LOG_EVENTS, LogLevel

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("domain", "application", "infrastructure", "config")
LEVELS = {"info": LogLevel.INFO, "warning": LogLevel.WARNING, "warn": LogLevel.WARNING}
TABLE = {event.name: event for event in LOG_EVENTS}


def calls():
    """Every call that writes an event by name: its place, level, name and fields, and whether those are all."""
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (found := read_call(node)) is not None:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", *found


def read_call(node):
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in LEVELS or not node.args:
        return None
    name = node.args[0]
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return None
    fields = {keyword.arg for keyword in node.keywords if keyword.arg}
    if len(node.args) > 1:  # an adapter's warning: a name and a sentence
        fields.add("detail")
    is_whole = all(keyword.arg for keyword in node.keywords)
    return LEVELS[node.func.attr], name.value, fields, is_whole


CALLS = list(calls())


@pytest.mark.parametrize(("place", "level", "name", "fields", "is_whole"), CALLS, ids=[call[0] for call in CALLS])
def test_what_the_code_writes_is_what_the_table_says(place, level, name, fields, is_whole):
    event = TABLE[name]
    assert level is event.level
    assert fields <= set(event.fields)
    assert fields == set(event.fields) or not is_whole


def test_every_event_of_the_table_is_written_somewhere_and_stands_there_once():
    assert {call[2] for call in CALLS} == set(TABLE)
    assert len(TABLE) == len(LOG_EVENTS)


def test_no_event_is_written_by_a_name_that_the_scan_cannot_read():
    """But for two places that pass on what they are given."""
    dynamic = {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and re.search("logger|telemetry|_report", ast.unparse(node.func))
        and not isinstance(node.args[0], ast.Constant)
    }
    assert dynamic == {"application/runtime/telemetry.py", "infrastructure/factories.py"}


def test_the_docs_show_the_same_table():
    page = (ROOT / "docs" / "observability.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (INFO|WARNING) \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    shown = [(name, level, tuple(re.findall(r"`(\w+)`", fields)), meaning) for name, level, fields, meaning in rows]
    assert shown == [(event.name, event.level, event.fields, event.meaning) for event in LOG_EVENTS]
