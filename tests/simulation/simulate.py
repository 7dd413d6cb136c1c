"""Run many simulated histories, show what they broke, and reduce a failing one to the lines that matter.

python tests/simulation/simulate.py --seeds 300               many seeds, on all processors
python tests/simulation/simulate.py --seed 17                 one seed, its script and what happened
python tests/simulation/simulate.py --seed 17 --without 0,4   the same without some lines of its script
"""

import argparse
import gc
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHOWN = 5
TRIES_TO_REDUCE = 60


def simulate_seed(seed, without=(), hours=0.0, keeps=0):
    """Return the outcome of one seed."""
    from simulated_plan import draw_plan  # noqa: PLC0415 - the hash seed has to be set before anything is imported
    from simulated_world import simulate  # noqa: PLC0415

    outcome = simulate(draw_plan(seed, hours).without(frozenset(without)), keeps=keeps)
    gc.collect()
    return outcome


def reduce_script(seed, hours=0.0):
    """Return the numbers of the lines without which the seed still fails: halves first, then one by one."""
    from simulated_plan import draw_plan  # noqa: PLC0415

    kept = list(range(len(draw_plan(seed, hours).lines)))
    everything, size, tries = set(kept), max(1, len(kept) // 2), 0
    while size and tries < TRIES_TO_REDUCE:
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            tries += 1
            if simulate_seed(seed, everything - set(fewer), hours).violations:
                kept = fewer
                break
        else:
            size //= 2
    return sorted(everything - set(kept))


def _show_one(seed, without, hours):
    from simulated_plan import draw_plan  # noqa: PLC0415

    plan = draw_plan(seed, hours)
    print(f"seed {seed}: {plan.lasts_s:.0f} s of {' and '.join(plan.symbols)}, round trip {plan.round_trip_s} s")
    for number, line in enumerate(plan.lines):
        print(f"{'   (left out)' if number in without else '':12} {number:3} {line}")
    outcome = simulate_seed(seed, without, hours, keeps=40)
    print(f"digest {outcome.digest}, {outcome.checks} checks, {outcome.wall_s:.1f} s")
    for text in outcome.violations:
        print(f"BROKEN {text}")
    return 1 if outcome.violations else 0


def command(seed, without, hours):
    """Return the command that replays a seed."""
    parts = ["python tests/simulation/simulate.py", f"--seed {seed}"]
    parts += [f"--without {','.join(map(str, without))}"] if without else []
    return " ".join(parts + ([f"--hours {hours:g}"] if hours else []))


def _show_failure(outcome, hours):
    print(f"\nseed {outcome.seed} broke {len(outcome.violations)} promises:")
    for text in outcome.violations[:SHOWN]:
        print(f"  {text[:600]}")
    without = reduce_script(outcome.seed, hours)
    print(f"  replay, with only the lines that matter: {command(outcome.seed, without, hours)}")


def run_many(first, seeds, hours, jobs, seconds):
    """Run seeds in a row until their number or the time is used up; answers whether nothing broke."""
    began = time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool:
        started = [pool.submit(simulate_seed, seed, (), hours) for seed in range(first, first + seeds)]
        wait(started, timeout=seconds or None, return_when=FIRST_EXCEPTION)
        for future in reversed(started):  # from behind: the pool takes the next from the front meanwhile
            future.cancel()
        outcomes = [future.result() for future in started if not future.cancelled()]
    _summarise(outcomes, time.perf_counter() - began)
    failed = [outcome for outcome in outcomes if outcome.violations]
    for outcome in failed[:SHOWN]:
        _show_failure(outcome, hours)
    return not failed


def run_until_broken(first, seeds, hours):
    """Try seeds one by one; print the first that breaks something, after how many tries, and what it broke."""
    for tries, seed in enumerate(range(first, first + seeds), 1):
        outcome = simulate_seed(seed, (), hours)
        if outcome.violations:
            print(f"{seed}\t{tries}\t{outcome.violations[0]}")
            return 1
    return 0


def _summarise(outcomes, wall_s):
    counts = sum((Counter(outcome.counts) for outcome in outcomes), Counter())
    simulated_h = sum(outcome.simulated_s for outcome in outcomes) / 3600
    print(f"{len(outcomes)} seeds, {simulated_h:.1f} simulated hours in {wall_s:.0f} s of wall time")
    print(
        f"{sum(outcome.faults for outcome in outcomes)} faults injected, {counts['warning stream_lost']} streams lost"
    )
    print(f"{counts['call']} calls, {counts['frame']} frames, {counts['event']} events, {counts['answer']} answers")
    broken = sum(bool(outcome.violations) for outcome in outcomes)
    print(f"{sum(outcome.checks for outcome in outcomes)} checks, {broken} seeds broken")


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds (default 200)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seed", type=int, help="run this one only, and show its script")
    parser.add_argument("--without", default="", help="numbers of lines to leave out, with commas")
    parser.add_argument("--hours", type=float, default=0.0, help="simulated hours of each seed (default: minutes)")
    parser.add_argument("--seconds", type=float, default=0.0, help="begin no more seeds after this time")
    parser.add_argument("--until-broken", action="store_true", help="one after another, up to the first that breaks")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one per processor)")
    given = parser.parse_args()
    os.environ["MARKET_BACKBONE_ENV"] = "test"
    if given.until_broken:
        return run_until_broken(given.first, given.seeds, given.hours)
    if given.seed is not None:
        without = frozenset(int(number) for number in given.without.split(",") if number)
        return _show_one(given.seed, without, given.hours)
    return 0 if run_many(given.first, given.seeds, given.hours, given.jobs, given.seconds) else 1


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # else sets of text are ordered anew in each run
        sys.exit(
            subprocess.run(
                [sys.executable, *sys.argv], env={**os.environ, "PYTHONHASHSEED": "0"}, check=False
            ).returncode
        )
    sys.path.insert(0, str(HERE))
    sys.exit(main())
