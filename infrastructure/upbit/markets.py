"""Which symbols exist, and what a 404 therefore means. No I/O."""

from collections.abc import Iterable

from attrs import define, field

from ...domain.errors import ChannelUnavailableError, SymbolDelistedError, UnknownSymbolError
from ...domain.market import Market
from ...domain.symbol import Symbol, nearest_symbols


@define
class MarketList:
    """The listed markets as last read, and every symbol ever seen.

    Invariant: a symbol that was listed once is never called unknown.
    """

    refresh_s: float = 10.0
    _markets: tuple[Market, ...] = ()
    _listed: frozenset[Symbol] = frozenset()
    _seen: set[Symbol] = field(factory=set[Symbol])
    _read_at: float | None = None

    @property
    def markets(self) -> tuple[Market, ...]:
        """Every market of the last reading."""
        return self._markets

    @property
    def is_loaded(self) -> bool:
        """Whether the list was ever read."""
        return self._read_at is not None

    def may_refresh(self, now: float) -> bool:
        """Whether the list is old enough to be asked for again."""
        return self._read_at is None or now - self._read_at >= self.refresh_s

    def update(self, markets: Iterable[Market], now: float) -> None:
        """Take a new reading."""
        self._markets = tuple(markets)
        self._listed = frozenset(market.symbol for market in self._markets)
        # Kept for ever: a code that was seen and is gone is delisted, one that was never seen is a typo.
        self._seen |= self._listed
        self._read_at = now

    def remember(self, symbol: Symbol) -> None:
        """Note that the venue answered with data about this symbol."""
        self._seen.add(symbol)

    def is_listed(self, symbol: Symbol) -> bool:
        """Return whether the last reading held the symbol."""
        return symbol in self._listed

    def explain_missing(self, symbol: Symbol, *, channel: str) -> Exception:
        """Return what it means that the venue knows no such code, given the latest reading."""
        if self.is_listed(symbol):
            msg = f"{symbol} is listed, yet was answered with 'Code not found'; try again"
            return ChannelUnavailableError(msg, channel=channel)
        if symbol in self._seen:
            msg = f"{symbol} is no longer listed; the exchange answers nothing about it any more"
            return SymbolDelistedError(msg)
        near = nearest_symbols(symbol, [str(market.symbol) for market in self._markets])
        hint = f"; did you mean {' or '.join(near)}?" if near else "; 'market-backbone markets' lists what exists"
        msg = f"unknown symbol {str(symbol)!r}{hint}"
        return UnknownSymbolError(msg)
