"""Everything side by side, in one command: installs the peers, measures, and writes RESULTS.md.

Run: make bench, or python benchmarks/bench.py [--rounds 3] [--quick] [--only streams,latency]
A quick pass, or a part, is written to .bench/RESULTS.md instead.

Standard library only: everything that is measured runs in an environment of its own, below .bench.
"""

import argparse
import time
from types import ModuleType

from rows import candles, downloads, fan_out, growth, latency, million, start_up, streams, whole_market
from side import machine, report
from side.environments import install_all
from side.findings import Figure, Section
from side.settings import Lab

ROWS: dict[str, ModuleType] = {
    "streams": streams,
    "latency": latency,
    "candles": candles,
    "downloads": downloads,
    "million": million,
    "whole_market": whole_market,
    "fan_out": fan_out,
    "start_up": start_up,
    "growth": growth,
}


def chosen() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measures market-backbone beside its peers over loopback.")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken; the median counts")
    parser.add_argument("--quick", action="store_true", help="a short pass, for a look")
    parser.add_argument("--only", default=",".join(ROWS), help=f"comma-separated, of {' '.join(ROWS)}")
    return parser.parse_args()


def measure(name: str, lab: Lab) -> list[Section]:
    """Measure one row; what goes wrong with it is shown in its place."""
    print(f"{name} ...", flush=True)
    try:
        return ROWS[name].measure(lab)
    except Exception as error:  # noqa: BLE001 - the other rows are wanted all the same
        print(f"  {name} failed: {error!r}", flush=True)
        return [Section(name, figures=[Figure(name, failed=f"not measured: {error!r}")])]


def main() -> None:
    """Install, measure, write."""
    options = chosen()
    rounds = 1 if options.quick else options.rounds
    install_all()
    lab = Lab(rounds, options.quick)
    print(machine.describe(), flush=True)
    began = time.monotonic()
    sections = [section for name in options.only.split(",") for section in measure(name, lab)]
    is_whole = options.only == ",".join(ROWS) and not options.quick
    written = report.write(sections, rounds=rounds, is_whole=is_whole, seconds=time.monotonic() - began)
    print(f"written: {written}")


if __name__ == "__main__":
    main()
