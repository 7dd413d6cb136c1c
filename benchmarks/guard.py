"""Has anything become much slower? Our speed beside bare parts in the same run, compared with what is on record.

Run: python benchmarks/guard.py [--write] [--only trade,import]

Each figure is the share of a reference's speed that we reach, in CPU time: our work is done by the public API, the
reference's by the libraries that we stand on. It says nothing about machines, so that the record in ``guard.json`` is
good for all. A figure that has fallen by more than a third is taken twice more before it counts.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from side.running import Client, Market, Outcome, environment, market

RECORD = Path(__file__).with_name("guard.json")
ROUNDS = 3
KEPT = 2 / 3
TRIES = 3
FLOW_S = 0.3
MAX_CONFLATED = 0.2
"""Share of the tickers or books of a flow that may be left out because newer ones were there."""
PAGES = 40
MAX_DURATION_S = 60
PYTHON = sys.executable
KINDS = ("trade", "ticker", "orderbook")
IMPORT = "import time; began = time.process_time(); {}; print(time.process_time() - began)"
OURS, THEIRS = "from market_backbone import create_unified_api, create_candle_request", "import aiohttp"
CACHE_FEW, CACHE_MANY = "200 candles from the cache", "100000 candles from the cache to numpy"
REST, IMPORTS = "200 candles over REST", "import"


class NotMeasuredError(Exception):
    """A client failed: there is no figure."""


def figure_of(client: Client, told: Outcome, name: str) -> float:
    """Return one figure of a client.

    Raises:
        NotMeasuredError: it printed none.

    """
    if "failed" in told:
        msg = f"{client.script}: {told['failed']}"
        raise NotMeasuredError(msg)
    return float(told[name])


def frames(server: Market, kind: str) -> float:
    """Compare frames to a callback with a bare loop over websockets and msgspec."""
    clients = (
        Client("ours", PYTHON, "ours_stream.py"), Client("parts", PYTHON, "parts_stream.py", ["websockets"])
    )  # fmt: skip
    per_event = []
    for client in clients:
        server.plan(kind=kind, seconds=FLOW_S)
        told = client.run(kind, server.url)
        cpu = figure_of(client, told, "cpu_seconds")
        sent = server.report()["sent"][kind]
        lost = 1 - told["events"] / sent
        if lost > (0 if kind == "trade" else MAX_CONFLATED) or told.get("others"):
            msg = f"{client.script}: {lost:.1%} of {sent} frames of kind {kind} are missing, {told.get('others')}"
            raise NotMeasuredError(msg)
        per_event.append(cpu / sent)
    return per_event[1] / per_event[0]


def pages(server: Market) -> float:
    """Compare a series over REST with aiohttp and msgspec."""
    ours, parts = Client("ours", PYTHON, "ours_candles.py"), Client("parts", PYTHON, "parts_candles.py")
    taken = [figure_of(one, one.run("candles", server.url, PAGES), "cpu_ms") for one in (ours, parts)]
    return taken[1] / taken[0]


def cached() -> dict[str, float]:
    """Compare reads of the cache with a bare SQLite file."""
    client = Client("ours", PYTHON, "ours_cache_beside.py")
    told = client.run()
    return {CACHE_FEW: figure_of(client, told, "200"), CACHE_MANY: figure_of(client, told, "100000")}


def imports() -> float:
    """Compare our import with that of aiohttp, in fresh interpreters."""
    best = {}
    for statement in (OURS, THEIRS) * ROUNDS:
        command = [PYTHON, "-c", IMPORT.format(statement)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment(), timeout=MAX_DURATION_S
        )
        best[statement] = min(best.get(statement, MAX_DURATION_S), float(done.stdout))
    return best[THEIRS] / best[OURS]


def measures(server: Market) -> dict[str, Callable[[], dict[str, float]]]:
    """Return how each figure is taken once; some come together."""
    found: dict[str, Callable[[], dict[str, float]]] = {
        kind: lambda kind=kind: {kind: frames(server, kind)} for kind in KINDS
    }
    found[REST] = lambda: {REST: pages(server)}
    found[CACHE_FEW] = found[CACHE_MANY] = cached
    found[IMPORTS] = lambda: {IMPORTS: imports()}
    return found


def patiently(way: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Take a figure, again where a client failed: a shared machine may stand still for a second.

    Raises:
        NotMeasuredError: it failed each time.

    """
    for _ in range(TRIES - 1):
        try:
            return way()
        except NotMeasuredError as error:
            print(f"not measured, once more: {error}", flush=True)
    return way()


def medians(ways: dict[str, Callable[[], dict[str, float]]], wanted: list[str]) -> dict[str, float]:
    """Return the median of each wanted figure, all taken in turn."""
    taken: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for way in dict.fromkeys(ways[name] for name in wanted):
            if way is cached and number:
                continue  # takes its own rounds
            for name, value in patiently(way).items():
                taken.setdefault(name, []).append(value)
    return {name: statistics.median(taken[name]) for name in wanted}


def compare(found: dict[str, float], record: dict[str, float]) -> list[str]:
    """Return the figures that have fallen by more than a third."""
    return [name for name, value in found.items() if value < record.get(name, 0.0) * KEPT]


def show(found: dict[str, float], record: dict[str, float]) -> None:
    """Print each figure beside what is on record."""
    for name, value in found.items():
        known = f"{value / record[name]:4.0%} of the record {record[name]:.3f}" if name in record else "not on record"
        print(f"{name:42} {value:6.3f} of the reference's speed; {known}", flush=True)


def main() -> int:
    """Measure, compare, and return the exit code."""
    parser = argparse.ArgumentParser(description="Fails when our speed has fallen by more than a third.")
    parser.add_argument("--write", action="store_true", help="put on record what is found")
    parser.add_argument("--only", default="", help="comma-separated names of figures")
    options = parser.parse_args()
    try:
        return guard(options.only, writes=options.write)
    except NotMeasuredError as error:
        print(f"NOT MEASURED: {error}")
        return 1


def guard(only: str, *, writes: bool) -> int:
    """Do the work of the command line.

    Raises:
        NotMeasuredError: a client failed.

    """
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    with market(PYTHON, "--no-limits") as server:
        ways = measures(server)
        wanted = only.split(",") if only else list(ways)
        found = medians(ways, wanted)
        show(found, record)
        if writes:
            renewed = record | {name: round(value, 4) for name, value in found.items()}
            RECORD.write_text(json.dumps(renewed, indent=2) + "\n")
            return 0
        fallen = compare(found, record)
        for _ in range(TRIES - 1):
            if not fallen:
                break
            print(f"taken again: {', '.join(fallen)}", flush=True)
            again = medians(ways, fallen)
            show(again, record)
            fallen = compare(again, record)
    return tell(fallen, [name for name in found if name not in record])


def tell(fallen: list[str], unknown: list[str]) -> int:
    """Say what is wrong and what to do about it; return the exit code."""
    for name in unknown:
        print(f"NOT ON RECORD: {name}. Put it there with 'python benchmarks/guard.py --write'.")
    for name in fallen:
        print(f"SLOWER: {name} has fallen by more than a third, {TRIES} times in a row. Mend it; or, if it is meant,")
        print("        renew the record with 'python benchmarks/guard.py --write' and say why in the changelog.")
    return 1 if fallen or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
