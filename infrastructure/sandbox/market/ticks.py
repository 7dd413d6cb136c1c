"""Price steps of every quote currency, and the levels to which a KRW book can be grouped.

Source: facts/upbit-api.md section 5; KRW table in force since 2025-07-31, USDT since 2024-08-19.
All values count units of 1e-8.
"""

_E8 = 10**8
_FIAT = (
    (1_000_000 * _E8, 1_000 * _E8),
    (500_000 * _E8, 500 * _E8),
    (100_000 * _E8, 100 * _E8),
    (50_000 * _E8, 50 * _E8),
    (10_000 * _E8, 10 * _E8),
    (5_000 * _E8, 5 * _E8),
    (100 * _E8, _E8),
    (10 * _E8, _E8 // 10),
    (_E8, _E8 // 100),
    (_E8 // 10, _E8 // 1_000),
    (_E8 // 100, _E8 // 10_000),
    (_E8 // 1_000, 1_000),
    (_E8 // 10_000, 100),
    (1_000, 10),
)
_USDT = (
    (10 * _E8, _E8 // 100),
    (_E8, _E8 // 1_000),
    (_E8 // 10, _E8 // 10_000),
    (_E8 // 100, 1_000),
    (_E8 // 1_000, 100),
    (_E8 // 10_000, 10),
)
_TABLES = {"USDT": _USDT, "BTC": ()}
_LEVELS = 5


def tick_size(quote: str, price: int) -> int:
    """Return the price step of a market quoted in ``quote`` at ``price``."""
    for bound, tick in _TABLES.get(quote, _FIAT):
        if price >= bound:
            return tick
    return 1


def supported_levels(quote: str, price: int) -> tuple[int, ...]:
    """Return the units to which a book can be grouped; only KRW books have more than 0 (none)."""
    if quote != "KRW":
        return (0,)
    tick = tick_size(quote, price)
    return (0, *(tick * 10**power for power in range(1, _LEVELS + 1)))
