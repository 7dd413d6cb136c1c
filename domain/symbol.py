"""Symbols: what is traded, spelled as the venue spells it."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Self

from .errors import UnknownSymbolError

_UPBIT = re.compile(r"(?P<quote>[A-Z0-9]+)-(?P<base>[A-Z0-9]+)")
_FOREIGN = re.compile(r"(?P<venue>[a-z][a-z0-9_-]*):(?P<base>[A-Z0-9.]+)/(?P<quote>[A-Z0-9.]+)(?::[A-Z0-9-]+)?")
_LONGEST = 64


class Symbol(str):
    """A market such as ``KRW-BTC`` (quote, hyphen, base), or ``binance:BTC/USDT`` of another venue.

    A symbol *is* its text: it compares, hashes and prints as the string.

    Raises:
        UnknownSymbolError: the text is not spelled like a symbol; the message says how to spell it.

    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the spelling; an existing symbol passes through unchanged."""
        if isinstance(text, cls):
            return text
        is_text = isinstance(text, str)  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        if not is_text or len(text) > _LONGEST or not (_UPBIT.fullmatch(text) or _FOREIGN.fullmatch(text)):
            raise UnknownSymbolError(_spelling_help(text))
        return super().__new__(cls, text)

    @property
    def venue_name(self) -> str | None:
        """The other venue that the symbol names, or None for the backbone's own venue."""
        return self.venue_prefix or None

    @property
    def venue_prefix(self) -> str:
        """What stands before the colon: ``binance`` of ``binance:BTC/USDT``, and "" for the backbone's own venue."""
        prefix, colon, _ = self.partition(":")
        return prefix if colon else ""

    @property
    def quote(self) -> str:
        """The currency in which prices are given: ``KRW`` of ``KRW-BTC``."""
        return self._parts()["quote"]

    @property
    def base(self) -> str:
        """The asset that is bought and sold: ``BTC`` of ``KRW-BTC``."""
        return self._parts()["base"]

    def _parts(self) -> dict[str, str]:
        match = _UPBIT.fullmatch(self) or _FOREIGN.fullmatch(self)
        return match.groupdict() if match else {}


def _spelling_help(text: object) -> str:
    shown = repr(text)[: _LONGEST + 2]
    message = f"{shown} is not a symbol; expected QUOTE-BASE in upper case such as 'KRW-BTC'"
    if not isinstance(text, str):
        return message
    venue, colon, market = text.strip().partition(":")
    if colon:
        near = f"{venue.lower()}:{market.upper().replace('-', '/').replace('_', '/')}"
        hint = f"; did you mean {near!r}?" if _FOREIGN.fullmatch(near) else ""
        return f"{message}, or after a venue's name BASE/QUOTE such as 'binance:BTC/USDT'{hint}"
    upper = text.strip().upper().replace("_", "-")
    if _UPBIT.fullmatch(upper):
        return f"{message}; did you mean {upper!r}?"
    base, slash, quote = upper.partition("/")
    if slash and _UPBIT.fullmatch(f"{quote}-{base}"):
        return f"{message}; did you mean '{quote}-{base}'?"
    return message


def nearest_symbols(text: str, known: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """Return the known symbols most like ``text``, also when quote and base were swapped."""
    names = list(known)
    swapped = "-".join(reversed(text.split("-")))
    near = [swapped] if swapped in names else []
    near += [name for name in get_close_matches(text, names, n=limit, cutoff=0.6) if name not in near]
    return tuple(near[:limit])
