"""Output errors are the user's business: told in one sentence, and never in place of the work."""

import os
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "market_backbone"]
FULL = "/dev/full"


def run(*words, **more):
    env = {**os.environ, **more.pop("env", {})}
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60, env=env, check=False, **more)


@pytest.mark.skipif(not os.path.exists(FULL), reason="this system has no /dev/full")  # noqa: PTH110 - a device
@pytest.mark.parametrize("words", [("config",), ("config", "--json")])
def test_output_that_cannot_be_written_ends_in_one_sentence_and_a_code(words):
    with open(FULL, "w") as full:  # noqa: PTH123 - a device
        ended = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "the output cannot be written: No space left on device" in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's way to close a descriptor")
def test_without_a_standard_output_one_sentence_says_so():
    shell = ["sh", "-c", '"$@" >&-', "sh", *COMMAND, "config"]
    ended = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "no standard output" in ended.stderr
    assert "Traceback" not in ended.stderr


ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
PUT = """
from market_backbone.infrastructure.cli.console import prepare_output, put
prepare_output()
put("\\u2588 \\ud55c ok")
"""


@pytest.mark.parametrize("spelling", [ASCII, {"PYTHONIOENCODING": "cp949"}])
def test_a_locale_that_cannot_spell_a_character_gets_another_in_its_place(spelling):
    env = {**os.environ, **spelling}
    ended = subprocess.run([sys.executable, "-c", PUT], capture_output=True, timeout=60, env=env, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith(b"ok\n")


def test_the_version_is_printed_alone():
    import market_backbone  # noqa: PLC0415

    ended = run("--version")
    assert (ended.returncode, ended.stdout) == (0, f"{market_backbone.__version__}\n")
