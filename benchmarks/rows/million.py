"""A million candles from the cache to numpy and polars, each time in a fresh process."""

import shutil
from pathlib import Path

from side.environments import HOME, python_of
from side.findings import Figure, Goal, Section
from side.running import Client
from side.settings import Lab

MAX_FILL_S = 240.0
VERSION = 1


def filled(count: int) -> Path:
    """Return the folder of a cache with so many candles; it is filled once and kept.

    Raises:
        RuntimeError: it could not be filled.

    """
    folder = HOME / "filled" / f"{count}-{VERSION}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        told = Client("market-backbone", python_of("ours"), "ours_million.py").run(
            "fill", folder, count, longest_s=MAX_FILL_S
        )
        if "failed" in told:
            raise RuntimeError(told["failed"])
        (folder / "done").touch()
    return folder


def measure(lab: Lab) -> list[Section]:
    """Read again and again."""
    count = 100_000 if lab.is_quick else 1_000_000
    folder = filled(count)
    client = Client("market-backbone", python_of("ours"), "ours_million.py")
    section = Section(f"{count:,} candles from the cache (SQLite) to a table", "s")
    for library in ("numpy", "polars"):
        figure, memory = Figure(f"to {library}"), []
        for _ in range(lab.rounds):
            told = client.run(library, folder, count)
            if "failed" in told:
                figure.failed = told["failed"]
                break
            figure.values.append(told["seconds"])
            figure.details.append(told)
            memory.append(told["peak_mib"] / told["columns_mib"])
            size = f"{told['columns_mib']:.0f} MiB"
            figure.note = f"peak {told['peak_mib']:.0f} MiB over what was there, columns {size}"
        lab.tell("million", figure)
        section.figures.append(figure)
        most = 0.3 * count / 1_000_000
        section.goals += [
            Goal(f"{count:,} candles to {library}", figure.median, most, at_least=False, unit="s"),
            Goal(f"{library}: peak / columns", max(memory, default=None), 2.0, at_least=False),
        ]
    return [section]
