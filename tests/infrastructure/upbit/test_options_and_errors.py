"""Where the exchange is, what its refusals mean, and when to come back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.errors import (
    ChannelUnavailableError,
    ConfigurationError,
    MalformedReplyError,
    RateLimitedError,
    SymbolDelistedError,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from market_backbone.domain.market import Market
from market_backbone.domain.symbol import Symbol
from market_backbone.infrastructure.upbit.errors import (
    ErrorDetail,
    Refusal,
    explain_frame_error,
    explain_status,
    explain_upgrade,
    stated_wait,
)
from market_backbone.infrastructure.upbit.frames import FrameOrigin, FrameReader
from market_backbone.infrastructure.upbit.markets import MarketList
from market_backbone.infrastructure.upbit.options import UpbitOptions, read_announcement, venue_of_address
from market_backbone.infrastructure.upbit.reconnect import Reconnect

BTC, ETH = Symbol("KRW-BTC"), Symbol("KRW-ETH")
LIVE = FrameOrigin("upbit-kr")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Too many API requests. This IP is blocked for 90 seconds.", 90),
        ("blocked, 2 minutes left", 120),
        ("요청이 제한되었습니다. 30초 후에", 30),
        ("5분 동안 차단되었습니다", 300),
        ("retry in 1.5s", 1.5),
        ("blocked until 2026-11-22", None),
        ("<h1>418 I'm a teapot</h1>", None),
    ],
)
def test_a_refusal_says_how_long_only_with_a_unit(text, seconds):
    assert stated_wait({}, text) == seconds


def test_a_header_says_it_best_unless_it_is_a_date():
    assert stated_wait({"Retry-After": "7"}, "90 seconds") == 7
    assert stated_wait({"Retry-After": "Wed, 11 Mar 2026 14:40:59 GMT"}, "") is None


def explained(status, body, headers=None):
    text = body if isinstance(body, bytes) else json.dumps({"error": body}).encode()
    return explain_status(status, headers or {}, text, channel="rest")


def test_every_status_has_one_meaning():
    unknown = explained(404, {"name": 404, "message": "Code not found"})
    gateway = explained(404, {"name": "not_found", "message": "no Route matched with those values"})
    bad = explained(400, {"name": 400, "message": "Type mismatch error. Check the parameters type!"})
    broken = explained(502, b"<html>Bad gateway</html>")
    moved = explained(302, b"")
    limited = explained(429, b"Too many API requests.")
    patient = explained(429, b"", {"Retry-After": "3"})
    blocked = explained(418, b"blocked")

    assert unknown is Refusal.CODE_NOT_FOUND
    assert [type(one) for one in (gateway, bad, broken, moved, limited, blocked)] == [
        ChannelUnavailableError,
        UnsupportedRequestError,
        ChannelUnavailableError,
        MalformedReplyError,
        RateLimitedError,
        RateLimitedError,
    ]
    assert (gateway.retryable, moved.retryable) == (True, False)
    assert "Type mismatch" in str(bad)
    assert "Bad gateway" in str(broken)
    assert (limited.retryable, limited.retry_after, patient.retry_after) == (True, 1.0, 3.0)
    assert (blocked.retryable, blocked.retry_after) == (False, 60.0)


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_fault_of_the_exchange_can_be_tried_again(status):
    assert explained(status, b"").retryable


def test_error_frames_are_told_apart_by_name():
    many = explain_frame_error(ErrorDetail("", "TOO_MANY_REQUEST"), channel="websocket")
    internal = explain_frame_error(ErrorDetail("", "INTERNAL_ERROR"), channel="websocket")

    assert isinstance(many, RateLimitedError)
    assert many.retryable
    assert internal.retryable
    for name in ("WRONG_FORMAT", "NO_TICKET", "NO_TYPE", "NO_CODES", "INVALID_PARAM", "INVALID_AUTH"):
        assert not explain_frame_error(ErrorDetail("text", name), channel="websocket").retryable


def test_a_refused_upgrade_is_always_tried_again_and_says_when():
    assert explain_upgrade(418, {}, b"", channel="websocket").retry_after == 60
    assert explain_upgrade(418, {}, b"", channel="websocket").retryable
    assert explain_upgrade(429, {}, b"", channel="websocket").retry_after == 1
    assert "404" in str(explain_upgrade(404, {}, b'{"error":{"name":404}}', channel="websocket"))


def read(frame, frame_format="DEFAULT"):
    return FrameReader(frame_format).read(frame if isinstance(frame, (bytes, str)) else json.dumps(frame), LIVE)


def market_list(*symbols, now=0.0):
    markets = MarketList()
    markets.update([Market(symbol=Symbol(symbol), english_name=symbol) for symbol in symbols], now)
    return markets


def test_a_missing_code_means_what_the_latest_list_says():
    markets = market_list("KRW-BTC", "KRW-ETH")
    markets.remember(Symbol("KRW-OLD"))

    listed = markets.explain_missing(BTC, channel="rest")
    delisted = markets.explain_missing(Symbol("KRW-OLD"), channel="rest")
    swapped = markets.explain_missing(Symbol("BTC-KRW"), channel="rest")
    strange = markets.explain_missing(Symbol("ABC-DEF"), channel="rest")

    assert [type(one) for one in (listed, delisted, swapped)] == [
        ChannelUnavailableError,
        SymbolDelistedError,
        UnknownSymbolError,
    ]
    assert listed.retryable
    assert "did you mean KRW-BTC" in str(swapped)
    assert "market-backbone markets" in str(strange)


def test_a_market_that_leaves_the_list_is_delisted_and_the_list_is_read_every_ten_seconds_at_most():
    markets = market_list("KRW-BTC", "KRW-ETH")
    assert not markets.may_refresh(9.9)
    assert markets.may_refresh(10.0)

    markets.update(market_list("KRW-BTC").markets, 10.0)

    assert isinstance(markets.explain_missing(ETH, channel="rest"), SymbolDelistedError)
    assert (MarketList().is_loaded, markets.is_loaded) == (False, True)


@pytest.mark.parametrize(
    ("url", "venue"),
    [
        ("https://api.upbit.com", "upbit-kr"),
        ("wss://api.upbit.com:443/websocket/v1", "upbit-kr"),
        ("http://127.0.0.1:8080", "custom:127.0.0.1:8080"),
        ("https://api.upbit.com:8443", "custom:api.upbit.com:8443"),
        ("https://mirror.example", "custom:mirror.example:443"),
        ("ws://localhost/x", "custom:localhost:80"),
    ],
)
def test_only_the_official_host_over_tls_is_the_exchange(url, venue):
    assert venue_of_address(url, UpbitOptions().site) == venue


def test_the_addresses_of_a_region_are_its_own():
    options = UpbitOptions(region="sg")

    assert options.rest_base == "https://sg-api.upbit.com"
    assert options.socket_address == "wss://sg-api.upbit.com/websocket/v1"
    assert UpbitOptions(rest_url="http://127.0.0.1:1/").rest_base == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "options",
    [
        {"region": "jp"},
        {"rest_url": "http://example.com"},
        {"rest_url": "ftp://127.0.0.1"},
        {"rest_url": "https://"},
        {"rest_url": "http://127.0.0.1:99999"},
        {"websocket_url": "ws://example.com"},
        {"websocket_url": "http://127.0.0.1:1"},
        {"frame_format": "XML"},
        {"reply_timeout_s": 0},
        {"reply_timeout_s": "soon"},
        {"requests_per_s": -1},
        {"verify_tls": "no"},
    ],
)
def test_a_setting_that_means_nothing_is_a_mistake_of_the_configuration(options):
    with pytest.raises(ConfigurationError, match=next(iter(options)).replace("_url", "")):
        UpbitOptions.read({**options, "somebody_elses": 1})


def test_flags_are_true_or_false():
    assert UpbitOptions.read({"compression": False, "verify_tls": True}).compression is False


def test_every_mistake_is_listed_at_once():
    with pytest.raises(ConfigurationError) as caught:
        UpbitOptions.read({"reply_timeout_s": "soon", "requests_per_s": "many"})

    assert "reply_timeout_s" in str(caught.value)
    assert "requests_per_s" in str(caught.value)


def test_a_file_of_certificates_that_is_none_is_a_mistake_of_the_configuration(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        UpbitOptions(ca_file=str(tmp_path / "missing.pem")).tls()


def test_certificates_can_be_left_unchecked_only_on_purpose():
    assert UpbitOptions().tls().check_hostname
    assert not UpbitOptions(verify_tls=False).tls().check_hostname


def test_a_sandbox_announces_its_dataset_and_speed():
    assert read_announcement({}) is None
    found = read_announcement({"X-Market-Sandbox": "dataset=seed-7@2026; speed=60.5"})
    assert (found.venue, found.speed) == ("sandbox:seed-7@2026", 60.5)
    assert read_announcement({"X-Market-Sandbox": "yes"}).speed == 1.0


@given(st.integers(0, 60), st.floats(0, 1, exclude_max=True))
def test_the_wait_before_the_next_socket_grows_and_has_an_end(failures, rng):
    state = Reconnect()
    for _ in range(failures):
        state = state.after_refusal()
    delay = state.delay_s(ChannelUnavailableError("down", channel="websocket"), rng)

    assert 0.1 <= delay <= 60.0
    assert delay >= 30.0 or failures < 11, "an exchange that is down is asked once in 30 to 60 s"
    assert delay <= 0.2 * 2 ** max(failures - 1, 0)


def test_a_steady_life_forgives_all_failures_and_a_short_one_is_a_failure():
    state = Reconnect(failures=5)

    assert state.after_life(10.0) == Reconnect()
    assert state.after_life(9.9) == Reconnect(failures=6)
    assert Reconnect().delay_s(None, 0.5) == 0.1


def test_a_refusal_that_says_when_is_waited_for():
    blocked = RateLimitedError("418", channel="websocket", retry_after=60.0)

    assert Reconnect(failures=1).delay_s(blocked, 0.0) == 60.0
    assert Reconnect(failures=1).delay_s(RateLimitedError("429", channel="websocket"), 0.0) == 0.1
