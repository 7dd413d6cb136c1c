"""Writes what was found: RESULTS.md, its charts, and all figures as JSON. Standard library only."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

from side import machine, plots
from side.environments import HOME, ROOT, versions_of
from side.findings import Figure, Goal, Section

NAMED = {
    "ours": ("market-backbone", "aiohttp", "websockets", "msgspec", "numpy", "polars"),
    "fast": ("picows", "uvloop"),
    "ccxt": ("ccxt",),
    "cryptofeed": ("cryptofeed",),
    "pybotters": ("pybotters",),
    "pyupbit": ("pyupbit",),
    "upbit-sdk": ("upbit-sdk",),
}
LIMIT = {True: ">=", False: "<="}


def write(sections: list[Section], *, rounds: int, is_whole: bool, seconds: float) -> Path:
    """Write everything, and return where the text is: beside this code only what may be quoted."""
    folder = ROOT / "benchmarks" if is_whole else HOME
    charts = folder / "charts"
    charts.mkdir(exist_ok=True)
    for old in charts.glob("*.svg"):
        old.unlink()
    kept = {"machine": machine.describe(), "sections": [dataclasses.asdict(one) for one in sections]}
    (HOME / "results.json").write_text(json.dumps(kept, indent=1, default=str))
    how = (
        f"`make bench` of {datetime.now(UTC):%Y-%m-%d}, {rounds} interleaved rounds, medians"
        f"{'' if is_whole else ', **a part of it, or a quick pass: not to be quoted**'}; {seconds / 60:.0f} minutes."
        " Everything runs on one machine over loopback, so that only the ratios travel."
    )
    parts = [
        "# Results",
        how,
        f"- machine: {machine.describe()}\n- versions: {_versions()}",
        "## Goals",
        _goals([goal for one in sections for goal in one.goals]),
        *(_section(number, one, charts) for number, one in enumerate(sections, 1)),
    ]
    (folder / "RESULTS.md").write_text("\n\n".join(parts) + "\n")
    return folder / "RESULTS.md"


def _versions() -> str:
    known = []
    for venv, names in NAMED.items():
        installed = versions_of(venv)
        known += [f"{name} {installed[name]}" for name in names if name in installed]
    return ", ".join(known)


def _goals(goals: list[Goal]) -> str:
    rows = [
        f"| {goal.text} | {_measured(goal)} | {LIMIT[goal.at_least]} {goal.limit:g} {goal.unit} | {goal.verdict} |"
        for goal in goals
    ]
    return "\n".join(["| what | measured | goal | |", "|---|---|---|---|", *rows])


def _measured(goal: Goal) -> str:
    return "-" if goal.measured is None else f"{plots.brief(goal.measured)} {goal.unit}"


def _section(number: int, section: Section, charts: Path) -> str:
    parts = [f"## {section.title}"]
    if section.figures:
        parts.append(_figures(section))
    if sum(one.median is not None for one in section.figures) > 1:
        name = f"{number:02d}.svg"
        (charts / name).write_text(plots.bars(section))
        parts.append(f"![{section.title}](charts/{name})")
    parts += section.remarks
    for chart in section.charts:
        (charts / f"{chart.name}.svg").write_text(plots.lines(chart))
        parts.append(f"**{chart.title}**: {plots.slope_in_words(chart)}.\n\n![{chart.title}](charts/{chart.name}.svg)")
    return "\n\n".join(parts)


def _figures(section: Section) -> str:
    first = next((one.median for one in section.figures if one.median), None)
    rows = [_figure(one, first) for one in section.figures]
    return "\n".join([f"| | {section.unit} | x the first | |", "|---|---|---|---|", *rows])


def _figure(figure: Figure, first: float | None) -> str:
    if figure.median is None:
        return f"| {figure.client} | - | - | {figure.failed or 'no figure'} |"
    ratio = f"{figure.median / first:.2f}" if first else "-"
    return f"| {figure.client} | {plots.brief(figure.median)} | {ratio} | {figure.note} |"
