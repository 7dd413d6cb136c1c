"""Fuzz one target, guided by coverage: ``python tests/fuzzing/fuzz.py TARGET SECONDS``.

Needs the extra ``fuzz`` (atheris). An input that crashes, hangs or eats memory is written to
``tests/fuzzing/crashers/TARGET/``, where the property tests try it for ever after.
"""

import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["market_backbone"]):
    from targets import TARGETS

HERE = Path(__file__).parent
MAX_DURATION_S, MAX_MB, LARGEST_INPUT = 10, 2048, 65_536


def main():
    """Run one target for so many seconds."""
    name, seconds = sys.argv[1], int(sys.argv[2])
    target = TARGETS[name]
    warnings.simplefilter("ignore")
    crashers = HERE / "crashers" / name
    crashers.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds()):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        options = {
            "max_total_time": seconds,
            "timeout": MAX_DURATION_S,
            "rss_limit_mb": MAX_MB,
            "max_len": LARGEST_INPUT,
            "artifact_prefix": f"{crashers}/",
            "dict": HERE / "words.dict",
            "print_final_stats": 1,
            "verbosity": 1,
        }
        atheris.Setup([sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), corpus], target.run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
