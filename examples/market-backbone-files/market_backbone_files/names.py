"""Which series a file holds, read from its name. Pure.

    KRW-BTC-1m.csv   KRW-BTC/1m.parquet     Upbit's spelling: a hyphen, the quote currency first
    BTC_USDT-5m.feather   BTC_USDT/5m.json  freqtrade's: an underscore, the base first

A file of another name must carry the columns ``symbol`` and ``timeframe``, as our own exports do.
"""

import re
from pathlib import PurePath
from typing import Self

from attrs import frozen

from market_backbone import Symbol, Timeframe, UnknownSymbolError, UnsupportedRequestError

ENDINGS = (".csv", ".parquet", ".feather", ".arrow", ".json")
_COIN = r"[A-Z0-9.]+"
_PAIR = re.compile(rf"(?:[a-z][a-z0-9_-]*:)?(?P<first>{_COIN})(?P<between>[-_/])(?P<second>{_COIN})")
_NAME = re.compile(rf"(?P<pair>{_COIN}[-_]{_COIN})[-_.](?P<frame>\d+[smhdwMy])")


@frozen
class Pair:
    """What is traded for what."""

    base: str
    quote: str

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Read ``KRW-BTC``, ``BTC_KRW``, ``BTC/KRW`` or ``binance:BTC/KRW``; None for another text."""
        found = _PAIR.fullmatch(text)
        if found is None:
            return None
        is_quote_first = found["between"] == "-"
        return cls(found["second"], found["first"]) if is_quote_first else cls(found["first"], found["second"])

    def symbol(self, prefix: str) -> Symbol | None:
        """Return the symbol by which it is asked for; None where none can be spelled so."""
        try:
            return Symbol(f"{prefix}:{self.base}/{self.quote}" if prefix else f"{self.quote}-{self.base}")
        except UnknownSymbolError:
            return None


@frozen
class Series:
    """What one question about candles is about."""

    symbol: Symbol
    timeframe: Timeframe

    @classmethod
    def of(cls, pair: str, frame: str, prefix: str) -> Self | None:
        """Return the series of a pair and a timeframe, both as text; None where one of them is not known."""
        found = Pair.of(pair)
        symbol = None if found is None else found.symbol(prefix)
        try:
            return None if symbol is None else cls(symbol, Timeframe.parse(frame))
        except UnsupportedRequestError:
            return None

    @classmethod
    def of_file(cls, path: PurePath, prefix: str) -> Self | None:
        """Return the series that a file is named after; None where its name tells none."""
        named = _NAME.fullmatch(path.stem)
        if named is not None:
            return cls.of(named["pair"], named["frame"], prefix)
        return cls.of(path.parent.name, path.stem, prefix)
