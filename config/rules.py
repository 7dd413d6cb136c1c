"""What a setting's value may be, in words that an error can repeat."""

import math
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from attrs import Attribute, frozen

from ..domain.errors import ConfigurationError


@frozen
class Rule:
    """An attrs validator that can say beforehand what it expects.

    Attributes:
        expected: completes the sentence "expected …".
        holds: whether a value of the right type is acceptable.

    """

    expected: str
    holds: Callable[[Any], bool]

    def __call__(self, _instance: object, attribute: "Attribute[Any]", value: object) -> None:
        """Raise ConfigurationError for a value that does not keep the rule."""
        if not self.holds(value):
            raise ConfigurationError(f"{attribute.name}: expected {self.expected}, got {value!r}")


def one_of(choices: tuple[str, ...]) -> Rule:
    """Accept one of a few words."""
    return Rule(f"one of {', '.join(choices)}", lambda word: word in choices)


def whole_number(least: int, most: int | None = None) -> Rule:
    """Accept an integer from ``least`` to ``most``, both included."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    return Rule(f"a whole number {bounds}", lambda number: least <= number <= (number if most is None else most))


def is_loopback(host: str) -> bool:
    """Return whether packets to this host never leave the machine, without asking DNS."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def address(secure: str, plain: str) -> Rule:
    """Accept an address of scheme ``secure``; of scheme ``plain`` on this machine only; or the empty text."""

    def holds(text: str) -> bool:
        parts = _split(text)
        if parts is None or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            return text == ""
        return parts.scheme == secure or (parts.scheme == plain and is_loopback(parts.hostname))

    words = f"an address like {secure}://host with no user and no query ({plain}:// for loopback hosts only), or ''"
    return Rule(words, holds)


def _split(text: str) -> SplitResult | None:
    if not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for a port that is not a number below 65536
    except ValueError:
        return None
    return parts


FLAG = Rule("true or false", lambda _: True)
NAME = Rule("a name, not empty", bool)
PATH = Rule("a path, or '' for the default", lambda text: "\0" not in text)
PATTERNS = Rule("a list of names, '*' allowed in each", all)
SECONDS = Rule("a number of seconds above 0", lambda number: 0 < number < math.inf)
DELAY = Rule("a number of seconds, 0 or more", lambda number: 0 <= number < math.inf)
SPEED = Rule("a number above 0, at most 1000", lambda number: 0 < number <= 1000)  # noqa: PLR2004 - as the words say
OPTIONS = Rule("one table of options a channel, such as [plugins.options.files]", lambda _: True)
DELAYS = Rule("a table of timeframe = seconds, each 0 or more", lambda table: all(map(DELAY.holds, table.values())))
