"""The REST channel over real sockets, against a server that says exactly what a test tells it to."""

import asyncio
import gzip
import json
import ssl
import subprocess
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from market_backbone.domain.errors import (
    ChannelTimeoutError,
    ChannelUnavailableError,
    ClosedError,
    InvalidRangeError,
    MalformedReplyError,
    RateLimitedError,
    SymbolDelistedError,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from market_backbone.domain.finality import Finality, SealedBy
from market_backbone.domain.ports import Channel, MarketDirectory, TradeHistory
from market_backbone.domain.time_range import TimeRange

MINUTES = "/v1/candles/minutes/1"
NOT_FOUND = '{"error":{"name":404,"message":"Code not found"}}'
END = datetime(2026, 3, 11, 14, 30, tzinfo=UTC)


def row(minute, **changes):
    opened_at = datetime(2026, 3, 11, 14, minute, tzinfo=UTC)
    return {
        "market": "KRW-BTC",
        "candle_date_time_utc": opened_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "candle_date_time_kst": "1999-01-01T00:00:00",
        "opening_price": 2.0,
        "high_price": 4.0,
        "low_price": 1.0,
        "trade_price": 3.0,
        "timestamp": 1773240059132,
        "candle_acc_trade_price": 5.5,
        "candle_acc_trade_volume": 0.25,
        "unit": 1,
    } | changes


def rows(*minutes):
    return json.dumps([row(minute) for minute in sorted(minutes, reverse=True)])


def market(*codes):
    return json.dumps([{"market": code, "english_name": code, "korean_name": code} for code in codes])


TICKER = {
    "market": "KRW-BTC",
    "change": "RISE",
    "trade_timestamp": 1773240059095,
    "timestamp": 1773240059132,
} | dict.fromkeys(
    [
        *("trade_price", "opening_price", "high_price", "low_price", "prev_closing_price"),
        *("signed_change_price", "signed_change_rate", "trade_volume", "acc_trade_price", "acc_trade_price_24h"),
        *("acc_trade_volume", "acc_trade_volume_24h", "highest_52_week_price", "lowest_52_week_price"),
    ],
    1.5,
)
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
        ({"start": END, "end": END, "count": 5}, UnsupportedRequestError),
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


async def test_an_unknown_code_is_named_with_its_nearest_match_and_the_list_is_read_once_in_ten_seconds(
    scripted, make_rest
):
    scripted.on("/v1/ticker", (NOT_FOUND, 404))
    scripted.on("/v1/market/all", (market("KRW-BTC", "KRW-ETH"),))
    channel = make_rest(scripted.url)

    async def ask(symbol):
        with pytest.raises(UnknownSymbolError, match="did you mean KRW-BTC"):
            await channel.get_ticker(symbol)

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(ask("KRW-BTCC"))

    assert len(scripted.asked("/v1/market/all")) == 1
    assert [one.symbol for one in await channel.get_markets()] == ["KRW-BTC", "KRW-ETH"]


async def test_a_code_that_left_the_list_is_delisted_and_one_that_is_listed_can_be_tried_again(scripted, make_rest):
    scripted.on("/v1/ticker", (json.dumps([TICKER]),), (NOT_FOUND, 404))
    scripted.on("/v1/market/all", (market("KRW-ETH"),))
    channel = make_rest(scripted.url)
    await channel.get_ticker("KRW-BTC")

    with pytest.raises(SymbolDelistedError, match="no longer listed"):
        await channel.get_ticker("KRW-BTC")
    with pytest.raises(ChannelUnavailableError, match="is listed, yet") as caught:
        await channel.get_ticker("KRW-ETH")
    assert caught.value.retryable


async def test_a_symbol_can_be_checked_without_asking_for_data(scripted, make_rest):
    scripted.on("/v1/market/all", (market("KRW-BTC"),))
    channel = make_rest(scripted.url)

    await channel.check_symbol("KRW-BTC")
    await channel.check_symbol("KRW-BTC")
    with pytest.raises(UnknownSymbolError):
        await channel.check_symbol("KRW-XYZ")
    assert len(scripted.requests) == 1


async def test_code_not_found_in_answer_to_a_call_without_codes_ends_there(scripted, make_rest):
    scripted.on("/v1/market/all", (NOT_FOUND, 404))
    scripted.on("/v1/ticker/all", (NOT_FOUND, 404))
    channel = make_rest(scripted.url)

    for ask in (channel.get_markets(), channel.get_all_tickers(["XYZ"])):
        with pytest.raises(ChannelUnavailableError, match="names no code"):
            await ask
    assert len(scripted.requests) == 2


async def test_an_unrouted_path_means_the_gateway_and_not_the_symbol(scripted, make_rest):
    body = '{"error":{"name":"not_found","message":"no Route matched with those values"}}'
    scripted.on("/v1/ticker", (body, 404, {"Remaining-Req": ""}))

    with pytest.raises(ChannelUnavailableError, match="no Route matched"):
        await make_rest(scripted.url).get_ticker("KRW-BTC")
    assert len(scripted.requests) == 1


async def test_a_market_list_with_a_row_that_is_no_market_is_malformed(scripted, make_rest):
    scripted.on("/v1/market/all", (market("KRW-BTC", "what?"),))

    with pytest.raises(MalformedReplyError, match="impossible row"):
        await make_rest(scripted.url).get_markets()


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (500, "<html>maintenance</html>", (ChannelUnavailableError, True)),
        (502, "", (ChannelUnavailableError, True)),
        (503, "", (ChannelUnavailableError, True)),
        (
            400,
            '{"error":{"name":400,"message":"Invalid parameter. Check the given value!"}}',
            (UnsupportedRequestError, None),
        ),
        (302, "", (MalformedReplyError, False)),
        (204, "", (MalformedReplyError, False)),
    ],
)
async def test_every_other_status_is_an_error_of_our_own_tree(scripted, make_rest, status, body, verdict):
    error, retryable = verdict
    elsewhere = {"Location": f"{scripted.url}/v1/market/all"} if status == 302 else {}
    scripted.on("/v1/ticker", (body, status, elsewhere))

    with pytest.raises(error) as caught:
        await make_rest(scripted.url).get_ticker("KRW-BTC")
    assert getattr(caught.value, "retryable", None) is retryable
    assert [request.path for request in scripted.requests] == ["/v1/ticker"], "no redirect is followed"


