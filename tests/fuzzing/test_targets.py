"""Whatever strangers' bytes are: no crash, no hang, and no error but ours.

A bounded part of what ``make fuzz`` does; crashers that it found are tried here for ever after.
"""

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import TARGETS

HERE = Path(__file__).parent
EXAMPLES = {"cache_file": 40, "settings": 40, "recording": 100}
USUAL = 150
MAX_DURATION_S = 5.0
CRASHERS = sorted(HERE.glob("crashers/*/*"))
WORDS = [
    json.loads(line.replace("\\x", "\\u00")).encode("latin-1")
    for line in (HERE / "words.dict").read_text(encoding="utf-8").splitlines()
    if line.startswith('"')
]


@st.composite
def spoiled(draw, name):
    """An example with a few places overwritten, cut out, doubled, or filled with a word that hurts."""
    data = draw(st.sampled_from(TARGETS[name].seeds()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        beyond = min(len(data), at + draw(st.integers(0, 40)))
        piece = draw(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8), st.just(data[at:beyond] * 2)))
        data = data[:at] + piece + data[beyond:]
    return data


def run(name, data):
    began = time.monotonic()
    TARGETS[name].run(data)
    assert time.monotonic() - began < MAX_DURATION_S


@pytest.mark.parametrize("name", TARGETS)
def test_an_example_that_nobody_spoiled_is_understood(name):
    for data in TARGETS[name].seeds():
        run(name, data)


@pytest.mark.parametrize("name", TARGETS)
def test_bytes_of_strangers_end_in_values_or_in_errors_of_ours(name):
    @settings(
        max_examples=EXAMPLES.get(name, USUAL),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(spoiled(name), st.binary(max_size=300)))
    def check(data):
        run(name, data)

    check()


@pytest.mark.parametrize("path", CRASHERS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_crashed_once_does_not_crash_again(path):
    run(path.parent.name, path.read_bytes())
