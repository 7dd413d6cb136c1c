"""Print the card of every promise, as ``docs/adapters.md`` has them."""

import sys

from . import markdown as chapter

sys.stdout.write(chapter.chapter())
