"""What the exchange really sent: every number survives, and the views agree.

The captures lie outside the repository (``../shared/recorded``) and are never copied into it.
"""

import ast
import hashlib
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from market_backbone.domain.finality import Finality, Grace
from market_backbone.domain.orderbook import OrderBook
from market_backbone.domain.streaming import Received
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.timeframe import Timeframe
from market_backbone.domain.trade import TakerSide, Trade
from market_backbone.infrastructure.upbit import rest_decoding as replies
from market_backbone.infrastructure.upbit.candle_pages import PageOrigin
from market_backbone.infrastructure.upbit.frames import ControlFrame, FrameOrigin, FrameReader
from market_backbone.infrastructure.upbit.mapping import to_instant
from market_backbone.infrastructure.upbit.protocol import STREAM_CODES, read_remaining

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "recorded"
pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(),
    reason=f"the captures of the exchange are not at {RECORDED}; they are no part of this project",
)
BTC = Symbol("KRW-BTC")
READ_AT = datetime(2026, 11, 1, tzinfo=UTC)
ORIGIN = replies.Origin(venue="upbit-kr", read_at=READ_AT)
LIVE = FrameOrigin("upbit-kr")
ETAG_VERIFIED = ["seconds", "minutes", "days", "weeks", "months", "years"]
FRAMES = ["1s", "1m", "1d", "1w", "1M", "1y"]


def body(*parts):
    return RECORDED.joinpath(*parts).read_bytes()


def exact(text):
    return json.loads(text, parse_float=Decimal)


def cassette(name):
    """Cut the JSON body out of a cassette; YAML indents it and knows nothing else about it."""
    text = RECORDED.joinpath("rest", name).read_text(encoding="utf-8")
    block = text.split("string: |-\n", 1)[1]
    end = next(at for at, line in enumerate(block.splitlines()) if line.strip() and not line.startswith(" " * 8))
    return "\n".join(block.splitlines()[:end]).encode()


def capture():
    """Yield the frames of the 29.8 s capture, in the order of arrival."""
    for line in RECORDED.joinpath("websocket", "simple-trades-and-books.2021-04-17.raw").read_text().splitlines():
        if ": b'" in line:
            yield ast.literal_eval(line.split(": ", 1)[1])


def read(frame, frame_format="DEFAULT"):
    (item,) = FrameReader(frame_format).read(frame, LIVE)
    return item


def page(content, timeframe):
    return replies.to_candle_page(content, BTC, timeframe, ORIGIN, Grace())


def recorded_candles(timeframe, *names):
    rows = [row for name in names for row in replies.decode_candles(body("candles", name))]
    origin = PageOrigin(
        venue=ORIGIN.venue,
        symbol=BTC,
        timeframe=timeframe,
        source=ORIGIN.source,
        read_at=READ_AT,
        received_by=None,
        grace=Grace().of(timeframe),
    )
    found = replies.page_row_by_row(rows, origin)
    assert not found.rejections
    return found.candles


def test_every_frame_of_the_capture_is_a_trade_or_a_book_with_exact_numbers():
    kinds = Counter()
    for frame in capture():
        item, wire = read(frame, "SIMPLE"), exact(frame)
        kinds[type(item.value)] += 1
        assert item.topic.symbol == wire["cd"]
        if isinstance(item.value, Trade):
            assert (item.value.price, item.value.volume) == (wire["tp"], wire["tv"])
            assert item.value.sequential_id == wire["sid"]
            assert item.value.taker_side is {"BID": TakerSide.BUY, "ASK": TakerSide.SELL}[wire["ab"]]
            assert item.value.traded_at == to_instant(wire["ttms"])
        else:
            asks = [(unit["ap"], unit["as"]) for unit in wire["obu"] if unit["ap"]]
            bids = [(unit["bp"], unit["bs"]) for unit in wire["obu"] if unit["bp"]]
            assert [(level.price, level.size) for level in item.value.asks] == asks
            assert [(level.price, level.size) for level in item.value.bids] == bids
    assert kinds == {Trade: 304, OrderBook: 145}


