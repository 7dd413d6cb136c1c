"""Download a day, look at what is held of it, and check it against itself.

Run: MARKET_BACKBONE_ENV=development python examples/download_and_audit.py
Interrupt it and run it again: against the exchange it goes on where it stopped.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from market_backbone import Progress, create_unified_api

SYMBOLS = ("KRW-BTC", "KRW-ETH")
START = datetime(2026, 11, 10, tzinfo=UTC)


def show(progress: Progress) -> None:
    """Print how far a download is."""
    print(f"{progress.key.symbol}: back to {progress.reached.start:%H:%M}, {progress.calls} calls")


async def main() -> None:
    """Bring a day of two symbols to disk, and audit it."""
    async with create_unified_api() as api:
        end = START + timedelta(days=1)
        for done in await api.download(SYMBOLS, "1m", start=START, end=end, on_progress=show):
            print(f"{done.report.rows} candles in {done.report.slots} slots, complete: {done.report.is_complete}")
            print(done.report.strip())
        for symbol in SYMBOLS:
            report = await api.audit(symbol, START.date())
            print(f"{symbol}: {report.compared} longer candles, {len(report.differences)} differ from their minutes")


if __name__ == "__main__":
    asyncio.run(main())
