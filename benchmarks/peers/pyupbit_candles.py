"""Candles over REST by pyupbit: a data frame.

Run: python pyupbit_candles.py candles ADDRESS PAGES
"""

import asyncio
from datetime import datetime

import pyupbit.quotation_api
from pages import ROWS, time_pages
from tally import addresses


def point_at(rest: str) -> None:
    """Let it ask this address, and no other."""
    call = pyupbit.quotation_api._call_public_api
    site = "https://api.upbit.com"
    pyupbit.quotation_api._call_public_api = lambda url, **query: call(url.replace(site, rest), **query)


def ask(end: datetime) -> object:
    """Ask for one page."""
    return pyupbit.get_ohlcv("KRW-BTC", "minute1", ROWS, to=end.strftime("%Y-%m-%d %H:%M:%S"))


if __name__ == "__main__":
    point_at(addresses()[1])
    asyncio.run(time_pages(ask))
