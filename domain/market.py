"""What a venue lists."""

from decimal import Decimal

from attrs import frozen

from .symbol import Symbol


@frozen(kw_only=True)
class Market:
    """One listed market and what the venue warns of.

    Attributes:
        is_warned: designated as an investment warning (Korean hosts: ``market_event.warning``;
            elsewhere: ``market_warning`` is not ``NONE``).
        cautions: names of the caution flags in force, such as ``PRICE_FLUCTUATIONS``; empty on
            hosts that do not tell.

    """

    symbol: Symbol
    english_name: str
    korean_name: str | None = None
    is_warned: bool = False
    cautions: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Instrument:
    """The price step of one market and the groupings that its book offers."""

    symbol: Symbol
    quote: str
    tick_size: Decimal
    supported_levels: tuple[Decimal, ...]
