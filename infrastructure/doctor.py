"""What ``market-backbone doctor`` examines."""

import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

from attrs import frozen

from ..application.api import UnifiedMarketDataAPI
from ..config import Settings
from ..domain.capabilities import DataKind
from ..domain.errors import MarketDataError
from ..domain.ports import CandleCache, Channel, MarketDirectory
from ..domain.timestamps import to_text
from .clock import read_wall_clock
from .upbit import UpbitRest

WELCOME_OFFSET = timedelta(seconds=2)
PROBE = "KRW-BTC"


@frozen
class Finding:
    """One thing that was looked at, what was found, and what to do if it is wrong."""

    what: str
    is_ok: bool
    found: str
    advice: str = ""


async def examine(api: UnifiedMarketDataAPI, settings: Settings) -> list[Finding]:
    """Look at everything that a running backbone needs."""
    findings: list[Finding] = []
    for name, channel in api.channels.items():
        if isinstance(channel, CandleCache):
            findings.append(await _store(channel))
            continue
        findings.append(await _reach(name, channel))
        if isinstance(channel, UpbitRest):
            findings += [_budget(channel), _clock(channel)]
    findings.append(_folder(settings.cache_folder()))
    return findings


async def _reach(name: str, channel: Channel) -> Finding:
    what = f"channel {name}"
    try:
        found = await _probe(channel)()
    except MarketDataError as error:
        advice = (
            "check the network, the address in 'market-backbone config', and whether the exchange is under maintenance"
        )
        return Finding(what, is_ok=False, found=str(error), advice=advice)
    return Finding(what, is_ok=True, found=found)


def _probe(channel: Channel) -> Callable[[], Awaitable[str]]:
    async def ask_price() -> str:
        symbol = channel.capabilities.canary or PROBE
        ticker = await channel.get_ticker(symbol)
        return f"answers; {ticker.symbol} last traded at {to_text(ticker.traded_at)}"

    async def ask_list() -> str:
        """Ask a channel of another venue, or one without prices, what it lists."""
        if not isinstance(channel, MarketDirectory):
            return "was not asked: nothing is known of it that could be asked for"
        return f"answers; {len(await channel.get_markets())} markets"

    able = channel.capabilities
    return ask_price if DataKind.TICKER in able.answers and not able.venue_prefix else ask_list


def _budget(rest: UpbitRest) -> Finding:
    remaining = rest.client.last_remaining
    if remaining is None:
        advice = "a proxy may remove the header Remaining-Req; the limits are then kept by count alone"
        return Finding("budget header", is_ok=False, found="no reply carried Remaining-Req", advice=advice)
    found = f"group {remaining.group}: {remaining.left} of {remaining.per_second} calls left this second"
    return Finding("budget header", is_ok=True, found=found)


def _clock(rest: UpbitRest) -> Finding:
    earliest, latest = rest.client.server_time.earliest(), rest.client.server_time.latest()
    if earliest is None or latest is None:
        advice = "no reply carried a Date; candles cannot become final without it"
        return Finding("clock", is_ok=False, found="the server's time is not known", advice=advice)
    wall = read_wall_clock()
    if earliest - WELCOME_OFFSET <= wall <= latest + WELCOME_OFFSET:
        return Finding("clock", is_ok=True, found=f"within {_offset(wall, earliest, latest):.1f} s of the server")
    found = f"this computer is off by {_offset(wall, earliest, latest):+.0f} s"
    advice = "harmless for the data (finality uses the server's clock); to mend it, turn on network time"
    return Finding("clock", is_ok=False, found=found, advice=advice)


def _offset(wall: datetime, earliest: datetime, latest: datetime) -> float:
    if wall < earliest:
        return (wall - earliest).total_seconds()
    return max(0.0, (wall - latest).total_seconds())


async def _store(cache: CandleCache) -> Finding:
    what = "candle store"
    try:
        lines = await cache.store.inventory()
    except MarketDataError as error:
        advice = "answers go on without it, but nothing is remembered"
        return Finding(what, is_ok=False, found=str(error), advice=advice)
    held, aside = (
        [line for line in lines if not line.quarantine_reason],
        [line for line in lines if line.quarantine_reason],
    )
    found = f"{sum(line.rows for line in held)} candles of {len(held)} series"
    return Finding(what, is_ok=True, found=found + (f", {len(aside)} series set aside" if aside else ""))


def _folder(folder: Path) -> Finding:
    what = "cache folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"market-backbone")
    except OSError as error:
        advice = "make it writable, or choose another with MARKET_BACKBONE__CACHE__FOLDER"
        return Finding(what, is_ok=False, found=f"{folder}: {error.strerror or error}", advice=advice)
    return Finding(what, is_ok=True, found=f"{folder} can be written")
