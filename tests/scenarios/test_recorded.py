"""Real captures end to end: replayed by the sandbox, followed and asked for through the public surface."""

import ast
import asyncio
import csv
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from market_backbone import OrderBookUpdated, Reason, TradeReceived, create_realtime_request

CAPTURE = "simple-trades-and-books.2021-04-17.raw"
NINE_HOURS = timedelta(hours=9)  # Korean labels: 09:00 there is 00:00 UTC
HOUR = timedelta(hours=1)


@pytest.fixture
def capture(recorded):
    return recorded / "websocket" / CAPTURE


@pytest.fixture
def frames(capture):
    """The frames of the file in the order in which they were received."""
    lines = [line for line in capture.read_text().splitlines() if ": b'" in line]
    return [json.loads(ast.literal_eval(line.split(": ", 1)[1]), parse_float=Decimal) for line in lines]


def codes_of(capture):
    """Every code that the capture's author subscribed to, the silent ones too."""
    with capture.open() as file:
        subscription = next(line for line in file if " <- " in line)
    return sorted(json.loads(subscription.split(": ", 1)[1])[2]["codes"])


def at(milliseconds):
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


async def follow_all(api, codes, kind, event, enough):
    """Read every event of ``kind`` until as many as were recorded have come, and a moment longer.

    The replay begins with the first subscription: all codes are followed at once, so that none comes later.
    """
    taken = []
    is_complete = asyncio.Event()

    async def read(code):
        async with api.follow(create_realtime_request(code, kind=kind)) as stream:
            async for one in stream:
                if isinstance(one, event):
                    taken.append(one)
                if len(taken) >= enough:
                    is_complete.set()

    await api.get_markets()
    async with asyncio.TaskGroup() as readers:
        tasks = [readers.create_task(read(code)) for code in codes]
        async with asyncio.timeout(30):
            await is_complete.wait()
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
    return taken


async def test_every_recorded_trade_arrives_exactly_once_and_equal_in_value(open_market, capture, frames):
    recorded = [frame for frame in frames if frame["ty"] == "trade"]
    assert len(recorded) == 304
    codes = codes_of(capture)
    assert len(codes) == 10
    async with open_market(replay=capture, speed=10) as (_, api):
        events = await follow_all(api, codes, "trade", TradeReceived, len(recorded))
    trades = [event.trade for event in events]
    assert {trade.source for trade in trades} == {"websocket"}
    seen = [(trade.symbol, trade.sequential_id) for trade in trades]
    assert len(seen) == len(set(seen))
    expected = {
        (frame["cd"], frame["sid"]): (frame["tp"], frame["tv"], frame["ab"], at(frame["ttms"])) for frame in recorded
    }
    taken = {
        (trade.symbol, trade.sequential_id): (
            trade.price,
            trade.volume,
            "ASK" if trade.taker_side == "SELL" else "BID",
            trade.traded_at,
        )
        for trade in trades
    }
    assert taken == expected


async def test_trades_below_an_id_already_received_are_delivered_in_the_order_of_arrival(open_market, capture, frames):
    async with open_market(replay=capture, speed=10) as (_, api):
        events = await follow_all(api, codes_of(capture), "trade", TradeReceived, 304)
    arrived, recorded = defaultdict(list), defaultdict(list)
    for event in events:
        arrived[event.trade.symbol].append(event.trade)
    for frame in frames:
        if frame["ty"] == "trade":
            recorded[frame["cd"]].append(frame["sid"])
    assert {symbol: [trade.sequential_id for trade in trades] for symbol, trades in arrived.items()} == recorded
    below, late = 0, 0
    for trades in arrived.values():
        highest, newest = 0, None
        for trade in trades:
            below += trade.sequential_id < highest
            own_place = (trade.traded_at, trade.sequential_id)
            assert trade.is_late == (newest is not None and own_place < newest)
            late += trade.is_late
            highest = max(highest, trade.sequential_id)
            newest = own_place if newest is None else max(newest, own_place)
    assert (below, late) == (78, 78)


