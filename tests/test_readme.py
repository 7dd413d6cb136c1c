"""What README and docs say is true: every block of Python runs, every link leads somewhere, every command exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from complaining import complaints
from typer.main import get_command

from market_backbone import Finality, Grade, Reason, SeamVerdict
from market_backbone.infrastructure.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)\s#]+)")
CODE = re.compile(r"`([^`\n]+)`")


def name_of(page):
    return str(page.relative_to(ROOT))


BLOCKS = [
    pytest.param(block, id=f"{name_of(page)}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text()), start=1)
]


def test_readme_begins_with_lines_that_run():
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:20])
    assert "```python" in first_screen
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_of_python_runs_against_the_sandbox(block, tmp_path):
    """As a program of its own, in the folder and with the settings of nobody."""
    (tmp_path / "block.py").write_text(block)
    # Without this variable the first block would ask the exchange itself.
    environment = {**os.environ, "MARKET_BACKBONE_ENV": "development", "MARKET_BACKBONE__LOG__LEVEL": "WARNING"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "block.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    assert (done.returncode, complaints(done.stderr)) == (0, [])
    assert done.stdout.strip()
    assert "upbit-kr" not in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file(page):
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert broken == []


def rows_of_table(page, heading):
    """The first and the second cell of each row of the table with this heading."""
    lines = page.read_text().splitlines()
    begins = next(number for number, line in enumerate(lines) if line.startswith(heading))
    for line in lines[begins + 2 :]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def commands_of_readme():
    """Every command of README's table with the options that stand beside it."""
    for first, second in rows_of_table(ROOT / "README.md", "| command | does |"):
        options = re.findall(r"--[a-z-]+", f"{first} {second}")
        for code in CODE.findall(first):
            yield pytest.param(code, options, id=code)


@pytest.mark.parametrize(("written", "options"), list(commands_of_readme()))
def test_every_command_of_the_table_exists_with_its_options(written, options):
    words = written.removeprefix("market-backbone ").split()
    command = get_command(app).commands[words[0]]
    known = {spelling for parameter in command.params for spelling in parameter.opts}
    assert set(options) <= known
    positional = words[1 : next((n for n, word in enumerate(words) if word.startswith("--")), len(words))]
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    assert len(positional) <= len(arguments) or any(parameter.nargs == -1 for parameter in arguments)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_target_of_make_exists(page):
    spans = re.findall(r"`[^`]+`|^make .*$", (ROOT / page).read_text(), re.MULTILINE)
    written = set(re.findall(r"make ([a-z]+)", " ".join(spans)))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert written
    assert written <= targets


def test_the_words_of_the_docs_are_the_words_of_the_code():
    """Every name in capitals that language.md explains is one that the code uses."""
    words = set(re.findall(r"`([A-Z_]{3,})`", (ROOT / "docs" / "language.md").read_text()))
    known = {member.name for kind in (Finality, Grade, Reason, SeamVerdict) for member in kind}
    assert words == known
