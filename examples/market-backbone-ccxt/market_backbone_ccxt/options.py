"""What may be set, and what is set when nobody sets anything."""

from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

import ccxt
from attrs import fields_dict, frozen

from market_backbone import ConfigurationError

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@frozen(kw_only=True)
class CcxtOptions:
    """The options of both channels.

    Attributes:
        exchange: ccxt's name of the exchange; symbols begin with it: ``binance:BTC/USDT``.
        url: another server that speaks like this exchange, such as a sandbox on this machine; "" for its own.
        complete: you vouch that this exchange leaves a slot out of an answer only if nobody traded in it, and never
            cuts a page below ``candles_per_call``: what a cut page lacks would count as slots without a trade.
        candles_per_call: the largest page that is really answered; 0 for what ccxt knows of the exchange.

    """

    exchange: str = "binance"
    url: str = ""
    complete: bool = False
    candles_per_call: int = 0

    @property
    def venue(self) -> str:
        """Whose data this is: decided by the address, so that what is synthetic can never pass for real."""
        return f"custom:{urlsplit(self.url).netloc}" if self.url else self.exchange

    @classmethod
    def of(cls, given: Mapping[str, object], where: str) -> Self:
        """Read options; from an environment variable a value is text.

        Raises:
            ConfigurationError: the message names every mistake.

        """
        known = {name: str(given[name]).strip() for name in fields_dict(cls) if name in given}
        unknown = [name for name in given if name not in known]
        mistakes = [f"unknown option {name!r}; known: {', '.join(fields_dict(cls))}" for name in unknown]
        checks = {
            "exchange": (lambda text: text in ccxt.exchanges, "an exchange of ccxt"),
            "url": (_is_address, "https://host (http:// on this machine only), or ''"),
            "complete": (lambda text: text.lower() in WORDS, "true or false"),
            "candles_per_call": (str.isdecimal, "a whole number, 0 or more"),
        }
        for name, text in known.items():
            holds, expected = checks[name]
            if not holds(text):
                near = get_close_matches(text, ccxt.exchanges, n=1) if name == "exchange" else ()
                hint = f"; did you mean {near[0]!r}?" if near else ""
                mistakes.append(f"{name}: expected {expected}, got {text!r}{hint}")
        if mistakes:
            raise ConfigurationError("; ".join(f"{where}.{mistake}" for mistake in mistakes))
        convert = {"complete": lambda text: WORDS[text.lower()], "candles_per_call": int}
        return cls(**{name: convert.get(name, str)(text) for name, text in known.items()})


def _is_address(text: str) -> bool:
    if not text:
        return True
    try:
        parts = urlsplit(text)
        is_here = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = False
    is_plain = not parts.path.strip("/") and bool(parts.hostname)
    return is_plain and (parts.scheme == "https" or (parts.scheme == "http" and is_here))
