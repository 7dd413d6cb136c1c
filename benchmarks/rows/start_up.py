"""How long an import takes, and how much memory an idle API."""

import subprocess

from side.environments import python_of
from side.findings import Figure, Goal, Section
from side.running import Client, environment, market
from side.settings import Lab

TIMED = "import time; began = time.perf_counter(); {}; print((time.perf_counter() - began) * 1000)"
WHOLE, FACE = "import market_backbone", "from market_backbone import create_unified_api, create_candle_request"
STATEMENTS = (WHOLE, FACE, "import aiohttp", "pass")
MAX_DURATION_S = 30


def import_ms(python: str, statement: str) -> float:
    """Return how long a fresh interpreter takes for one statement, in ms."""
    code = TIMED.format(statement)
    done = subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True, env=environment(), timeout=MAX_DURATION_S
    )
    return float(done.stdout)


def measure(lab: Lab) -> list[Section]:
    """Import in turn, in fresh interpreters; then open and wait."""
    imports = Section("Import in a fresh interpreter", "ms", [Figure(name) for name in STATEMENTS])
    for _ in range(3 if lab.is_quick else 9):
        for figure in imports.figures:
            figure.values.append(import_ms(str(python_of("ours")), figure.client))
    imports.goals = [
        Goal(f"`{one}`", imports.median_of(one), 150.0, at_least=False, unit="ms") for one in (WHOLE, FACE)
    ]
    for figure in imports.figures:
        figure.note = f"{min(figure.values):.0f} to {max(figure.values):.0f} ms"
        lab.tell("import", figure)
    return [imports, *opening(lab)]


def opening(lab: Lab) -> list[Section]:
    """Open an API in a fresh process, and let it idle."""
    opened = Figure("market-backbone: until an API is open, imports included")
    memory = Figure("market-backbone: open and idle")
    with market(python_of("ours")) as server:
        for _ in range(lab.rounds):
            told = Client("market-backbone", python_of("ours"), "ours_idle.py").run("idle", server.url)
            opened.failed = memory.failed = told.get("failed", "")
            if "failed" in told:
                break
            opened.values.append(told["open_ms"])
            memory.values.append(told["resident_mib"])
    goal = Goal("Memory, idle", memory.median, 60.0, at_least=False, unit="MiB")
    return [Section("Start", "ms", [opened]), Section("Memory of an idle API", "MiB", [memory], [goal])]
