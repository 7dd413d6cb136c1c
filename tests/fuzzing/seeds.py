"""Examples to begin with: what the sandbox itself answers and sends, generated anew each time."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from market_backbone.domain.candle import Candle
from market_backbone.domain.coverage import Coverage, ExplainedRange, Reason
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.ledger import Ledger
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe
from market_backbone.infrastructure.candle_store import transactions
from market_backbone.infrastructure.candle_store.codec import encode_block, encode_ledger
from market_backbone.infrastructure.candle_store.store_file import StoreFile
from market_backbone.infrastructure.candle_store.tables import Tables
from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig
from market_backbone.infrastructure.sandbox.rest.rest import RestRequest
from market_backbone.infrastructure.upbit.options import FRAME_FORMATS

START = datetime(2026, 11, 1, tzinfo=UTC)
NOW_MS = round((START + timedelta(hours=1)).timestamp() * 1000)
BTC = Symbol("KRW-BTC")

_QUESTIONS = (
    (0, "/v1/candles/minutes/1", {"market": "KRW-BTC", "count": "2"}),
    (0, "/v1/candles/days", {"market": "KRW-BTC", "count": "1"}),
    (1, "/v1/ticker", {"markets": "KRW-BTC"}),
    (2, "/v1/ticker", {"markets": "KRW-BTC,KRW-ETH"}),
    (3, "/v1/orderbook", {"markets": "KRW-BTC", "count": "2"}),
    (4, "/v1/orderbook/instruments", {"markets": "KRW-BTC"}),
    (5, "/v1/trades/ticks", {"market": "KRW-BTC", "count": "2"}),
)
_PLACES = {0: (1, 9), 1: (0,), 2: (0,), 3: (14,), 4: (0,), 5: (0,)}
"""By call, the choices of arguments that fit: a minute and a day of candles, fifteen levels."""


@cache
def _handlers():
    return Sandbox(SandboxConfig(starts_at=START, limits=False))._handlers()


@cache
def _answers():
    return [
        (kind, _handlers().rest.answer(RestRequest("GET", path, query, "seed"), NOW_MS))
        for kind, path, query in _QUESTIONS
    ]


@cache
def rest_bodies():
    """Return whole answers, behind the two bytes that choose the call and its arguments."""
    return [bytes((kind, choice)) + reply.body for kind, reply in _answers() for choice in _PLACES[kind]]


@cache
def heads():
    """Return heads of answers, and of refusals."""
    remaining = _answers()[0][1].headers["Remaining-Req"]
    date, sandbox = "Sun, 01 Nov 2026 01:00:00 GMT", "dataset=seed-7@2026-11-01T00:00:00Z; speed=50"
    error = '{"error":{"name":404,"message":"Code not found"}}'
    return [
        "\n".join(lines).encode()
        for lines in (
            (date, remaining, "", sandbox, "200", "[]"),
            (date, remaining, "1", "", "429", "Too many API requests."),
            (date, "group=websocket; min=300; sec=0", "", "", "418", "Blocked for 42 seconds. 3분"),
            (date, "", "", "speed=1", "404", error),
            (date, "", "", "", "503", "<html>"),
        )
    ]


@cache
def frames():
    """Return frames of every kind in each of the four formats, control frames included."""
    kinds = ("ticker", "trade", "orderbook", "candle.1m", "candle.1s")
    found = [b'{"status":"UP"}', b'{"error":{"name":"WRONG_FORMAT","message":"no"}}']
    for frame_format in FRAME_FORMATS:
        session = _handlers().upgrades.open(NOW_MS)
        wanted = [{"type": kind, "codes": ["KRW-BTC"]} for kind in kinds]
        session.receive(json.dumps([{"ticket": "seed"}, *wanted, {"format": frame_format}]), NOW_MS)
        found += [frame for frame in session.due(NOW_MS + 2_000) if isinstance(frame, bytes)]
    return sorted(set(found))


@cache
def settings():
    """Return files of settings, variables and overrides."""
    folder = Path(__import__("market_backbone").__file__).parent / "config"
    files = [path.read_bytes() for path in sorted(folder.glob("*.toml"))]
    variables = b"CACHE__FOLDER=/tmp\nUPBIT__REGION=sg\nFINALITY__GRACE=1s=3, 1m=5\nPLUGINS__ADAPTERS=rest,cache"
    overrides = b'{"upbit.region": "id", "cache": {"store": "memory"}, "plugins.options": {"x": {"y": 1}}}'
    return [b"\n\0\n".join((file, variables, overrides)) for file in files]


@cache
def candles():
    """Return twenty sealed candles with the knowledge that vouches for them."""
    span = TimeRange(START, START + timedelta(minutes=30))
    rows = [
        Candle(
            venue="sandbox:fuzz", symbol=BTC, timeframe=Timeframe.M1, opened_at=START + timedelta(minutes=minute),
            open=Decimal(2), high=Decimal("1e20"), low=Decimal(1), close=Decimal("3.5"), volume=Decimal("0.123456789"),
            quote_volume=None if minute % 2 else Decimal(9), updated_at=START, source="rest", finality=Finality.FINAL,
            sealed_by=SealedBy.REST,
        )
        for minute in range(20)
    ]  # fmt: skip
    return CandleSeries.of("sandbox:fuzz", BTC, Timeframe.M1, rows, Coverage(asked=span, proven=(span,)))


def ledger():
    """Return the bytes of what is known of those candles."""
    span = TimeRange(START, START + timedelta(minutes=30))
    quiet = ExplainedRange(span.start, span.end, Reason.OUTAGE)
    return encode_ledger(Ledger(proven=(span,), provisional=(span,), explained=(quiet,), verified_at=START))


@cache
def cache_bytes():
    """Return a block and a ledger, without their seals."""
    return [encode_block(candles().columns)[5:], ledger()[5:]]


@cache
def cache_files():
    """Return a file of the cache."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "candles.sqlite3"
        with closing(StoreFile(path, lambda *_: None).open(timeout_s=1)) as connection:
            transactions.write(Tables(connection, lambda *_: None), candles())
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
        return [path.read_bytes()]


@cache
def recordings():
    """Return a raw capture, a page of candles, and a table of candles."""
    trade, book = (next(frame for frame in frames() if kind in frame) for kind in (b'"trade"', b'"orderbook"'))
    capture = b"".join(b"1793494800.%d: %r\n" % (number, frame) for number, frame in enumerate((trade, book)))
    page = _answers()[0][1].body
    names = ("candle_date_time_kst", "opening_price", "high_price", "low_price", "trade_price")
    columns = (*names, "candle_acc_trade_price", "candle_acc_trade_volume")
    rows = [",".join(str(row[name]) for name in columns) for row in json.loads(page)]
    return [capture, page, "\n".join([",".join(columns), *rows]).encode()]


@cache
def fault_scripts():
    """Return a script in each form."""
    toml = '[[fault]]\nkind = "stall"\nat_s = 5\nduration_s = 2.5\npongs = true\n'
    toml += '[[fault]]\nkind = "delist"\nsymbol = "KRW-BTC"\n'
    table = [{"kind": "rest-status", "status": 429, "share": 0.5, "group": "candles"}, {"kind": "outage", "hours": 2}]
    return [b"t" + toml.encode(), b"j" + json.dumps(table).encode()]
