"""A wheel of the checkout, and fresh environments to install it into, as a stranger would."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFTOVERS = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


def run(*command, cwd=None, env=None):
    """Run a command to its end; answers what it said."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build_wheel(folder):
    """Build the wheel from a copy: nothing of the build stays in the checkout."""
    source = folder / "checkout"
    shutil.copytree(ROOT, source, ignore=LEFTOVERS)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "wheel", source)
    (built,) = (folder / "wheel").glob("*.whl")
    return built


def make_environment(folder, *packages):
    """Make a virtual environment with some packages; answers its interpreter."""
    venv.create(folder, with_pip=True)
    interpreter = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    run(interpreter, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", *packages)
    return interpreter
