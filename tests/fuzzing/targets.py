"""What strangers' bytes reach, as functions of bytes: each returns, or raises what is no error of ours.

Shared by the property tests and by the coverage-guided runs of ``make fuzz``.
"""

import atexit
import json
import math
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from types import SimpleNamespace
from zlib import crc32

import seeds
from attrs import frozen

from market_backbone.config.loading import load_settings
from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.errors import ChannelUnavailableError, ConfigurationError, IntegrityError, MarketDataError
from market_backbone.domain.finality import Grace
from market_backbone.domain.ledger import SeriesKey
from market_backbone.domain.request import Topic
from market_backbone.domain.series import CandleSeries
from market_backbone.domain.streaming import Received, Rejected
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.time_range import TimeRange
from market_backbone.domain.timeframe import Timeframe
from market_backbone.domain.timestamps import to_micros
from market_backbone.infrastructure.candle_store import transactions
from market_backbone.infrastructure.candle_store.codec import DamagedBytesError, decode_block, decode_ledger
from market_backbone.infrastructure.candle_store.connection import in_our_words
from market_backbone.infrastructure.candle_store.merging import assemble
from market_backbone.infrastructure.candle_store.store_file import StoreFile
from market_backbone.infrastructure.candle_store.tables import Tables
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime
from market_backbone.infrastructure.http_transport import Reply
from market_backbone.infrastructure.sandbox.faults import faults_from, read_script
from market_backbone.infrastructure.sandbox.replay.recorded import recorded_sources
from market_backbone.infrastructure.sandbox.replay.recording import read_recording
from market_backbone.infrastructure.sandbox.units import UNITS
from market_backbone.infrastructure.serialization import to_json
from market_backbone.infrastructure.upbit import UpbitOptions, UpbitRest
from market_backbone.infrastructure.upbit import errors as failures
from market_backbone.infrastructure.upbit import rest_decoding as replies
from market_backbone.infrastructure.upbit.options import FRAME_FORMATS
from market_backbone.infrastructure.upbit.protocol import read_remaining
from market_backbone.infrastructure.upbit.rest_client import Answer
from market_backbone.infrastructure.upbit.stream import UpbitStream
from market_backbone.infrastructure.upbit.venue_identity import VenueIdentity

BTC = Symbol("KRW-BTC")
NOW = seeds.START + timedelta(hours=1)
MAX_MESSAGE = 4000
_MEMORY = Path("/dev/shm")  # noqa: S108 - a disk that is not there is quick
_FOLDER = Path(mkdtemp(prefix="fuzzing-", dir=_MEMORY if _MEMORY.is_dir() else None))
atexit.register(rmtree, _FOLDER, ignore_errors=True)


