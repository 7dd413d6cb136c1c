"""Candle series over REST, through the whole API; nothing comes from what is held.

Run: python ours_candles.py candles ADDRESS PAGES
"""

import time

from ours_api import opened, run
from pages import ROWS, page_ends, tell, wanted

from market_backbone import UnifiedMarketDataAPI


async def ask_all(api: UnifiedMarketDataAPI) -> tuple[list[float], list[int], float]:
    """Ask for each page, and check that it came from REST by one call, with coverage and trace."""
    times, rows, cpu = [], [], time.process_time()
    for end in page_ends(wanted()):
        began = time.perf_counter()
        series = await api.get_candles("KRW-BTC", "1m", ROWS, end=end)
        times.append(time.perf_counter() - began)
        rows.append(len(series))
        assert series.trace is not None
        assert series.trace.calls == 1
        assert not series.gaps()
    return times, rows, time.process_time() - cpu


async def main() -> None:
    """Ask with one API to prepare the server, then with another that holds nothing."""
    for is_measured in (False, True):
        async with opened(budget__requests_per_s=1_000_000) as api:
            await api.get_markets()
            figures = await ask_all(api)
            if is_measured:
                tell(*figures)


if __name__ == "__main__":
    run(main())
