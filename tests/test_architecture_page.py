"""The page that shows the house shows it as it stands."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LAYERS = ("domain", "application", "config", "infrastructure")


def test_the_tree_lists_every_package_and_the_modules_of_the_application_that_stand_alone():
    tree = PAGE.split("## The tree")[1].split("```")[1]
    listed = {line.split()[0].rstrip("/") for line in tree.strip().splitlines()}
    packages = {str(path.parent.relative_to(ROOT)) for layer in LAYERS for path in (ROOT / layer).rglob("__init__.py")}
    alone = {str(path.relative_to(ROOT)) for path in (ROOT / "application").glob("*.py") if path.name != "__init__.py"}
    assert listed == packages | alone


def test_every_module_that_the_page_names_exists():
    named = set(re.findall(r"`((?:application|domain|infrastructure)/[\w/]+\.py)`", PAGE))
    named |= {
        f"application/{name}.py"
        for name in re.findall(r"\b((?:requests|routing|cache|paging|archive|scheduling)/\w+)", PAGE)
    }
    named |= {f"application/streaming/{name}.py" for name in re.findall(r"\b((?:feeds|topics|delivery)/\w+)", PAGE)}
    named |= {f"infrastructure/{name}.py" for name in re.findall(r"\b((?:upbit|candle_store)/\w+)", PAGE)}
    assert {name for name in named if not (ROOT / name).is_file()} == set()
