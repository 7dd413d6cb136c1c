"""The REST channel over real sockets, against a server that says exactly what a test tells it to."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from rest_scripts import MINUTES, TICKER, row, rows

from market_backbone.domain.errors import (
    ChannelUnavailableError,
    InvalidRangeError,
    MalformedReplyError,
    UnsupportedRequestError,
)
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.ports import Channel, MarketDirectory, TradeHistory
from market_backbone.domain.time_range import TimeRange

END = datetime(2026, 3, 11, 14, 30, tzinfo=UTC)
TRADE = {
    "market": "KRW-BTC",
    "timestamp": 1773240059095,
    "trade_price": 2.5,
    "trade_volume": 0.5,
    "ask_bid": "ASK",
    "sequential_id": 17732400590950000,
}
BOOK = {
    "market": "KRW-BTC",
    "timestamp": 1773240059027,
    "orderbook_units": [
        {"ask_price": 11, "bid_price": 10, "ask_size": 1.5, "bid_size": 2.5},
        {"ask_price": 0, "bid_price": 9, "ask_size": 0, "bid_size": 1},
    ],
    "level": 0,
}


async def test_the_channel_keeps_the_ports_it_declares(make_rest):
    channel = make_rest("http://127.0.0.1:9")

    assert isinstance(channel, Channel)
    assert isinstance(channel, MarketDirectory)
    assert isinstance(channel, TradeHistory)
    assert (channel.name, channel.capabilities.candles_per_call) == ("rest", 200)


async def test_a_page_is_oldest_first_proven_and_as_final_as_its_read_instant_allows(scripted, make_rest, answer):
    scripted.on(MINUTES, (rows(38, 39, 40),))

    series = await make_rest(scripted.url).get_candles("KRW-BTC", count=3)

    assert [candle.opened_at.minute for candle in series] == [38, 39, 40]
    assert [candle.finality for candle in series] == [Finality.FINAL, Finality.FINAL, Finality.FORMING]
    assert series[0].sealed_by is SealedBy.REST
    assert series.coverage.proven == (TimeRange(series[0].opened_at, series[2].opened_at),)
    assert (series.venue.startswith("custom:127.0.0.1:"), series.gaps()) == (True, ())


async def test_a_bound_is_sent_in_utc_with_z_and_nothing_ever_says_where_we_come_from(scripted, make_rest):
    scripted.on(MINUTES, (rows(20, 29),))

    await make_rest(scripted.url).get_candles("KRW-BTC", count=2, end=END + timedelta(milliseconds=1))

    (request,) = scripted.requests
    assert dict(request.query) == {"market": "KRW-BTC", "count": "2", "to": "2026-03-11T14:30:01Z"}
    assert "Origin" not in request.headers
    assert "Cookie" not in request.headers
    assert request.headers["Accept-Encoding"] == "gzip"
    assert request.headers.getall("User-Agent") == ["market-backbone"]


async def test_rows_before_a_start_are_left_out_and_so_is_what_they_would_prove(scripted, make_rest):
    scripted.on(MINUTES, (rows(20, 25, 29),))

    series = await make_rest(scripted.url).get_candles("KRW-BTC", start=END - timedelta(minutes=7), end=END)

    assert scripted.requests[0].query["count"] == "7"
    assert [candle.opened_at.minute for candle in series] == [25, 29]
    assert series.coverage.asked == TimeRange(END - timedelta(minutes=7), END)
    assert [(part.start.minute, part.end.minute) for part in series.quiet()] == [(23, 25), (26, 29)]


async def test_an_empty_page_claims_the_beginning_and_proves_nothing(scripted, make_rest):
    scripted.on(MINUTES, ("[]",))

    series = await make_rest(scripted.url).get_candles("KRW-BTC", start=END - timedelta(minutes=7), end=END)

    assert (len(series), series.coverage.proven, series.coverage.claimed_beginning) == (0, (), END)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"count": 201}, InvalidRangeError),
        ({"count": 0}, InvalidRangeError),
        ({"count": True}, InvalidRangeError),
        ({"end": datetime(2026, 1, 1)}, InvalidRangeError),
        ({"start": END}, UnsupportedRequestError),
        ({"start": END, "end": END, "count": 5}, InvalidRangeError),
        ({"timeframe": "2m"}, UnsupportedRequestError),
    ],
)
async def test_what_one_page_cannot_answer_is_refused_before_anything_is_sent(scripted, make_rest, arguments, error):
    with pytest.raises(error):
        await make_rest(scripted.url).get_candles("KRW-BTC", **arguments)
    assert not scripted.requests


async def test_an_impossible_row_is_rejected_and_its_slot_stays_unknown(scripted, make_rest):
    scripted.on(MINUTES, (json.dumps([row(29), row(28, low_price=9.0), row(27)]),))

    series = await make_rest(scripted.url).get_candles("KRW-BTC", count=3, end=END)

    assert [candle.opened_at.minute for candle in series] == [27, 29]
    assert [(gap.start.minute, gap.end.minute) for gap in series.gaps()] == [(28, 29)]
    assert series.coverage.claimed_beginning is None, "a page that lost a row is not short"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([row(29, market="KRW-ETH")]),
        json.dumps([row(29, candle_date_time_utc="yesterday")]),
        json.dumps([row(30)]),
        json.dumps([row(29, trade_price="NaN")]),
        '[{"market":"KRW-BTC"}]',
        '{"error":null}',
        rows(29)[:-9] + "\0",
        "<html>Bad gateway</html>",
        "",
        "[" * 100_000,
        b"\xff\xfe\x00",
    ],
    ids=range(11),
)
async def test_a_page_that_cannot_be_meant_is_malformed_and_never_the_callers_fault(scripted, make_rest, body):
    scripted.on(MINUTES, (body,))

    with pytest.raises(MalformedReplyError) as caught:
        await make_rest(scripted.url).get_candles("KRW-BTC", count=1, end=END)
    assert caught.value.channel == "rest"


async def test_tickers_come_in_the_order_of_the_question_by_one_call(scripted, make_rest):
    scripted.on("/v1/ticker", (json.dumps([TICKER, {**TICKER, "market": "KRW-ETH"}]),))
    scripted.on("/v1/ticker/all", (json.dumps([TICKER]),))
    channel = make_rest(scripted.url)

    tickers = await channel.get_tickers(["KRW-ETH", "KRW-BTC", "KRW-ETH"])

    assert [ticker.symbol for ticker in tickers] == ["KRW-ETH", "KRW-BTC", "KRW-ETH"]
    assert scripted.requests[0].query["markets"] == "KRW-ETH,KRW-BTC"
    assert (await channel.get_ticker("KRW-BTC")).price == Decimal("1.5")
    assert len(await channel.get_all_tickers(["KRW"])) == 1
    assert await channel.get_tickers([]) == []


async def test_books_come_without_padding_and_at_the_depth_of_the_question(scripted, make_rest):
    scripted.on("/v1/orderbook", (json.dumps([BOOK]),), ("[]",))
    scripted.on(
        "/v1/orderbook/instruments",
        ('[{"market":"KRW-BTC","quote_currency":"KRW","tick_size":"1000","supported_levels":["0","10000"]}]',),
    )
    channel = make_rest(scripted.url)

    book = await channel.get_orderbook("KRW-BTC", 5)

    assert (len(book.asks), len(book.bids), book.best_bid.price) == (1, 2, 10)
    assert scripted.requests[0].query == {"markets": "KRW-BTC", "count": "5"}
    with pytest.raises(UnsupportedRequestError, match="no grouping of 1000000"):
        await channel.get_orderbooks(["KRW-BTC"], level=Decimal("1E+6"))
    assert scripted.requests[-1].query["level"] == "1000000"
    assert (await channel.get_instruments(["KRW-BTC"]))[0].tick_size == 1000
    assert (await channel.get_orderbooks([]), await channel.get_instruments([])) == ([], [])
    with pytest.raises(UnsupportedRequestError, match="from 1 to 30"):
        await channel.get_orderbook("KRW-BTC", 31)


async def test_a_site_without_grouping_is_not_asked_for_it(scripted, make_rest):
    with pytest.raises(UnsupportedRequestError, match="groups no order books"):
        await make_rest(scripted.url, region="id").get_orderbooks(["IDR-BTC"], level=Decimal(1))


async def test_trades_are_sorted_and_unique_and_a_page_stays_inside_its_day(scripted, make_rest):
    older = {**TRADE, "sequential_id": 5, "timestamp": 1773240059000}
    scripted.on("/v1/trades/ticks", (json.dumps([TRADE, older, TRADE]),))
    channel = make_rest(scripted.url)

    trades = await channel.get_trades("KRW-BTC", 3)
    await channel.get_trade_page("KRW-BTC", 3, before_id=7, days_ago=2)

    assert [trade.sequential_id for trade in trades] == [5, 17732400590950000]
    assert dict(scripted.requests[1].query) == {"market": "KRW-BTC", "count": "3", "cursor": "7", "days_ago": "2"}
    for days_ago in (0, 8):
        with pytest.raises(InvalidRangeError, match="from 1 to 7"):
            await channel.get_trade_page("KRW-BTC", 3, days_ago=days_ago)
    with pytest.raises(InvalidRangeError, match="trades per call"):
        await channel.get_trades("KRW-BTC", 501)


@pytest.mark.parametrize("change", [{"market": "KRW-ETH"}, {"market": "krw"}, {"ask_bid": "?"}, {"trade_price": 0}])
async def test_rows_about_something_else_are_malformed(scripted, make_rest, change):
    scripted.on("/v1/trades/ticks", (json.dumps([{**TRADE, **change}]),))

    with pytest.raises(MalformedReplyError):
        await make_rest(scripted.url).get_trades("KRW-BTC", 1)


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/v1/ticker", lambda channel: channel.get_ticker("KRW-BTC")),
        ("/v1/orderbook", lambda channel: channel.get_orderbook("KRW-BTC")),
        ("/v1/orderbook/instruments", lambda channel: channel.get_instruments(["KRW-BTC"])),
    ],
)
async def test_an_answer_that_lacks_what_was_asked_for_is_a_failure_of_the_channel(scripted, make_rest, path, ask):
    scripted.on(path, ("[]",))

    with pytest.raises(ChannelUnavailableError, match="lacks KRW-BTC"):
        await ask(make_rest(scripted.url))


async def test_a_row_of_a_slot_that_has_not_begun_is_rejected(scripted, make_rest):
    scripted.on(MINUTES, (rows(38, 39, 59),))  # the reply is dated 14:40:10

    series = await make_rest(scripted.url).get_candles("KRW-BTC", count=3)

    assert [candle.opened_at.minute for candle in series] == [38, 39]
