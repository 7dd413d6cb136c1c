"""The symbols of the seeded market and how each of them behaves."""

import attrs

from ..units import DAY, HOUR

_BTC_LISTED = 1_506_308_400_000  # 2017-09-25T03:00:00Z, the real first candle of KRW-BTC
_E8 = 10**8
_FIAT_OF_REGION = {"kr": "KRW", "sg": "SGD", "id": "IDR", "th": "THB"}
CAUTIONS = (
    "PRICE_FLUCTUATIONS",
    "TRADING_VOLUME_SOARING",
    "DEPOSIT_AMOUNT_SOARING",
    "GLOBAL_PRICE_DIFFERENCES",
    "CONCENTRATION_OF_SMALL_ACCOUNTS",
)


@attrs.frozen
class SymbolSpec:
    """One market: its names, its flags, and the parameters of its trade process.

    ``rates`` are mean trades a minute in quiet, usual and busy hours. ``open_hours`` (from, to) closes
    the market outside those UTC hours. ``book_depth`` below 30 leaves zero units in the book, whose
    changes lie on a grid of ``book_grid_ms``.
    """

    symbol: str
    korean_name: str
    english_name: str
    price: int
    rates: tuple[float, float, float]
    mean_volume: float
    listed_ms: int = _BTC_LISTED
    trend: float = 0.0
    open_hours: tuple[int, int] = (0, 24)
    book_depth: int = 30
    book_grid_ms: int = 100
    warning: bool = False
    cautions: tuple[str, ...] = ()

    @property
    def quote(self) -> str:
        """The currency in which the price is given."""
        return self.symbol.partition("-")[0]

    @property
    def base(self) -> str:
        """The currency that is traded."""
        return self.symbol.partition("-")[2]


_BUSY = (30.0, 75.0, 160.0)
_LIVELY = (15.0, 40.0, 90.0)
_USUAL = (6.0, 15.0, 40.0)
_SLOW = (1.5, 4.0, 9.0)
_THIN = (0.2, 0.33, 0.5)
_RARE = (0.01, 0.02, 0.03)


def specs(region: str, start_ms: int) -> tuple[SymbolSpec, ...]:
    """Return every market of a region; outside Korea the fiat currency has another code."""
    fiat = _FIAT_OF_REGION[region]
    today = start_ms // DAY * DAY
    rows = (*_won_markets(today), *_other_markets())
    return tuple(attrs.evolve(row, symbol=row.symbol.replace("KRW-", f"{fiat}-")) for row in rows)


def _won_markets(today: int) -> tuple[SymbolSpec, ...]:
    return (
        SymbolSpec("KRW-BTC", "비트코인", "Bitcoin", 118_000_000 * _E8, _BUSY, 0.012, trend=3.6),
        SymbolSpec("KRW-ETH", "이더리움", "Ethereum", 4_400_000 * _E8, _LIVELY, 0.3, trend=2.4),
        SymbolSpec("KRW-XRP", "리플", "XRP", 3_100 * _E8, _LIVELY, 420.0, trend=2.2),
        SymbolSpec("KRW-SOL", "솔라나", "Solana", 215_000 * _E8, _USUAL, 4.0, listed_ms=_BTC_LISTED + 1_483 * DAY),
        SymbolSpec("KRW-DOGE", "도지코인", "Dogecoin", 240 * _E8, _USUAL, 5_200.0, listed_ms=_BTC_LISTED + 1_248 * DAY),
        SymbolSpec("KRW-ADA", "에이다", "Cardano", 820 * _E8, _USUAL, 900.0, trend=1.0, cautions=CAUTIONS[3:4]),
        SymbolSpec("KRW-USDT", "테더", "Tether", 1_420 * _E8, _USUAL, 700.0, listed_ms=_BTC_LISTED + 2_447 * DAY),
        SymbolSpec(
            "KRW-POL", "폴리곤에코시스템토큰", "POL", 290 * _E8, _SLOW, 800.0, listed_ms=_BTC_LISTED + 1_481 * DAY
        ),
        SymbolSpec("KRW-1INCH", "1인치네트워크", "1inch Network", 310 * _E8, _SLOW, 350.0, cautions=CAUTIONS[:2]),
        SymbolSpec("KRW-AWE", "에이더블유이", "AWE", 75 * _E8, _THIN, 2_400.0, book_grid_ms=3_000, warning=True),
        SymbolSpec("KRW-STRAX", "스트라티스", "Stratis", 52 * _E8, _SLOW, 3_000.0, open_hours=(0, 12)),
        SymbolSpec("KRW-KAIA", "카이아", "Kaia", 160 * _E8, _SLOW, 1_500.0, listed_ms=today - 2 * DAY + 13 * HOUR),
    )


def _other_markets() -> tuple[SymbolSpec, ...]:
    return (
        SymbolSpec("BTC-ETH", "이더리움", "Ethereum", 3_700_000, _SLOW, 0.08, book_depth=24, book_grid_ms=400),
        SymbolSpec("BTC-XRP", "리플", "XRP", 2_600, _THIN, 300.0, book_depth=11, book_grid_ms=2_000),
        SymbolSpec("USDT-BTC", "비트코인", "Bitcoin", 83_000 * _E8, _SLOW, 0.004, book_depth=26, book_grid_ms=500),
        SymbolSpec(
            "USDT-DOGE", "도지코인", "Dogecoin", _E8 * 17 // 100, _RARE, 700.0, book_depth=4, book_grid_ms=30_000
        ),
    )
