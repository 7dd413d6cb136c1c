"""Plant realistic bugs, one at a time, and see which seed finds each.

    python tests/simulation/mutants.py                 all of them
    python tests/simulation/mutants.py lost-buffer     this one only

Each is planted in a copy of the package; the working tree is never touched.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PARTS = ("__init__.py", "__main__.py", "py.typed", "domain", "application", "infrastructure", "config")
MAX_SEEDS = 60
MAX_DURATION_S = 600


@frozen
class Mutant:
    """One bug: in ``file``, ``good`` (which occurs exactly once) becomes ``bad``."""

    name: str
    what: str
    file: str
    good: str
    bad: str


MUTANTS = (
    Mutant(
        "boundary",
        "the next page begins one slot too far back",
        "application/paging/candle_pager.py",
        "reached = [page.opened_at(0)] if len(page) else []",
        "reached = [page.timeframe.move(page.opened_at(0), -1)] if len(page) else []",
    ),
    Mutant(
        "lost-buffer",
        "live trades that waited for the back-fill are forgotten",
        "application/streaming/topics/trade_deduplicator.py",
        "sorted((*self._news(backfilled), *held), key=order_of_trade)",
        "sorted(self._news(backfilled), key=order_of_trade)",
    ),
    Mutant(
        "mixed-views",
        "two views of a candle are merged field by field",
        "domain/unifier.py",
        "return max(one, other, key=CandleView.rank)",
        "best = max(one, other, key=CandleView.rank)\n"
        "        from attrs import evolve\n"
        "        return evolve(best, candle=evolve(best.candle, close=other.candle.close))",
    ),
    Mutant(
        "premature-rest",
        "a row of REST is FINAL as soon as its slot is over, without the grace",
        "domain/finality.py",
        "if read_at >= closed_at + grace:",
        "if read_at >= closed_at:",
    ),
    Mutant(
        "premature-stream",
        "a stream seals a slot although the last socket may have lost its end",
        "application/streaming/topics/candle_tracker.py",
        "        self._life = _Life()\n        self.seams.begin_life()\n",
        "        self.seams.begin_life()\n",
    ),
    Mutant(
        "lost-resubscription",
        "after a reconnect only one topic is subscribed again",
        "infrastructure/upbit/stream.py",
        "await socket.subscribe(uuid.uuid4().hex, self._topics, canary=self._canary)",
        "topics = sorted(self._topics, key=str)[: 1 if self._life else None]\n"
        "            await socket.subscribe(uuid.uuid4().hex, topics, canary=self._canary)",
    ),
    Mutant(
        "newest-id",
        "trades are deduplicated by 'id greater than the last'",
        "application/streaming/topics/trade_deduplicator.py",
        "            if number not in known:\n",
        "            if self.newest is None or number > self.newest.sequential_id:\n",
    ),
    Mutant(
        "no-back-fill",
        "trades that REST reads back after a break are taken for known",
        "application/streaming/topics/trade_deduplicator.py",
        "return self._remember(filter(self._is_promised, backfilled))",
        "return []",
    ),
    Mutant(
        "blind-window",
        "the window of the budget is shorter than the server's second",
        "infrastructure/budget/shared_budget.py",
        "            second=WINDOW_S * pace.market_second_s,",
        "            second=0.9 * WINDOW_S * pace.market_second_s,",
    ),
    Mutant(
        "blind-budget",
        "one more call is sent in each second than the limit allows",
        "infrastructure/budget/window.py",
        "        if len(self.sends) < self.limit:\n            return max(now, self.blocked_until)\n"
        "        return max(now, self.blocked_until, self._ends(window, arrivals)[-self.limit] + 1e-6)",
        "        if len(self.sends) < self.limit + 1:\n            return max(now, self.blocked_until)\n"
        "        return max(now, self.blocked_until, self._ends(window, arrivals)[-self.limit - 1] + 1e-6)",
    ),
    Mutant(
        "asked-is-proven",
        "the store takes what was asked for as proven",
        "infrastructure/candle_store/ledger_rules.py",
        "told_proven = without(_whole(clip(coverage.proven, coverage.asked), timeframe), unsealed)",
        "told_proven = without(_whole((coverage.asked,), timeframe), unsealed)",
    ),
    Mutant(
        "open-socket",
        "a socket that is given up stays open",
        "infrastructure/upbit/connection.py",
        "            connection.abort()\n            await connection.wait_closed()",
        "            pass",
    ),
    Mutant(
        "lasting-task",
        "the task that pings a socket outlives it",
        "infrastructure/upbit/stream.py",
        "                keeper.cancel()\n                await asyncio.wait([keeper])",
        "                await asyncio.sleep(0)",
    ),
    Mutant(
        "early-beginning",
        "one short page proves that nothing is older",
        "application/paging/candle_pager.py",
        "        self._claim = claimed\n",
        "        self._settle_beginning(claimed, self._first)\n",
    ),
    Mutant(
        "twice-final",
        "a FINAL candle that REST repeats is delivered once more",
        "application/streaming/topics/candle_tracker.py",
        "        if not view.candle.is_same_market_data(sealed.candle):\n",
        "        if view.candle.is_same_market_data(sealed.candle):\n            yield CandleUpdated(view.candle)\n"
        "        else:\n",
    ),
    Mutant(
        "kept-frames",
        "whatever a socket brings is kept as long as it lives",
        "application/streaming/feeds/connection.py",
        "        snapshot.add(values)\n",
        "        snapshot.add(values)\n        self.seen[id(values)] = values\n",
    ),
    Mutant(
        "ignored-garbage",
        "a frame that cannot be read is dropped, and nothing is doubted",
        "application/streaming/feeds/connection_pool.py",
        "item.excerpt))\n                        subscription.state.mark_suspect()\n",
        "item.excerpt))\n",
    ),
)


def plant(mutant, folder):
    """Copy the package into a folder and plant one bug.

    Raises:
        ValueError: the code that it changes is not there any more, or there twice.

    """
    package = folder / "market_backbone"
    package.mkdir(parents=True)
    for part in PARTS:
        source, target = ROOT / part, package / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    file = package / mutant.file
    file.write_text(changed(mutant), "utf-8")


def changed(mutant):
    """Return a file's text with the bug in it; see ``plant``."""
    text = (ROOT / mutant.file).read_text("utf-8")
    if text.count(mutant.good) != 1:
        raise ValueError(
            f"{mutant.name}: expected its code once in {mutant.file}, found {text.count(mutant.good)} times"
        )
    return text.replace(mutant.good, mutant.bad)


