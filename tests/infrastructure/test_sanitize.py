"""Text of strangers on a terminal and in a log."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.infrastructure.cli import console as shell
from market_backbone.infrastructure.sanitize import excerpt, sanitize
from market_backbone.infrastructure.structured_logging import StructlogLogger

NASTY = "\x1b]0;owned\x07\x9b2J\u202e\u2028\x7f\r"


@given(st.text())
def test_what_is_printable_stays_and_everything_else_is_spelled_out(text):
    shown = sanitize(text)

    assert shown.isprintable()
    assert shown == text or not text.isprintable()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_line_of_json_means_the_same_afterwards(text):
    line = json.dumps({"text": text}, ensure_ascii=False)

    assert json.loads(sanitize(line)) == {"text": text}


@given(st.one_of(st.text(), st.binary()))
def test_an_excerpt_is_short_and_one_line(body):
    assert excerpt(body).isprintable()
    assert len(excerpt(body)) <= 161


def test_lines_and_columns_of_our_own_stay():
    assert sanitize("a\n\tb\r", keep="\n\t") == "a\n\tb\\u000d"


@pytest.mark.parametrize("write", [shell.put, shell.say, lambda text: shell.screen().print(text)])
def test_no_command_hands_an_escape_sequence_to_the_terminal(write, capsys):
    write(f"before {NASTY} after")

    shown = "".join(capsys.readouterr())
    assert shown.replace("\n", "").isprintable()
    assert "\\u001b]0;owned" in shown


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_log_line_can_be_forged_nor_move_the_cursor(form, capsys):
    StructlogLogger("INFO", form).warning("frame_rejected", reason=f"{NASTY}\n2026-01-01 error forged")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