async def test_a_follower_that_keeps_up_gets_every_recorded_book_in_order(open_market, capture, frames):
    """REST, which may tell the newest of two books that are on their way, is given no occasion to stand in."""
    recorded = [frame for frame in frames if frame["ty"] == "orderbook"]
    assert len(recorded) == 145
    patience = {"follow.snapshot_timeout_s": 60}
    async with open_market(replay=capture, speed=5, settings=patience) as (_, api):
        events = await follow_all(api, codes_of(capture), "orderbook", OrderBookUpdated, len(recorded))
    assert {event.orderbook.source for event in events} == {"websocket"}
    expected, taken = defaultdict(list), defaultdict(list)
    for frame in recorded:
        sides = [
            tuple((unit[price], unit[size]) for unit in frame["obu"]) for price, size in (("ap", "as"), ("bp", "bs"))
        ]
        expected[frame["cd"]].append((at(frame["tms"]), *sides))
    for event in events:
        book = event.orderbook
        sides = [tuple((level.price, level.size) for level in side) for side in (book.asks, book.bids)]
        taken[book.symbol].append((book.updated_at, *sides))
    assert taken == expected


@pytest.mark.parametrize(
    ("name", "timeframe"),
    [
        ("upbit_1m_20200220_170000-20200220_202000.json", "1m"),
        ("upbit_1m_20200220_202000-20200220_210000.json", "1m"),
        ("upbit_3m_20200220_000000-20200220_100000.json", "3m"),
        ("upbit_3m_20200220_100000-20200220_120000.json", "3m"),
        ("upbit_3m_20200220_170000-20200220_200000.json", "3m"),
    ],
)
async def test_recorded_pages_of_candles_are_read_back_row_by_row(open_market, recorded, name, timeframe):
    path = recorded / "candles" / name
    rows = sorted(json.loads(path.read_text(), parse_float=Decimal), key=lambda row: row["candle_date_time_utc"])
    first, last = (utc(row["candle_date_time_utc"]) for row in (rows[0], rows[-1]))
    async with open_market(replay=path, speed=200) as (_, api):
        await api.get_markets()  # teaches the clock; the replay begins where its last slot ends
        await asyncio.sleep(0.1)  # its grace passes
        series = await api.get_candles(
            "KRW-BTC", timeframe, start=first, end=last + timedelta(minutes=int(timeframe[0]))
        )
    for candle, row in zip(series, rows, strict=True):
        assert candle.opened_at == utc(row["candle_date_time_utc"])
        prices = [row[key] for key in ("opening_price", "high_price", "low_price", "trade_price")]
        assert [candle.open, candle.high, candle.low, candle.close] == prices
        assert candle.volume == row["candle_acc_trade_volume"]
        assert candle.is_final
    assert series.gaps() == ()


def utc(label):
    return datetime.fromisoformat(label).replace(tzinfo=UTC)


@pytest.fixture
def hours(recorded):
    """The table of hours, and its rows by their opening in UTC."""
    path = recorded / "candles" / "krw-btc.1h.2017-2023.csv"
    with path.open() as file:
        rows = {utc(row["candle_date_time_kst"]) - NINE_HOURS: row for row in csv.DictReader(file)}
    return path, rows


async def test_a_year_of_recorded_hours_is_read_back_and_its_missing_hours_are_quiet(open_market, hours):
    path, rows = hours
    start, end = datetime(2018, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)
    expected = {opened: row for opened, row in rows.items() if start <= opened < end}
    async with open_market(replay=path, limits=False) as (_, api):
        series = await api.get_candles("KRW-BTC", "1h", start=start, end=end)
    assert [candle.opened_at for candle in series] == sorted(expected)
    for candle in series:
        row = expected[candle.opened_at]
        prices = [Decimal(row[key]) for key in ("opening_price", "high_price", "low_price", "trade_price")]
        assert [candle.open, candle.high, candle.low, candle.close] == prices
    missing = [start + n * HOUR for n in range(365 * 24) if start + n * HOUR not in expected]
    assert missing
    quiet = [opened for span in series.quiet() for opened in hours_of(span)]
    assert quiet == missing
    assert {span.reason for span in series.quiet()} <= {Reason.NO_TRADE, Reason.OUTAGE}
    assert series.gaps() == ()


async def test_all_eighty_two_missing_hours_of_six_years_are_quiet_and_none_is_unknown(open_market, hours):
    path, rows = hours
    start, end = min(rows), max(rows) + HOUR
    async with open_market(replay=path, limits=False, speed=200) as (_, api):
        series = await api.get_candles("KRW-BTC", "1h", start=start, end=end)
    assert len(series) == len(rows)
    spans = series.quiet()
    assert sum(len(hours_of(span)) for span in spans) == 82
    assert len(spans) == 46
    assert series.gaps() == ()


def hours_of(span):
    return [span.start + n * HOUR for n in range(round((span.end - span.start) / HOUR))]
