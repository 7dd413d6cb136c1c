"""The cards of all promises as a chapter of a book, in Markdown."""

from .promises import Card, cards

_GROUPS = {
    "R": "Channels",
    "L": "Live channels",
    "S": "Stores of candles",
    "P": "Routing policies",
}


def written(card: Card) -> str:
    """Return a card in Markdown."""
    rows = {
        "Prerequisite": " and ".join(card.needs) or "none",
        "Action": card.action,
        "Pass criteria": card.passes,
        "Skipped": " or ".join(f"without {need}" for need in card.needs) or "never",
    }
    table = "\n".join(f"| {name} | {text} |" for name, text in rows.items())
    return f"#### {card}\n\n| | |\n|---|---|\n{table}\n"


def chapter() -> str:
    """Return all cards, group by group."""
    parts: list[str] = []
    for letter, title in _GROUPS.items():
        parts += [f"### {title}\n", *(written(card) for card in cards() if card.number[0] == letter)]
    return "\n".join(parts)
