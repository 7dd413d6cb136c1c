"""Options are checked, addresses moved, ccxt's errors translated, and nobody sends Origin."""

import ccxt
import pytest
from aiohttp import web
from conftest import BTC, context_of
from market_backbone_ccxt import CcxtOptions, ccxt_channel, ccxt_pro_channel
from market_backbone_ccxt.failures import explain, translated

from market_backbone import (
    ChannelTimeoutError,
    ChannelUnavailableError,
    ConfigurationError,
    DataKind,
    MalformedReplyError,
    RateLimitedError,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from market_backbone.domain.errors import ChannelError
from market_backbone.infrastructure.sandbox import Fault


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"exchange": "binanse"},
            "plugins.options.ccxt.exchange: expected an exchange of ccxt, got 'binanse'; did you mean",
        ),
        ({"url": "http://example.com"}, "url: expected https://host"),
        ({"url": "https://example.com/path"}, "url: expected https://host"),
        ({"url": "nonsense"}, "url: expected https://host"),
        ({"complete": "perhaps"}, "complete: expected true or false"),
        ({"candles_per_call": "-1"}, "candles_per_call: expected a whole number"),
        ({"exchnge": "x"}, "unknown option 'exchnge'; known: exchange, url"),
    ],
)
def test_every_wrong_option_is_named(options, told):
    with pytest.raises(ConfigurationError) as caught:
        CcxtOptions.of(options, "plugins.options.ccxt")
    assert told in str(caught.value)


def test_the_address_decides_whose_data_it_is():
    assert CcxtOptions.of({"exchange": "kraken"}, "").venue == "kraken"
    assert CcxtOptions.of({"url": "https://example.com:8443"}, "").venue == "custom:example.com:8443"


def test_symbols_begin_with_the_name_of_the_exchange(sandbox):
    for make in (ccxt_channel, ccxt_pro_channel):
        assert make(context_of("ccxt", sandbox, exchange="kraken")).capabilities.venue_prefix == "kraken"


def test_what_ccxt_has_is_declared_and_nothing_else(sandbox):
    rest, live = ccxt_channel(context_of("ccxt", sandbox)), ccxt_pro_channel(context_of("ccxt-pro", sandbox))
    assert rest.capabilities.answers == {DataKind.CANDLE, DataKind.ORDERBOOK, DataKind.TRADE}
    assert rest.capabilities.candles_per_call == 200
    assert live.capabilities.follows == {DataKind.CANDLE, DataKind.ORDERBOOK, DataKind.TRADE}
    assert {str(frame) for frame in live.capabilities.live_timeframes} == {"1s"}
    without = ccxt_pro_channel(context_of("ccxt-pro", sandbox, exchange="btcturk")).capabilities
    assert (without.follows, without.live_timeframes) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("error", "ours", "retryable"),
    [
        (ccxt.RateLimitExceeded("slow down"), RateLimitedError, True),
        (ccxt.DDoSProtection("slow down"), RateLimitedError, True),
        (ccxt.RequestTimeout("late"), ChannelTimeoutError, True),
        (ccxt.ExchangeNotAvailable("down"), ChannelUnavailableError, True),
        (ccxt.OnMaintenance("down"), ChannelUnavailableError, True),
        (ccxt.NetworkError("cut"), ChannelUnavailableError, True),
        (ccxt.BadResponse("what"), MalformedReplyError, False),
        (ccxt.AuthenticationError("who"), ChannelUnavailableError, False),
        (ccxt.BadSymbol("which"), UnknownSymbolError, None),
        (ccxt.NotSupported("no"), UnsupportedRequestError, None),
    ],
)
def test_each_error_of_ccxt_becomes_one_of_ours(error, ours, retryable):
    found = explain(error, "ccxt")
    assert type(found) is ours
    if isinstance(found, ChannelError):
        assert (found.channel, found.retryable) == ("ccxt", retryable)


def test_an_answer_that_cannot_be_read_is_malformed():
    with pytest.raises(MalformedReplyError, match="cannot be read: KeyError"), translated("ccxt"):
        raise KeyError("price")


async def test_errors_over_the_wire_are_translated(make_rest, sandbox):
    channel = make_rest()
    await channel.get_candles(BTC, "1m", 1)
    sandbox.inject(Fault("rest-status", status=429))
    with pytest.raises(RateLimitedError):
        await channel.get_candles(BTC, "1m", 1)
    sandbox.clear_faults()
    sandbox.inject(Fault("rest-status", status=500))
    with pytest.raises(ChannelUnavailableError):
        await channel.get_candles(BTC, "1m", 1)
    sandbox.clear_faults()
    sandbox.inject(Fault("malformed-body"))
    with pytest.raises(ChannelError):
        await channel.get_candles(BTC, "1m", 1)


async def test_trades_that_cannot_be_told_apart_are_refused(make_rest):
    channel = make_rest()
    raw = channel._exchange.raw

    async def fetch(market, since, limit):
        await raw.fetch_order_book(market)
        return [{"id": "0-a-b", "price": 1.0, "amount": 1.0, "side": "buy", "timestamp": 1}]

    raw.fetch_trades = fetch
    with pytest.raises(MalformedReplyError, match="ids that are no numbers"):
        await channel.get_trades(BTC, 1)


async def test_no_origin_is_sent_and_the_rate_limit_is_on():
    """Upbit slows down whoever sends ``Origin`` to one call in ten seconds."""
    seen = []

    async def note(request):
        seen.append(dict(request.headers))
        return web.json_response([], headers={"Date": "Sun, 01 Nov 2026 00:00:00 GMT"})

    app = web.Application()
    app.router.add_get("/{anything:.*}", note)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]

    class Here:
        rest_url = f"http://127.0.0.1:{port}"

    channel = ccxt_channel(context_of("ccxt", Here))
    assert channel._exchange.raw.enableRateLimit
    live = ccxt_pro_channel(context_of("ccxt-pro", Here))
    with pytest.raises(UnknownSymbolError):
        await channel.get_candles(BTC)
    raw = live._exchange.raw
    market = {"id": "KRW-BTC", "symbol": "BTC/KRW", "base": "BTC", "quote": "KRW", "spot": True, "type": "spot"}
    raw.set_markets([raw.safe_market_structure(market)])
    with pytest.raises(ccxt.BaseError):
        await raw.watch_trades("BTC/KRW")
    await channel.close()
    await live.close()
    await runner.cleanup()
    assert len(seen) >= 2
    assert all("origin" not in {name.lower() for name in headers} for headers in seen)
