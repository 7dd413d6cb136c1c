"""Text of strangers, made fit for a terminal and a log: what they sent must not move the cursor or forge a line."""

EXCERPT = 160


def sanitize(text: str, *, keep: str = "") -> str:
    r"""Return the text with everything that is not printable, except ``keep``, written out as ``\u001b``.

    Inside the strings of a line of JSON that spelling means the same letter.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in keep else _spelled(letter) for letter in text)


def _spelled(letter: str) -> str:
    digits = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{digits[at : at + 4]}" for at in range(0, len(digits), 4))


def excerpt(body: bytes | str) -> str:
    """Return the beginning of an offending text, on one line, with nothing that a terminal would obey."""
    text = body if isinstance(body, str) else body[: EXCERPT * 4].decode("utf-8", "replace")
    line = sanitize(" ".join(text[: EXCERPT * 2].split()))
    return line if len(line) <= EXCERPT else f"{line[:EXCERPT]}…"
