"""One page of 200 candles: from bytes to a series, beside bare JSON.

Run: python benchmarks/decode.py
"""

import json
import statistics
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from market_backbone import CandleSeries, Symbol, Timeframe
from market_backbone.domain.coverage import PageRead, page_coverage
from market_backbone.domain.finality import Grace
from market_backbone.infrastructure.upbit.rest_decoding import Origin, decode_candles, to_candle_page

ROUNDS, REPEATS = 30, 10
START = datetime(2026, 11, 1, tzinfo=UTC)
BTC = Symbol("KRW-BTC")


def make_body() -> bytes:
    """Return a page in the exchange's own spelling: newest first, eight decimals."""
    rows = []
    for minute in reversed(range(200)):
        opened = (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S")
        rows.append(
            f'{{"market":"KRW-BTC","candle_date_time_utc":"{opened}","candle_date_time_kst":"{opened}",'
            '"opening_price":103600000.00000000,"high_price":103600000.00000000,"low_price":103425000.00000000,'
            '"trade_price":103460000.00000000,"timestamp":1773240059132,'
            '"candle_acc_trade_price":164899503.14206000,"candle_acc_trade_volume":1.59335120,"unit":1}'
        )
    return f"[{','.join(rows)}]".encode()


def ours(body: bytes) -> CandleSeries:
    """Decode, validate, judge finality, prove coverage, and build the series."""
    read_at = START + timedelta(minutes=400)
    grace = Grace()
    page = to_candle_page(body, BTC, Timeframe.M1, Origin(venue="upbit-kr", read_at=read_at), grace)
    read = PageRead(to=None, count=200, read_at=read_at, grace=grace.of(Timeframe.M1))
    coverage = page_coverage([candle.opened_at for candle in page.candles], Timeframe.M1, read)
    return CandleSeries.of("upbit-kr", BTC, Timeframe.M1, page.candles, coverage)


WORK = {
    "json, floats, bare dicts": json.loads,
    "json, Decimal, bare dicts": lambda body: json.loads(body, parse_float=Decimal),
    "market-backbone, typed rows only": decode_candles,
    "market-backbone, whole series": ours,
}


def main() -> None:
    """Print the median of each, and its ratio to the first."""
    body = make_body()
    taken = {name: [] for name in WORK}
    for _ in range(ROUNDS):
        for name, work in WORK.items():
            began = time.perf_counter()
            for _ in range(REPEATS):
                work(body)
            taken[name].append((time.perf_counter() - began) / REPEATS * 1000)
    reference = statistics.median(taken["json, floats, bare dicts"])
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:<34} {median:7.3f} ms  {median / reference:5.2f} x")


if __name__ == "__main__":
    main()