async def test_a_429_in_plain_text_pauses_its_group_for_a_second_and_j(scripted, make_rest):
    scripted.on("/v1/ticker", ("Too many API requests.", 429, {"Content-Type": "text/plain"}), (json.dumps([TICKER]),))
    channel = make_rest(scripted.url)

    with pytest.raises(RateLimitedError) as caught:
        await channel.get_ticker("KRW-BTC")

    assert caught.value.retryable
    assert 0.5 < channel.exchange.budget.delay("ticker") <= 1.25
    assert channel.exchange.budget.delay("orderbook") == 0


async def test_a_418_stops_every_group_for_the_time_it_states_and_says_so_at_once(scripted, make_rest):
    scripted.on("/v1/ticker", ("Too many API requests. This IP is blocked for 90 seconds.", 418))
    channel = make_rest(scripted.url)

    with pytest.raises(RateLimitedError) as blocked:
        await channel.get_ticker("KRW-BTC")
    with pytest.raises(RateLimitedError) as refused:
        await channel.get_candles("KRW-BTC")

    assert (blocked.value.retryable, blocked.value.retry_after) == (False, 90.0)
    assert 80 < refused.value.retry_after <= 90
    assert len(scripted.requests) == 1, "nothing is sent while blocked"


async def test_a_418_that_states_nothing_is_waited_out_twice_as_long_each_time(scripted, make_rest):
    scripted.on("/v1/ticker", ("blocked", 418), ("blocked", 418), ("blocked", 418), (json.dumps([TICKER]),), ("", 418))
    channel = make_rest(scripted.url, speed=2000.0)
    waits = []

    for _ in range(3):
        with pytest.raises(RateLimitedError) as caught:
            await channel.get_ticker("KRW-BTC")
        waits.append(caught.value.retry_after)
        await channel._context.clock.sleep(waits[-1])
    await channel.get_ticker("KRW-BTC")
    with pytest.raises(RateLimitedError) as caught:
        await channel.get_ticker("KRW-BTC")

    assert [*waits, caught.value.retry_after] == [60.0, 120.0, 240.0, 60.0]


async def test_a_missing_budget_header_is_no_harm(scripted, make_rest):
    scripted.on("/v1/ticker", (json.dumps([TICKER]), 200, {"Remaining-Req": ""}))
    channel = make_rest(scripted.url)

    await channel.get_ticker("KRW-BTC")

    assert channel.exchange.last_remaining is None


async def test_a_group_is_budgeted_by_the_name_that_the_exchange_gives_it(scripted, make_rest):
    scripted.on("/v1/ticker", (json.dumps([TICKER]), 200, {"Remaining-Req": "group=tickers; min=300; sec=0"}))
    channel = make_rest(scripted.url)

    await channel.get_ticker("KRW-BTC")

    assert channel.exchange.last_remaining.group == "tickers"
    assert channel.exchange.budget.delay("ticker") == pytest.approx(channel.exchange.budget.delay("tickers"), abs=0.1)
    assert channel.exchange.budget.delay("ticker") > 0.5


async def test_without_any_date_nobody_can_say_when_the_data_was_read(raw_server, make_rest):
    url = await raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    with pytest.raises(ChannelUnavailableError, match="carries no Date"):
        await make_rest(url).get_candles("KRW-BTC")


