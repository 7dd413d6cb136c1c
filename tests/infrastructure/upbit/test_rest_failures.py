"""What refusals, faults and broken connections become: errors of our own tree, and patience."""

import asyncio
import gzip
import json
import tracemalloc
from decimal import Decimal

import pytest
from certificates import self_signed, server_tls
from rest_scripts import MINUTES, TICKER, market, rows

from market_backbone.domain.errors import (
    ChannelTimeoutError,
    ChannelUnavailableError,
    ClosedError,
    MalformedReplyError,
    RateLimitedError,
    SymbolDelistedError,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from market_backbone.domain.finality import Finality

NOT_FOUND = '{"error":{"name":404,"message":"Code not found"}}'


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
    assert 0.5 < channel.client.budget.delay("ticker") <= 1.25
    assert channel.client.budget.delay("orderbook") == 0


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

    assert channel.client.last_remaining is None


async def test_a_group_is_budgeted_by_the_name_that_the_exchange_gives_it(scripted, make_rest):
    scripted.on("/v1/ticker", (json.dumps([TICKER]), 200, {"Remaining-Req": "group=tickers; min=300; sec=0"}))
    channel = make_rest(scripted.url)

    await channel.get_ticker("KRW-BTC")

    assert channel.client.last_remaining.group == "tickers"
    assert channel.client.budget.delay("ticker") == pytest.approx(channel.client.budget.delay("tickers"), abs=0.1)
    assert channel.client.budget.delay("ticker") > 0.5


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

    assert channel.client.budget.delay("ticker") > 0.9


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
    assert not channel.client.identity.is_official


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


async def test_a_certificate_of_nobody_is_refused_unless_it_was_named(serve_http, certificate, make_rest, answer):
    async def ticker(_):
        return answer(json.dumps([TICKER]))

    async with serve_http(ticker, server_tls(certificate)) as url:
        with pytest.raises(ChannelUnavailableError, match="certificate"):
            await make_rest(url).get_ticker("KRW-BTC")
        trusting = make_rest(url, ca_file=str(certificate / "cert.pem"))
        assert (await trusting.get_ticker("KRW-BTC")).symbol == "KRW-BTC"
        await trusting.close()
