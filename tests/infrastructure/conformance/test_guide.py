"""The guide to adapters: its code runs, its figures are true, and its cards are those of the kit."""

import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.finality import Grace
from market_backbone.domain.ports import Channel
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime
from market_backbone.infrastructure.conformance import case_docs
from market_backbone.infrastructure.conformance.markdown import render_case_docs

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "adapters.md").read_text(encoding="utf-8")
FILE = re.compile(r"^```python (\S+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def project(tmp_path):
    """An empty folder with the files of the guide, and nothing that configures pytest."""
    for name, code in FILE.findall(GUIDE):
        (tmp_path / name).write_text(code, encoding="utf-8")
    run(tmp_path, "make_candles.py")
    return tmp_path


def run(folder, *arguments):
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_the_ten_lines_of_the_guide_run_with_the_result_that_it_shows(project, mode, run_pytest):
    done = run_pytest(project, "-o", f"asyncio_mode={mode}")

    (shown,) = re.findall(r"^\d+ passed, \d+ skipped", GUIDE, re.MULTILINE)
    assert (done.returncode, f"\n{shown} in" in done.stdout) == (0, True), done.stdout + done.stderr
    test = dict(FILE.findall(GUIDE))["test_csv_archive.py"]
    assert len([line for line in test.splitlines() if line]) <= 10


def test_the_mistake_of_the_guide_is_caught_by_the_promise_that_it_shows(project, run_pytest):
    adapter = project / "csv_archive.py"
    adapter.write_text(adapter.read_text().replace("row.opened_at < end", "row.opened_at <= end"))

    done = run_pytest(project, "-k", "r13")

    (shown,) = re.findall(r"^```text\n(.*?)\n```", GUIDE, re.MULTILINE)
    assert done.returncode == 1
    assert f"BrokenPromiseError: {shown}\n" in done.stdout


def test_the_factory_of_the_guide_builds_a_channel(project, monkeypatch):
    monkeypatch.chdir(project)
    spec = importlib.util.spec_from_file_location("csv_archive", project / "csv_archive.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clock = MarketClock()
    context = AdapterContext(
        name="archive", options={}, clock=clock, server_time=MeasuredServerTime(clock), grace=Grace()
    )

    assert isinstance(module.archive(context), Channel)


def test_the_guide_has_the_case_of_every_promise():
    assert GUIDE.endswith(f"\n\n{render_case_docs()}"), "print: python -m market_backbone.infrastructure.conformance"


def test_the_promises_are_numbered_without_a_hole_and_said_once():
    numbers = [case_doc.number for case_doc in case_docs()]
    for letter in "RLSP":
        own = [number for number in numbers if number[0] == letter]
        assert own == [f"{letter}-{place:02}" for place in range(1, len(own) + 1)]
        assert f"{own[0]} to {own[-1]}" in GUIDE
    assert len({case_doc.text for case_doc in case_docs()}) == len(numbers)


def test_the_module_prints_the_cards(capsys):
    runpy.run_module("market_backbone.infrastructure.conformance", run_name="__main__")

    assert capsys.readouterr().out == render_case_docs()