async def test_a_date_without_a_zone_is_taken_as_utc_and_nonsense_is_ignored(scripted, make_rest):
    scripted.on(MINUTES, (rows(39), 200, {"Date": "Wed, 11 Mar 2026 14:40:59"}), (rows(39), 200, {"Date": "soon"}))
    channel = make_rest(scripted.url)

    first = await channel.get_candles("KRW-BTC", count=1)
    second = await channel.get_candles("KRW-BTC", count=1)

    assert first[0].finality is second[0].finality is Finality.FINAL


async def test_an_answer_that_does_not_come_in_time_is_a_time_out(raw_server, make_rest):
    async def silent(reader, writer):
        await reader.read()

    url = await raw_server(silent)

    with pytest.raises(ChannelTimeoutError, match="no answer"):
        await make_rest(url, reply_timeout_s=0.15).get_ticker("KRW-BTC")


async def test_a_body_that_drips_is_a_time_out_too(raw_server, make_rest):
    async def drip(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    url = await raw_server(drip)

    with pytest.raises(ChannelTimeoutError):
        await make_rest(url, reply_timeout_s=0.15).get_ticker("KRW-BTC")


async def test_an_endless_body_is_cut_at_the_limit(raw_server, make_rest):
    async def endless(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" " * 65536)
            await writer.drain()

    url = await raw_server(endless)

    with pytest.raises(MalformedReplyError, match="larger than 100000 bytes"):
        await make_rest(url, max_reply_bytes=100_000).get_ticker("KRW-BTC")


async def test_a_bomb_of_zeros_is_cut_before_it_fills_the_memory(scripted, make_rest):
    bomb = gzip.compress(b" " * 100_000_000)
    scripted.on("/v1/ticker", (bomb, 200, {"Content-Encoding": "gzip"}))
    channel = make_rest(scripted.url, max_reply_bytes=1_000_000)

    tracemalloc.start()
    try:
        with pytest.raises(MalformedReplyError, match="larger than"):
            await channel.get_ticker("KRW-BTC")
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


async def test_a_compressed_answer_is_read_like_any_other(scripted, make_rest):
    scripted.on("/v1/ticker", (gzip.compress(json.dumps([TICKER]).encode()), 200, {"Content-Encoding": "gzip"}))

    assert (await make_rest(scripted.url).get_ticker("KRW-BTC")).price == Decimal("1.5")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", ChannelUnavailableError),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", MalformedReplyError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", MalformedReplyError),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", MalformedReplyError),
    ],
)
async def test_a_broken_answer_can_be_tried_again(raw_server, make_rest, reply, error):
    with pytest.raises(error) as caught:
        await make_rest(await raw_server(reply)).get_ticker("KRW-BTC")
    assert caught.value.retryable


async def test_an_address_where_nobody_listens_is_unavailable(make_rest):
    with pytest.raises(ChannelUnavailableError, match="doctor"):
        await make_rest("http://127.0.0.1:9").get_ticker("KRW-BTC")


async def test_an_abandoned_request_keeps_its_place_in_the_budget(raw_server, make_rest):
    arrived = asyncio.Event()

    async def silent(reader, writer):
        arrived.set()
        await reader.read()

    channel = make_rest(await raw_server(silent), requests_per_s=1)
    task = asyncio.create_task(channel.get_ticker("KRW-BTC"))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert channel.exchange.budget.delay("ticker") > 0.9


async def test_a_closed_channel_says_so(scripted, make_rest):
    scripted.on("/v1/ticker", (json.dumps([TICKER]),))
    channel = make_rest(scripted.url)
    await channel.get_ticker("KRW-BTC")
    await channel.close()
    await channel.close()

    with pytest.raises(ClosedError, match="create a new API object"):
        await channel.get_ticker("KRW-BTC")


async def test_a_sandbox_makes_itself_known_and_market_time_follows_it(scripted, make_rest):
    scripted.on("/v1/ticker", (json.dumps([TICKER]), 200, {"X-Market-Sandbox": "dataset=seed-7; speed=50"}))
    channel = make_rest(scripted.url)

    ticker = await channel.get_ticker("KRW-BTC")

    assert (ticker.venue, channel.venue) == ("sandbox:seed-7", "sandbox:seed-7")
    assert channel._context.clock.speed == 50.0
    assert not channel.exchange.identity.is_official


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


async def test_a_certificate_of_nobody_is_refused_unless_it_was_named(serve_http, certificate, make_rest, answer):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    async def ticker(_):
        return answer(json.dumps([TICKER]))

    async with serve_http(ticker, tls) as url:
        with pytest.raises(ChannelUnavailableError, match="certificate"):
            await make_rest(url).get_ticker("KRW-BTC")
        trusting = make_rest(url, ca_file=str(certificate / "cert.pem"))
        assert (await trusting.get_ticker("KRW-BTC")).symbol == "KRW-BTC"
        await trusting.close()
