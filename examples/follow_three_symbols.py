"""Follow three symbols at once, with plain and async callbacks.

Run: MARKET_BACKBONE_ENV=development python examples/follow_three_symbols.py
"""

import asyncio
from collections import Counter

from market_backbone import CandleUpdated, MarketEvent, RequestFailed, create_realtime_request, create_unified_api

SYMBOLS = ("KRW-BTC", "KRW-ETH", "KRW-XRP")
SECONDS = 4


async def main() -> None:
    """Print the live candles of three symbols for a few seconds."""
    seen: Counter[str] = Counter()

    async def on_data(event: MarketEvent | RequestFailed) -> None:
        if isinstance(event, CandleUpdated):
            seen[event.candle.symbol] += 1
            print(
                f"{event.candle.symbol} {event.candle.opened_at:%H:%M} {event.candle.close:f} {event.candle.finality}"
            )

    async with create_unified_api() as api:
        requests = [create_realtime_request(symbol, "1m", on_data) for symbol in SYMBOLS]
        ids = await asyncio.gather(*(api.request_data(request) for request in requests))
        await asyncio.sleep(SECONDS)
        for request_id in ids:
            await api.cancel_request(request_id)
    print("updates:", ", ".join(f"{symbol} {seen[symbol]}" for symbol in SYMBOLS))


if __name__ == "__main__":
    asyncio.run(main())
