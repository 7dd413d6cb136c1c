"""A download by pyupbit, which pages by itself.

Run: python pyupbit_download.py candles ADDRESS COUNT SYMBOL
"""

import time

import pyupbit
from downloading import arguments, range_end, tell
from pyupbit_candles import point_at
from tally import addresses

if __name__ == "__main__":
    point_at(addresses()[1])
    count, _ = arguments()
    began = time.perf_counter()
    frame = pyupbit.get_ohlcv("KRW-BTC", "minute1", count, to=range_end().strftime("%Y-%m-%d %H:%M:%S"))
    tell(began, 0 if frame is None else len(frame))