def test_exponent_numbers_are_exact():
    frames = [frame for frame in capture() if b"E-" in frame]

    assert len(frames) == 10
    head = exact(body("websocket", "verbatim-frames.jsonl").splitlines()[0])["raw"]
    assert read(head.encode()).value.best_ask.price == 116539000


def test_trades_that_are_equal_in_everything_but_the_id_are_all_kept():
    trades = [item.value for item in (read(frame, "SIMPLE") for frame in capture()) if isinstance(item.value, Trade)]
    by_content = Counter(
        (trade.symbol, trade.price, trade.volume, trade.taker_side, trade.traded_at) for trade in trades
    )

    assert len({trade.identity for trade in trades}) == 304
    assert sum(count - 1 for count in by_content.values()) == 27


def test_ids_are_unique_inside_one_market_only():
    trades = [item.value for item in (read(frame, "SIMPLE") for frame in capture()) if isinstance(item.value, Trade)]

    assert len({trade.sequential_id for trade in trades}) == 301
    assert len({(trade.symbol, trade.sequential_id) for trade in trades}) == 304


def test_trades_do_not_arrive_in_the_order_of_their_ids():
    highest, late = defaultdict(int), 0
    for frame in capture():
        value = read(frame, "SIMPLE").value
        if isinstance(value, Trade):
            late += value.sequential_id < highest[value.symbol]
            highest[value.symbol] = max(highest[value.symbol], value.sequential_id)

    assert late == 78


def test_the_market_list_of_2021_has_294_markets_without_warnings():
    text = RECORDED.joinpath("rest", "market-all.2021-04-17.raw").read_text(encoding="utf-8")
    markets = [
        replies.to_market(row) for row in replies.decode_markets(text.splitlines()[0].split(": ", 1)[1].encode())
    ]

    assert len(markets) == len({market.symbol for market in markets}) == 294
    assert markets[0].korean_name == "비트코인"
    assert not any(market.is_warned or market.cautions for market in markets)


def test_both_ways_to_warn_are_understood():
    korean = [
        replies.to_market(row)
        for row in replies.decode_markets(body("rest", "live-2026-07-30", "parse.MARKET_LIST.json"))
    ]
    legacy = [
        replies.to_market(row)
        for row in replies.decode_markets(body("rest", "live-2026-07-30", "parse.MARKET_LIST_LEGACY_FIELD.json"))
    ]

    assert [(market.symbol, market.is_warned, sorted(market.cautions)) for market in korean] == [
        ("KRW-BTC", False, []),
        ("KRW-AERGO", True, []),
        ("KRW-ZIL", True, ["GLOBAL_PRICE_DIFFERENCES"]),
        ("BTC-SIGN", False, ["GLOBAL_PRICE_DIFFERENCES"]),
    ]
    assert [(market.symbol, market.is_warned, market.korean_name) for market in legacy] == [
        ("BTC-ZIL", True, None),
        ("BTC-SIGN", False, None),
    ]


def test_every_verified_body_is_byte_for_byte_what_the_exchange_signed_and_its_budget_is_read():
    groups = set()
    for one in exact(body("rest", "etag-verified", "requests_and_headers.json")):
        content = body("rest", "etag-verified", one["file"])
        etag = next(value for name, value in one["headers"].items() if name.lower() == "etag")
        remaining = read_remaining(next(v for n, v in one["headers"].items() if n.lower() == "remaining-req"))
        groups.add(remaining.group)
        assert etag == f'W/"0{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        assert remaining.per_second == 10
    assert groups == {"candles", "crix-trades", "ticker", "orderbook"}


