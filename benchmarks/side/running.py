"""Starts server and clients, each in its environment, on its core and within its time. Standard library only."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from side import machine

BENCHMARKS = Path(__file__).resolve().parents[1]
MAX_CLIENT_S = 40.0
CONTROL_S = 10.0
Outcome = dict[str, Any]


def environment() -> dict[str, str]:
    """Return the variables of a child: the sandbox's settings, and no path of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MARKET_BACKBONE"))}
    return kept | {"MARKET_BACKBONE_ENV": "test"}


@dataclass
class Market:
    """The server, from here."""

    url: str
    process: "subprocess.Popen[str]"

    def plan(self, **plan: object) -> None:
        """Say what the next sockets get."""
        self._ask("plan", json.dumps(plan).encode())

    def report(self) -> Outcome:
        """Return what the sockets got, and what was asked."""
        return self._ask("report")

    def _ask(self, path: str, body: bytes | None = None) -> Outcome:
        request = urllib.request.Request(f"{self.url}/bench/{path}", data=body)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=CONTROL_S) as reply:  # noqa: S310 - as above
            return json.load(reply)


@contextmanager
def market(python: Path | str = sys.executable, *options: str) -> Iterator[Market]:
    """Run the server on its core."""
    core = (machine.cores() or (None, None))[0]
    process = subprocess.Popen(
        [python, BENCHMARKS / "side" / "market.py", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=partial(machine.pin, core),  # noqa: PLW1509 - no threads here
    )
    try:
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            msg = "the server of the bench did not start"
            raise RuntimeError(msg)
        yield Market(url, process)
    finally:
        process.kill()
        process.wait()


@dataclass
class Client:
    """A script of ``peers``, and the environment that it needs.

    Attributes:
        name: how the results call it.
        python: the interpreter of its environment.

    """

    name: str
    python: Path | str
    script: str
    options: list[str] = field(default_factory=list)

    def run(self, *arguments: object, longest_s: float = MAX_CLIENT_S) -> Outcome:
        """Return what the client printed last, or why it failed."""
        core = (machine.cores() or (None, None))[1]
        process = subprocess.Popen(
            [self.python, BENCHMARKS / "peers" / self.script, *self.options, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,
            preexec_fn=partial(machine.pin, core),  # noqa: PLW1509 - no threads here
        )
        try:
            out, err = process.communicate(timeout=longest_s)
        except subprocess.TimeoutExpired:
            return {"failed": f"did not end within {longest_s:g} s"}
        finally:
            _end(process)
        return _outcome(process.returncode, out, err)


def _end(process: "subprocess.Popen[str]") -> None:
    """Kill the client and whatever it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _outcome(code: int, out: str, err: str) -> Outcome:
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if lines:
        return json.loads(lines[-1])
    said = (err.strip().splitlines() or ["nothing"])[-1]
    return {"failed": f"exit code {code}: {said[:160]}"}
