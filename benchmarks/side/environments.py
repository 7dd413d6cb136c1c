"""One virtual environment for each client, so that no two have to agree about a version. Standard library only."""

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".bench"
PINS = ROOT / "benchmarks" / "pins.toml"
MAX_INSTALL_S = 600


def python_of(name: str) -> Path:
    """Return the interpreter of an environment."""
    return HOME / "venvs" / name / "bin" / "python"


def install_all() -> None:
    """Build what is not there yet, or was built for other pins."""
    for name, entry in tomllib.loads(PINS.read_text()).items():
        packages = [text.format(root=ROOT) for text in entry["packages"]]
        stamp = HOME / "venvs" / name / ".installed"
        wanted = _digest(packages)
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"installing {' '.join(packages)} into {stamp.parent.relative_to(ROOT)} ...", flush=True)
            _install(name, packages)
            stamp.write_text(wanted)


def _digest(packages: list[str]) -> str:
    """Tell pins apart, and for our own package what it depends on."""
    text = [*packages, sys.version, (ROOT / "pyproject.toml").read_text() if "-e" in packages else ""]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


def _install(name: str, packages: list[str]) -> None:
    folder = HOME / "venvs" / name
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=MAX_INSTALL_S)
    command = [python_of(name), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    subprocess.run(command, check=True, timeout=MAX_INSTALL_S, stderr=subprocess.DEVNULL)


def versions_of(name: str) -> dict[str, str]:
    """Return the versions of everything in an environment."""
    command = [python_of(name), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = subprocess.run(command, check=True, capture_output=True, timeout=MAX_INSTALL_S).stdout
    return {one["name"].lower(): one["version"] for one in json.loads(listed)}
