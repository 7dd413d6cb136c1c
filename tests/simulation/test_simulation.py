"""The simulation finds what is planted, replays what it found, and repeats itself to the bit."""

import os
import subprocess
import sys
from pathlib import Path

import mutants
import pytest
from simulate import command
from simulated_calm import calm_spans
from simulated_plan import Line, draw_plan

HERE = Path(__file__).resolve().parent


def simulate(*arguments, **environment):
    given = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    line = [sys.executable, str(HERE / "simulate.py"), *arguments]
    return subprocess.run(line, env={**given, **environment}, capture_output=True, text=True, check=False, timeout=50)


def digest(done):
    return next(text for text in done.stdout.splitlines() if text.startswith("digest")).partition(",")[0]


def test_one_seed_is_one_history_in_every_process():
    first, second = (simulate("--seed", "13", PYTHONHASHSEED=seed) for seed in ("random", "77"))
    assert digest(first) == digest(second)
    assert first.returncode == second.returncode == 0
    assert digest(simulate("--seed", "13", "--without", "0,1,2,3")) != digest(first)


def test_a_planted_bug_is_found_by_the_seed_that_is_named(tmp_path):
    (leak,) = (mutant for mutant in mutants.MUTANTS if mutant.name == "open-socket")
    seed, _, _, told = mutants.hunt(leak, first=0, most=3)
    assert "left" in told
    mutants.plant(leak, tmp_path)
    replayed = simulate("--seed", str(seed), PYTHONPATH=str(tmp_path))
    assert replayed.returncode == 1
    assert "BROKEN" in replayed.stdout


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_every_bug_can_still_be_planted(mutant):
    compile(mutants.changed(mutant), mutant.file, "exec")


def test_a_script_without_some_lines_is_the_same_but_for_these():
    plan = draw_plan(5)
    fewer = plan.without({0, 2})
    assert fewer.lines == (plan.lines[1], *plan.lines[3:])
    assert fewer.symbols == plan.symbols


def test_troubles_last_as_long_as_they_say_and_questions_are_none():
    stall = Line(5.0, "fault", {"kind": "stall", "duration_s": 2.0})
    assert [line.trouble for line in (Line(1.0, "ask"), stall, Line(9.0, "restart"))] == [
        None,
        ("stall", 2.0),
        ("restart", 0.0),
    ]
    troubles = [("stall", 5.0, 7.0), ("restart", 300.0, 300.0)]
    assert calm_spans(troubles, 600.0) == [(0.0, 5.0), (107.0, 300.0), (400.0, 600.0)]
    assert calm_spans(troubles, 600.0, ("stall",)) == [(0.0, 300.0), (400.0, 600.0)]


def test_the_command_that_replays_is_one_line():
    assert command(17, (0, 4), 2.0) == "python tests/simulation/simulate.py --seed 17 --without 0,4 --hours 2"
