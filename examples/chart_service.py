"""A service of *your* application that gets market data injected and never learns what stands behind it.

Run: MARKET_BACKBONE_ENV=development python examples/chart_service.py
"""

import asyncio
from dataclasses import dataclass

from dependency_injector import containers, providers

from market_backbone import MarketDataRepository, UnifiedMarketDataRepository, create_unified_api


@dataclass(frozen=True)
class Chart:
    """What a screen draws."""

    title: str
    closes: list[float]
    is_complete: bool


class ChartDataApplicationService:
    """Knows the port, and nothing of REST, sockets or disks."""

    def __init__(self, repository: MarketDataRepository) -> None:
        """Use whatever brings market data."""
        self._repository = repository

    async def load_chart(self, symbol: str, timeframe: str, count: int) -> Chart:
        """Return a chart that says whether anything in it is missing."""
        series = await self._repository.get_candles(symbol, timeframe, count)
        closes = [float(candle.close) for candle in series]
        return Chart(f"{symbol} {timeframe}", closes, is_complete=not series.gaps())


class ApplicationContainer(containers.DeclarativeContainer):
    """Your application's wiring: the only place where the backbone is named."""

    api = providers.Dependency()
    repository = providers.Singleton(UnifiedMarketDataRepository, api)
    charts = providers.Factory(ChartDataApplicationService, repository)


async def main() -> None:
    """Draw one chart in the terminal."""
    async with create_unified_api() as api:
        container = ApplicationContainer(api=api)
        chart = await container.charts().load_chart("KRW-BTC", "5m", 60)
    low, high = min(chart.closes), max(chart.closes)
    bars = "▁▂▃▄▅▆▇█"
    heights = [int((close - low) / ((high - low) or 1) * (len(bars) - 1)) for close in chart.closes]
    print(f"{chart.title}: {'complete' if chart.is_complete else 'with gaps'}, {low:,.0f} to {high:,.0f}")
    print("".join(bars[height] for height in heights))


if __name__ == "__main__":
    asyncio.run(main())