def _done(coroutine):
    """Run a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    finally:
        coroutine.close()
    raise AssertionError("it waited")


def _context():
    clock = MarketClock(follows_speed=True)
    time = MeasuredServerTime(clock)
    time.observe_reply(NOW.timestamp(), sent=clock.monotonic(), received=clock.monotonic())
    return AdapterContext(name="fuzz", options={}, clock=clock, server_time=time, grace=Grace())


def _is_told(error):
    """Check that an error of ours may be shown to anybody."""
    assert len(str(error)) < MAX_MESSAGE, "a message without end"


class _Canned:
    """An exchange that answers everything with the same body."""

    def __init__(self, body):
        self._body = body
        self.identity = SimpleNamespace(venue="fuzz")

    async def call(self, _call, _symbols=()):
        now = 0.0
        reply = Reply(status=200, headers={}, body=self._body, sent=now, received=now)
        return Answer(body=self._body, venue="fuzz", read_at=NOW, reply=reply)


def _candles(rest, choice):
    frame = list(Timeframe)[choice % len(Timeframe)]
    ends = (None, NOW, datetime(9000, 1, 1, tzinfo=UTC))
    return rest.get_candles(BTC, str(frame), (1, 200)[choice % 2], end=ends[choice % 3])


_CALLS = (
    _candles,
    lambda rest, _: rest.get_tickers([BTC]),
    lambda rest, _: rest.get_all_tickers(["KRW"]),
    lambda rest, choice: rest.get_orderbook(BTC, choice % 30 + 1),
    lambda rest, _: rest.get_instruments([BTC]),
    lambda rest, _: rest.get_trades(BTC, 500),
)


def _use(value):
    """Do what every reader of an answer does."""
    repr(value)
    if isinstance(value, CandleSeries):
        list(value)
        value.quiet()
        value.gaps()
        value.completeness()
    else:
        to_json(value)


def rest(data):
    """The body of an answer: which call, one byte; a choice of its arguments, one byte; the body."""
    which, choice, body = data[:1], data[1:2], data[2:]
    if not choice:
        return
    if which[0] % (len(_CALLS) + 1) == len(_CALLS):
        with suppress(MarketDataError), replies.reading("rest"):
            _use([replies.to_market(row) for row in replies.decode_markets(body)])
        return
    channel = UpbitRest(UpbitOptions(rest_url="http://127.0.0.1:1"), _CONTEXT)
    channel.client.budget.close()
    channel.client = _Canned(body)
    try:
        _use(_done(_CALLS[which[0] % (len(_CALLS) + 1)](channel, choice[0])))
    except MarketDataError as error:
        _is_told(error)


def headers(data):
    """The head of an answer: one header a line, in a fixed order, and the rest is its body."""
    lines = data.split(b"\n", 5)
    told = [line.decode("latin-1") for line in (*lines, *[b""] * 6)[:5]]
    body = lines[5] if len(lines) > 5 else b""
    names = ("Date", "Remaining-Req", "Retry-After", "X-Market-Sandbox")
    known = dict(zip(names, told[:4], strict=True))
    context = _context()
    reply = Reply(status=200, headers=known, body=body, sent=1.0, received=1.1)
    if (date_s := reply.date_s()) is not None:
        context.server_time.observe_reply(date_s, sent=reply.sent, received=reply.received)
        later = context.clock.monotonic()
        assert context.server_time.earliest(later) <= context.server_time.latest(later)
    if (remaining := read_remaining(known["Remaining-Req"])) is not None:
        assert 0 <= remaining.left < 10**9
        assert remaining.per_second >= 1
    VenueIdentity("http://127.0.0.1:1", UpbitOptions(), context.clock).learn(known)
    assert math.isfinite(context.clock.monotonic() + context.clock.to_real_s(60.0))
    status = int(told[4]) if told[4].isascii() and told[4].isdigit() and len(told[4]) < 6 else 418
    for explain in (failures.explain_status, failures.explain_upgrade):
        error = explain(status, known, body, channel="fuzz")
        _is_told(error)
        assert (getattr(error, "retry_after", None) or 0.0) <= failures.MAX_BLOCK_S


def _stream(frame_format):
    options = UpbitOptions(websocket_url="ws://127.0.0.1:1", frame_format=frame_format)
    identity = SimpleNamespace(venue="fuzz")
    topics = [Topic(DataKind(kind), BTC) for kind in ("ticker", "trade", "orderbook")]
    topics += [Topic(DataKind.CANDLE, BTC, Timeframe.M1)]
    return UpbitStream(topics, SimpleNamespace(options=options, context=_CONTEXT, identity=identity))


def frames(data):
    """A frame of the socket, read as each of the four formats in turn."""
    for frame_format in FRAME_FORMATS:
        stream = _stream(frame_format)
        stream._frames.append(data)
        for item in stream.ready():
            if isinstance(item, Rejected):
                assert item.excerpt.isprintable()
                assert len(item.reason) + len(item.excerpt) < MAX_MESSAGE
            elif isinstance(item, Received):
                _use(item.value)


def settings(data):
    """A file of settings, a line of zeros, variables of the environment; another, overrides in JSON."""
    file, variables, overrides = (*data.split(b"\n\0\n"), b"", b"")[:3]
    path = _FOLDER / "settings.toml"
    path.write_bytes(file)
    environ = {"MARKET_BACKBONE_CONFIG": str(path)}
    for line in variables.decode(errors="replace").splitlines():
        name, _, value = line.partition("=")
        environ[f"MARKET_BACKBONE__{name}"] = value
    with suppress(ValueError, RecursionError):
        given = json.loads(overrides or b"{}")
        overrides = given if isinstance(given, dict) else {}
    for given in (overrides, {}):
        with suppress(ConfigurationError):
            loaded = load_settings("test", given if isinstance(given, dict) else {}, environ=environ)
            repr(loaded)
    if isinstance(overrides, dict):
        with suppress(ConfigurationError):
            UpbitOptions.read(overrides)


_KEY = SeriesKey("sandbox:fuzz", BTC, Timeframe.M1)
_SPAN = TimeRange(seeds.START - timedelta(days=3), seeds.START + timedelta(days=3))


def cache_file(data):
    """A whole file of the cache, which another program may have spoiled."""
    path = _FOLDER / "candles.sqlite3"
    for old in _FOLDER.glob("candles.sqlite3*"):
        old.unlink()
    path.write_bytes(data)
    file = StoreFile(path, lambda *_: None)
    for _ in range(2):  # what is found damaged is moved aside by the next call
        try:
            with in_our_words(path):
                _use_file(file)
        except ChannelUnavailableError:
            file.is_suspect = True


def _use_file(file):
    with closing(file.open(timeout_s=0.1)) as connection:
        tables = Tables(connection, lambda *_: None)
        found = transactions.read(tables, _KEY, _SPAN)
        with suppress(IntegrityError):
            _use(found)
        transactions.read_newest(tables, _KEY, 5, _SPAN)
        repr(transactions.inventory(tables))
        transactions.write(tables, seeds.candles())
        transactions.quarantine(tables, _KEY, "fuzzing")


def cache_bytes(data):
    """The bytes of a block and of a ledger, with a checksum that fits."""
    sealed = b"\x01" + crc32(data).to_bytes(4, "little") + data
    for given in (sealed, data):
        with suppress(DamagedBytesError):
            ledger = decode_ledger(given)
            repr(ledger)
            with suppress(IntegrityError):
                _use(assemble(_KEY, [], ledger, _SPAN))
        with suppress(DamagedBytesError):
            block = decode_block(_KEY, given)
            with suppress(IntegrityError):
                _use(assemble(_KEY, [block], decode_ledger(seeds.ledger()), _SPAN))


def recording(data):
    """A file to be replayed."""
    path = _FOLDER / "krw-btc.txt"
    path.write_bytes(data)
    with suppress(ConfigurationError):
        for source in recorded_sources(read_recording(path)).values():
            end = to_micros(NOW) // 1000
            for unit in ("1s", "1m", "1d"):
                list(zip(source.bars_before(UNITS[unit], end, end), range(5), strict=False))
            source.last_trade(end)
            source.book(end)


def faults(data):
    """A fault script: one byte for its form, and its text."""
    path = _FOLDER / ("faults.toml" if data[:1] == b"t" else "faults.json")
    path.write_bytes(data[1:])
    with suppress(ConfigurationError):
        repr(read_script(path))
    with suppress(ConfigurationError, ValueError, RecursionError):
        faults_from(json.loads(data[1:]))


_CONTEXT = _context()


@frozen
class Target:
    """Something that strangers' bytes reach, and examples of what it is meant for."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


TARGETS = {
    "rest": Target(rest, seeds.rest_bodies),
    "headers": Target(headers, seeds.heads),
    "frames": Target(frames, seeds.frames),
    "settings": Target(settings, seeds.settings),
    "cache_file": Target(cache_file, seeds.cache_files),
    "cache_bytes": Target(cache_bytes, seeds.cache_bytes),
    "recording": Target(recording, seeds.recordings),
    "faults": Target(faults, seeds.fault_scripts),
}
