"""Print the card of every promise, as ``docs/adapters.md`` has them."""

import sys

from .markdown import render_case_docs

sys.stdout.write(render_case_docs())