def hunt(mutant, first, most):
    """Try seed after seed; return the seed that found the bug, how many were tried, the seconds, and what was told."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        plant(mutant, Path(folder))
        command = [
            sys.executable,
            str(HERE / "simulate.py"),
            "--until-broken",
            "--first",
            str(first),
            "--seeds",
            str(most),
        ]
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
        given = {**kept, "PYTHONPATH": folder, "PYTHONHASHSEED": "0", "MARKET_BACKBONE_ENV": "test"}
        done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=MAX_DURATION_S, check=False)
    seconds = time.perf_counter() - began
    words = done.stdout.split("\t")
    if done.returncode != 1 or len(words) != 3:
        return None, most, seconds, (done.stderr.strip().splitlines() or ["nothing was broken"])[-1]
    return int(words[0]), int(words[1]), seconds, words[2].strip()


def main():
    """Hunt every bug that was named, or all; the exit code says whether each was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="bugs to plant (default: all)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seeds", type=int, default=MAX_SEEDS, help=f"seeds to try (default {MAX_SEEDS})")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="how many at once (default: one per processor)"
    )
    given = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not given.names or mutant.name in given.names]
    print(f"| {'bug':20} | found by seed | tries | seconds | first thing that was broken |\n|---|---|---|---|---|")
    missed = 0
    with ThreadPoolExecutor(given.jobs) as pool:
        for mutant, found in zip(
            chosen, pool.map(lambda one: hunt(one, given.first, given.seeds), chosen), strict=True
        ):
            seed, tries, seconds, told = found
            missed += seed is None
            shown = "NOT FOUND" if seed is None else seed
            print(f"| {mutant.name:20} | {shown} | {tries} | {seconds:.0f} | {told[:110]} |", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} bugs found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
