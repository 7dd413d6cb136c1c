"""All promises as a part of a page, in Markdown."""

from .promises import CaseDoc, case_docs

_GROUPS = {"R": "Channels", "L": "Live channels", "S": "Stores of candles", "P": "Routing policies"}


def written(case_doc: CaseDoc) -> str:
    """Return a card in Markdown."""
    rows = {
        "Prerequisite": " and ".join(case_doc.needs) or "none",
        "Action": case_doc.action,
        "Pass criteria": case_doc.passes,
        "Skipped": " or ".join(f"without {need}" for need in case_doc.needs) or "never",
    }
    table = "\n".join(f"| {name} | {text} |" for name, text in rows.items())
    return f"#### {case_doc}\n\n| | |\n|---|---|\n{table}\n"


def render_case_docs() -> str:
    """Return all cards, group by group."""
    parts: list[str] = []
    for letter, title in _GROUPS.items():
        parts += [f"### {title}\n", *(written(case_doc) for case_doc in case_docs() if case_doc.number[0] == letter)]
    return "\n".join(parts)
