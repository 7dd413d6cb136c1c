"""Fail when a file or a function body has grown past what one reader holds in mind.

Run from the root of the repository: ``python .ci/checks/sizes.py``.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_FILE = 400
MAX_BODY = 40
PACKAGE = ("domain", "application", "infrastructure", "config")
TESTS = ("tests", "features")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    """Print every offender with its figure; return the exit code."""
    root = Path(__file__).resolve().parents[2]
    package = [*root.glob("*.py"), *python_files(root, PACKAGE)]
    offences = [
        *(offence for path in [*package, *python_files(root, TESTS)] for offence in long_file(path)),
        *(offence for path in package for offence in long_bodies(path)),
    ]
    for path, offence in offences:
        print(f"{path.relative_to(root)}{offence}")
    if not offences:
        print(f"{len(package)} files of the package: none over {MAX_FILE} lines, no body over {MAX_BODY}")
    return 1 if offences else 0


def python_files(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    """Yield the Python files below these folders, sorted within each."""
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def long_file(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file itself when it has too many lines."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > MAX_FILE:
        yield path, f": {lines} lines, at most {MAX_FILE}"


def long_bodies(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield each function of the file whose body has too many lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, Function) and (lines := body_lines(node)) > MAX_BODY:
            yield path, f":{node.lineno}: {node.name} has a body of {lines} lines, at most {MAX_BODY}"


def body_lines(function: Function) -> int:
    """Count the lines from the first statement to the last, the docstring left out."""
    statements = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    if not statements:
        return 0
    first = min([statements[0].lineno, *(d.lineno for d in getattr(statements[0], "decorator_list", []))])
    return (function.end_lineno or function.lineno) - first + 1


if __name__ == "__main__":
    sys.exit(main())