@pytest.mark.parametrize(("unit", "timeframe"), list(zip(ETAG_VERIFIED, FRAMES, strict=True)))
def test_a_candle_of_every_unit_is_read_exactly_and_keyed_by_utc(unit, timeframe):
    content = body("rest", "etag-verified", f"get_candles_{unit}.body.json")
    (candle,) = page(content, Timeframe(timeframe)).candles
    (wire,) = exact(content)

    assert candle.opened_at == datetime.fromisoformat(wire["candle_date_time_utc"] + "+00:00")
    assert candle.opened_at + timedelta(hours=9) == datetime.fromisoformat(wire["candle_date_time_kst"] + "+00:00")
    names = ("opening_price", "high_price", "low_price", "trade_price")
    assert (candle.open, candle.high, candle.low, candle.close) == tuple(wire[name] for name in names)
    assert (candle.volume, candle.quote_volume) == (wire["candle_acc_trade_volume"], wire["candle_acc_trade_price"])
    assert candle.updated_at == to_instant(wire["timestamp"])
    assert candle.finality is (Finality.FORMING if timeframe == "1y" else Finality.FINAL)


def test_a_turnover_of_seventeen_digits_keeps_all_of_them():
    texts = b"".join(body("rest", "etag-verified", f"get_candles_{unit}.body.json") for unit in ETAG_VERIFIED)
    assert b"17343033068679.96786000" in texts

    (candle,) = page(body("rest", "etag-verified", "get_candles_years.body.json"), Timeframe.Y1).candles

    assert f"{candle.quote_volume:f}" == "17343033068679.96786000"


def test_the_other_verified_bodies_are_read_exactly():
    (ticker_wire,) = exact(body("rest", "etag-verified", "get_tickers.body.json"))
    (row,) = replies.decode_tickers(body("rest", "etag-verified", "get_tickers.body.json"))
    ticker = replies.to_ticker(row, ORIGIN)
    (trade_wire,) = exact(body("rest", "etag-verified", "get_trades.body.json"))
    trade = replies.to_trade(replies.decode_trades(body("rest", "etag-verified", "get_trades.body.json"))[0], ORIGIN)
    instrument = replies.to_instrument(
        replies.decode_instruments(body("rest", "etag-verified", "get_orderbook_instruments.body.json"))[0]
    )

    assert ticker.price == ticker_wire["trade_price"]
    assert ticker.signed_change_rate == ticker_wire["signed_change_rate"]
    assert ticker.volume_24h == ticker_wire["acc_trade_volume_24h"]
    assert (trade.price, trade.volume) == (trade_wire["trade_price"], trade_wire["trade_volume"])
    assert trade.sequential_id == 17732400590950000
    assert (instrument.symbol, instrument.quote, instrument.tick_size) == (BTC, "KRW", 1000)
    assert instrument.supported_levels[:2] == (0, 10000)


def test_all_tickers_and_the_book_of_the_same_minute_are_read():
    tickers = [replies.to_ticker(row, ORIGIN) for row in replies.decode_tickers(cassette("cassette.ticker-all.yaml"))]
    wire = {row["market"]: row for row in exact(cassette("cassette.ticker-all.yaml"))}
    book = replies.to_orderbook(replies.decode_books(cassette("cassette.orderbooks.yaml"))[0], ORIGIN)

    assert len(tickers) == len(wire) > 200
    assert all(ticker.quote_volume == wire[ticker.symbol]["acc_trade_price"] for ticker in tickers)
    assert len(book.asks) == len(book.bids) == 30
    assert book.best_bid.price < book.best_ask.price


def test_one_ticker_of_2026_is_read_exactly():
    content = body("rest", "live-2026-07-30", "parse.TICKER.json")
    ticker, wire = replies.to_ticker(replies.decode_tickers(content)[0], ORIGIN), exact(content)[0]

    assert (ticker.price, ticker.highest_52_week) == (wire["trade_price"], wire["highest_52_week_price"])
    assert ticker.signed_change == wire["signed_change_price"]


def test_rest_and_the_socket_tell_the_same_trade():
    rest = replies.to_trade(
        replies.decode_trades(body("rest", "live-2026-07-30", "parse.LIVE_TICK_OF_ONE_TRADE.json"))[0], ORIGIN
    )
    live = read(body("websocket", "candles", "parse.LIVE_STREAM_FRAME_OF_ONE_TRADE.json")).value

    assert rest.identity == live.identity
    assert (rest.price, rest.volume, rest.taker_side, rest.traded_at) == (
        live.price,
        live.volume,
        live.taker_side,
        live.traded_at,
    )


