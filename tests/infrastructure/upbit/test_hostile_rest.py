"""A malicious REST server: whatever it sends costs little and ends in an error of our tree."""

import asyncio
import json

import pytest
from hostile import CHUNKED, MB, OK_HEAD, costs_at_most, endless, gzip_bomb, gzipped, reply
from rest_scripts import row, rows

from market_backbone.domain.errors import (
    ChannelError,
    ChannelTimeoutError,
    ChannelUnavailableError,
    MalformedReplyError,
    RateLimitedError,
)

CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"


def page(**changes):
    return json.dumps([row(1, **changes)]).encode()


def with_price(number):
    return page(opening_price="?").replace(b'"?"', number)


def dripping(head, piece=b"x"):
    """Script: one byte a quarter of a second, for ever."""
    return endless(head, piece, pause=0.25)


BODIES = {
    "endless body": (endless(OK_HEAD + b"\r\n", b" " * 65536), MalformedReplyError),
    "endless chunks": (endless(CHUNKED, CHUNK), MalformedReplyError),
    "a chunk of a petabyte": (endless(CHUNKED, b"4000000000000\r\n" + b" " * 65536), MalformedReplyError),
    "a length of a petabyte": (
        endless(OK_HEAD + b"Content-Length: 1125899906842624\r\n\r\n", b" " * 65536),
        MalformedReplyError,
    ),
    "a gzip of 10 GB": (reply(gzip_bomb(10), "Content-Encoding: gzip"), MalformedReplyError),
    "an endless gzip": (endless(OK_HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip_bomb(1)), MalformedReplyError),
    "a broken gzip": (reply(b"\x1f\x8b\x08 and no more", "Content-Encoding: gzip"), MalformedReplyError),
    "arrays 100,000 deep": (gzipped(b"[" * 100_000), MalformedReplyError),
    "objects 100,000 deep": (gzipped(b'[{"market":' * 100_000), MalformedReplyError),
    "values to skip 100,000 deep": (gzipped(b'[{"x":' + b'{"x":' * 100_000), MalformedReplyError),
    "a whole number of 10 MB": (gzipped(page(timestamp="?").replace(b'"?"', b"1" * 10 * MB)), MalformedReplyError),
    "a whole number of 4,000 digits": (reply(page(timestamp="?").replace(b'"?"', b"1" * 4000)), MalformedReplyError),
    "a price of 10 MB": (gzipped(with_price(b"1" * 10 * MB)), MalformedReplyError),
    "a fraction of 10 MB": (gzipped(with_price(b"2." + b"1" * 10 * MB)), MalformedReplyError),
    "1e999999999": (reply(with_price(b"1e999999999")), MalformedReplyError),
    "1e-999999999": (reply(with_price(b"1e-999999999")), MalformedReplyError),
    "0e-999999999": (reply(with_price(b"0e-999999999")), MalformedReplyError),
    "NaN": (reply(with_price(b"NaN")), MalformedReplyError),
    "NaN as text": (reply(with_price(b'"NaN"')), MalformedReplyError),
    "signalling NaN as text": (reply(with_price(b'"sNaN"')), MalformedReplyError),
    "Infinity as text": (reply(with_price(b'"-Infinity"')), MalformedReplyError),
    "null bytes": (reply(b"[\0]"), MalformedReplyError),
    "lone surrogate": (reply(page(market="\ud800")), MalformedReplyError),
    "wrong UTF-8": (reply(page().replace(b"KRW", b"\xff\xfe")), MalformedReplyError),
    "two markets in one row": (reply(page()[:-2] + b', "market": "KRW-XRP"}]'), MalformedReplyError),
    "a text of 10 MB for a market": (gzipped(page(market="A" * 10 * MB)), MalformedReplyError),
    "60,000 rows": (gzipped(b"[" + b",".join([page()[1:-1]] * 60_000) + b"]"), MalformedReplyError),
    "year 0": (reply(page(candle_date_time_utc="0000-01-01T00:00:00")), MalformedReplyError),
    "year 1": (reply(page(candle_date_time_utc="0001-01-01T00:00:00")), MalformedReplyError),
    "year 9999": (reply(page(candle_date_time_utc="9999-12-31T23:59:00")), MalformedReplyError),
    "a stamp in year 9999": (reply(page(timestamp=10**18)), MalformedReplyError),
    "a stamp before Christ": (reply(page(timestamp=-(10**17))), MalformedReplyError),
    "escape sequences for a market": (reply(page(market="KRW-\x1b]0;owned\x07")), MalformedReplyError),
    "a flood of headers": (endless(OK_HEAD, b"X-Flood: " + b"x" * 4000 + b"\r\n"), MalformedReplyError),
    "a header without end": (endless(OK_HEAD + b"X: ", b"x" * 65536), MalformedReplyError),
    "a flood of trailers": (endless(CHUNKED + b"0\r\n", b"X-Flood: " + b"x" * 4000 + b"\r\n"), MalformedReplyError),
    "garbage for a status": (b"HTTP/1.1 \xff\xfe\0\0 OK\r\n\r\n", MalformedReplyError),
    "no HTTP at all": (b"\x16\x03\x01\x02\0\x01\0" * 100, MalformedReplyError),
    "status 99999": (b"HTTP/1.1 99999 OK\r\n\r\n", ChannelError),
    "a page of HTML": (reply(b"<html>\x1b[2J</html>"), MalformedReplyError),
    "a refusal of 10 MB of digits": (gzipped(b"1" * 10 * MB).replace(b"200 OK", b"418 Teapot"), RateLimitedError),
    "an error message of 10 MB": (
        gzipped(b'{"error":{"name":"x","message":"' + b"1" * 10 * MB + b'"}}').replace(b"200 OK", b"500 Oops"),
        ChannelUnavailableError,
    ),
}


