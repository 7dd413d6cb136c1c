"""Ask for candles, and for what is known about the slots without one.

Run: MARKET_BACKBONE_ENV=development python examples/first_candles.py
"""

import asyncio

from market_backbone import create_candle_request, create_unified_api


async def main() -> None:
    """Print the newest candles of KRW-BTC and how the answer came about."""
    async with create_unified_api() as api:
        series = await api.request_data_sync(create_candle_request("KRW-BTC", "1m", 300))
        newest = series[-1]
        print(f"{len(series)} candles of {series.symbol} at {series.venue}")
        print(f"newest: {newest.opened_at:%H:%M} closed at {newest.close:f}, {newest.finality}")
        print(f"quiet ranges: {len(series.quiet())}, gaps: {len(series.gaps())}")
        print(series.trace)


if __name__ == "__main__":
    asyncio.run(main())
