"""How cost grows: with symbols followed, with candles held in memory, with candles in the file."""

from rows.million import filled
from rows.whole_market import follow
from side.environments import python_of
from side.findings import Chart, Figure, Section
from side.running import Client
from side.settings import Lab

SYMBOLS = (50, 200, 500, 855)
CANDLES = (10_000, 100_000, 300_000, 1_000_000)
PER_TOPIC_PER_S = 1


def measure(lab: Lab) -> list[Section]:
    """Draw a chart of each."""
    section = Section("How cost grows")
    section.charts = [*_symbols(lab, section), *_held(lab, section), *_filed(lab, section)]
    return [section]


def _symbols(lab: Lab, section: Section) -> list[Chart]:
    client = Client("market-backbone", python_of("ours"), "ours_market.py")
    cpu, memory = [], []
    for many in SYMBOLS[:: 3 if lab.is_quick else 1]:
        told, _ = follow(client, many, SYMBOLS[-1] * 3 * PER_TOPIC_PER_S, 3)
        if "failed" in told:
            section.figures.append(Figure(f"{many} symbols followed", failed=told["failed"]))
            continue
        cpu.append((many, 100 * told["cpu_share"]))
        memory.append((many, told["resident_mib"]))
        print(f"  growth: {many} symbols: {told['cpu_share']:.0%} of a core", flush=True)
    return [
        Chart(
            "symbols-cpu",
            "CPU against symbols followed (trades, books and minutes, a frame of each a second)",
            "symbols",
            "% of a core",
            {"CPU": cpu},
        ),
        Chart("symbols-memory", "Memory against symbols followed", "symbols", "MiB", {"resident": memory}),
    ]


def _held(lab: Lab, section: Section) -> list[Chart]:
    counts = CANDLES[:2] if lab.is_quick else CANDLES
    folder = filled(counts[-1])
    cpu, memory = [], []
    for count in counts:
        told = Client("market-backbone", python_of("ours"), "ours_million.py").run("hold", folder, count)
        if "failed" in told:
            section.figures.append(Figure(f"{count:,} candles held", failed=told["failed"]))
            continue
        cpu.append((count, told["cpu_seconds"] * 1000))
        memory.append((count, told["resident_mib"]))
    return [
        Chart("candles-cpu", "CPU time to read a series from the cache", "candles", "ms", {"CPU": cpu}),
        Chart("candles-memory", "Memory of a series that is held", "candles", "MiB", {"resident": memory}),
    ]


def _filed(lab: Lab, section: Section) -> list[Chart]:
    times, sizes = [], []
    for count in CANDLES[:2] if lab.is_quick else (*CANDLES[:2], CANDLES[-1]):
        told = Client("market-backbone", python_of("ours"), "ours_million.py").run("ask", filled(count), count)
        if "failed" in told:
            section.figures.append(Figure(f"{count:,} candles on disk", failed=told["failed"]))
            continue
        times.append((count, told["p50_ms"]))
        sizes.append((count, told["file_mib"]))
    return [
        Chart("file-time", "200 candles out of a file of so many, p50", "candles in the file", "ms", {"read": times}),
        Chart("file-size", "Size of the file", "candles in the file", "MiB", {"file": sizes}),
    ]