SLOW = {
    "slow body": (dripping(CHUNKED, b"1\r\n \r\n"), ChannelTimeoutError),
    "slow headers": (dripping(OK_HEAD + b"X: "), ChannelTimeoutError),
    "slow status": (dripping(b"HTTP/1.1 2"), ChannelError),
    "silence": (dripping(b""), ChannelError),
    "a flood of interim answers": (endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"), ChannelError),
}


@pytest.mark.parametrize("case", SLOW)
async def test_a_server_that_takes_its_time_is_not_waited_for(case, raw_server, make_rest):
    script, expected = SLOW[case]
    rest = make_rest(await raw_server(script), reply_timeout_s=1.0)

    with costs_at_most(seconds=15, megabytes=64), pytest.raises(expected):
        await rest.get_candles("KRW-BTC", "1m", 3)


@pytest.mark.parametrize("case", BODIES)
async def test_whatever_a_server_answers_ends_soon_and_small(case, raw_server, make_rest):
    script, expected = BODIES[case]
    rest = make_rest(await raw_server(script))

    with costs_at_most(seconds=20, megabytes=160), pytest.raises(expected) as caught:
        await rest.get_candles("KRW-BTC", "1m", 3)

    assert len(str(caught.value)) < 2000
    assert str(caught.value).isprintable()


HEADERS = {
    "Remaining-Req of 5,000 digits": [f"Remaining-Req: group=candles; min={'9' * 3000}; sec={'9' * 5000}"],
    "Remaining-Req of nine digits": ["Remaining-Req: group=candles; min=999999999; sec=999999999"],
    "Remaining-Req of words": ["Remaining-Req: group=; min=-1; sec=NaN"],
    "a group of 4,000 letters": [f"Remaining-Req: group={'g' * 4000}; min=600; sec=9"],
    "a speed of 1e308": [f"X-Market-Sandbox: dataset=x; speed={'9' * 308}"],
    "a speed of 1e400": [f"X-Market-Sandbox: dataset=x; speed={'9' * 400}"],
    "a speed of NaN": ["X-Market-Sandbox: dataset=x; speed=nan"],
    "a speed of nothing": ["X-Market-Sandbox: dataset=x; speed=0.00000000001"],
    "a name with escapes": ["X-Market-Sandbox: dataset=\x9b2J; speed=1"],
    "the same header twice": ["X-Market-Sandbox: dataset=a; speed=1", "X-Market-Sandbox: dataset=b; speed=1"],
    "a cookie": ["Set-Cookie: stolen=1"],
}


@pytest.mark.parametrize("case", HEADERS)
async def test_no_header_turns_a_good_answer_into_harm(case, raw_server, make_rest):
    rest = make_rest(await raw_server(reply(rows(1, 2).encode(), *HEADERS[case])))
    await rest.get_candles("KRW-BTC", "1m", 2)

    series = await rest.get_candles("KRW-BTC", "1m", 2)

    assert len(series) == 2
    assert 0.001 <= rest._context.clock.speed <= 1000
    assert series.venue.isprintable()
    assert rest.headroom()["candles"].left <= 10


@pytest.mark.parametrize(
    "date",
    ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 1900 00:00:00 GMT", f"1 Jan {'9' * 30} 0:0:0 GMT", "1e999", "NaN"],
)
async def test_a_date_that_no_clock_shows_is_no_date(date, raw_server, make_rest):
    answer = reply(rows(1).encode()).replace(b"Wed, 11 Mar 2026 14:40:59 GMT", date.encode())
    rest = make_rest(await raw_server(answer))

    with pytest.raises(ChannelUnavailableError, match="no Date"):
        await rest.get_candles("KRW-BTC", "1m", 1)


@pytest.mark.parametrize("wait", ["9" * 400, "1e308", "31536000000"])
async def test_a_server_cannot_silence_us_for_ever(wait, raw_server, make_rest):
    rest = make_rest(await raw_server(reply(b"", f"Retry-After: {wait}", status=b"418 Teapot")))

    with pytest.raises(RateLimitedError) as caught:
        await rest.get_candles("KRW-BTC", "1m", 1)

    assert 60 <= caught.value.retry_after <= 86_400


async def test_groups_without_end_are_not_kept(raw_server, make_rest):
    number = iter(range(1000))

    async def names_another_group(_, writer):
        writer.write(reply(rows(1).encode(), f"Remaining-Req: group=g{next(number)}; min=6000; sec=99"))
        await writer.drain()

    rest = make_rest(await raw_server(names_another_group), speed=50.0)
    for _ in range(80):
        await rest.get_candles("KRW-BTC", "1m", 1)

    assert len(rest.headroom()) <= 64


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 Other", b"307 Temporary", b"308 Permanent"])
async def test_a_redirect_is_never_followed(status, raw_server, make_rest):
    visits = []

    async def elsewhere(_, writer):
        visits.append(writer)

    other = await raw_server(elsewhere)
    rest = make_rest(await raw_server(reply(b"", f"Location: {other}/v1/candles/minutes/1", status=status)))

    with pytest.raises(MalformedReplyError, match="expected 200"):
        await rest.get_candles("KRW-BTC", "1m", 1)

    assert visits == []


async def test_a_cancelled_question_to_a_slow_server_ends_at_once(raw_server, make_rest):
    rest = make_rest(await raw_server(dripping(CHUNKED, b"1\r\n \r\n")), reply_timeout_s=60.0)

    with costs_at_most(seconds=5, megabytes=64), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await rest.get_candles("KRW-BTC", "1m", 1)


async def test_names_of_markets_cannot_move_the_cursor(raw_server, make_rest):
    names = {"english_name": "\x1b[2J\x9bBit\u202ecoin", "korean_name": "비트코인"}
    listed = {"market": "KRW-BTC", **names, "market_event": {"caution": {"\x1b": True}}}
    rest = make_rest(await raw_server(reply(json.dumps([listed]).encode())))

    (market,) = await rest.get_markets()

    assert market.english_name.isprintable()
    assert market.korean_name == "비트코인"
    assert all(name.isprintable() for name in market.cautions)