@pytest.mark.parametrize(
    ("name", "timeframe", "symbol", "is_snapshot"),
    [
        ("SNAPSHOT", "1m", "KRW-BTC", True),
        ("LAST_OF_ITS_MINUTE", "1m", "KRW-BTC", False),
        ("NEXT_MINUTE", "1m", "KRW-BTC", False),
        ("OTHER_INTERVAL", "5m", "KRW-BTC", True),
        ("OTHER_MARKET", "1m", "KRW-ETH", True),
    ],
)
def test_candle_frames_are_read_exactly_and_keyed_by_utc(name, timeframe, symbol, is_snapshot):
    content = body("websocket", "candles", f"stream.CANDLE_{name}.json")
    item, wire = read(content), exact(content)

    assert isinstance(item, Received)
    assert (item.value.timeframe, item.value.symbol, item.is_snapshot) == (timeframe, symbol, is_snapshot)
    assert item.value.opened_at == datetime.fromisoformat(wire["candle_date_time_utc"] + "+00:00")
    assert (item.value.close, item.value.volume) == (wire["trade_price"], wire["candle_acc_trade_volume"])
    assert item.value.finality is Finality.FORMING


def test_frames_that_their_author_cut_short_are_read_once_they_have_a_type_again():
    rows = exact(body("websocket", "candles", "parse.LIVE_STREAM_FRAMES.json"))
    frame = json.dumps([{**row, "type": STREAM_CODES[Timeframe.M1]} for row in rows], default=str).encode()

    older, newer = FrameReader("JSON_LIST").read(frame, LIVE)

    assert older.value.identity == newer.value.identity
    assert newer.value.volume > older.value.volume


def test_verbatim_frames_are_data_keep_alive_or_errors_by_name():
    errors, others = [], []
    for line in body("websocket", "verbatim-frames.jsonl").splitlines():
        raw = json.loads(line)["raw"]
        item = read(raw, "SIMPLE" if '"ty"' in raw else "DEFAULT")
        if isinstance(item, ControlFrame):
            (errors if item.error else others).append(item)
        else:
            assert isinstance(item, Received), item
    assert [frame.error.name for frame in errors] == ["NO_TICKET", "INVALID_PARAM", "WRONG_FORMAT"]
    assert [frame.status for frame in others] == ["UP"]


def test_a_microsecond_stamp_means_the_same_instant_as_its_milliseconds():
    assert to_instant(1_692_000_000_123_456) == to_instant(1_692_000_000_123) + timedelta(microseconds=456)


def test_pages_of_2020_join_without_overlap_and_stamps_may_lie_behind_their_slot():
    candles = recorded_candles(
        Timeframe.M1,
        "upbit_1m_20200220_170000-20200220_202000.json",
        "upbit_1m_20200220_202000-20200220_210000.json",
    )

    assert len(candles) == 240
    assert all(newer.opened_at - older.opened_at == timedelta(minutes=1) for older, newer in pairwise(candles))
    assert any(candle.updated_at >= candle.closed_at for candle in candles)


def aggregate(candles, timeframe):
    """Resample exactly: first open, extremes, last close, sums."""
    groups = defaultdict(list)
    for candle in candles:
        groups[timeframe.floor(candle.opened_at)].append(candle)
    return {
        opened_at: (
            rows[0].open,
            max(row.high for row in rows),
            min(row.low for row in rows),
            rows[-1].close,
            sum(row.volume for row in rows),
        )
        for opened_at, rows in groups.items()
    }


def test_sixty_three_minute_candles_are_the_aggregates_of_their_one_minute_candles():
    minutes = recorded_candles(Timeframe.M1, "upbit_1m_20200220_170000-20200220_202000.json")
    threes = recorded_candles(Timeframe.M3, "upbit_3m_20200220_170000-20200220_200000.json")
    expected = aggregate(minutes, Timeframe.M3)

    assert len(threes) == 60
    for candle in threes:
        assert (candle.open, candle.high, candle.low, candle.close, candle.volume) == expected[candle.opened_at]
