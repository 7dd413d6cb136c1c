import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.domain.capabilities import DataKind
from market_backbone.domain.errors import (
    ChannelUnavailableError,
    ConfigurationError,
    IntegrityError,
    MalformedReplyError,
    RateLimitedError,
    SymbolDelistedError,
    UnknownSymbolError,
    UnsupportedRequestError,
)
from market_backbone.domain.market import Market
from market_backbone.domain.request import Topic
from market_backbone.domain.streaming import Rejected
from market_backbone.domain.symbol import Symbol
from market_backbone.domain.timeframe import Timeframe
from market_backbone.infrastructure.upbit import protocol
from market_backbone.infrastructure.upbit.failures import (
    ErrorDetail,
    Refusal,
    explain_frame_error,
    explain_status,
    explain_upgrade,
    stated_wait,
)
from market_backbone.infrastructure.upbit.frames import ControlFrame, FrameOrigin, FrameReader
from market_backbone.infrastructure.upbit.markets import MarketList
from market_backbone.infrastructure.upbit.options import UpbitOptions, read_announcement, venue_of_address
from market_backbone.infrastructure.upbit.reconnect import Reconnect
from market_backbone.infrastructure.upbit.values import excerpt, to_change, to_instant, to_slot, to_taker_side

BTC, ETH = Symbol("KRW-BTC"), Symbol("KRW-ETH")
LIVE = FrameOrigin("upbit-kr")
TRADE = {
    "type": "trade",
    "code": "KRW-BTC",
    "trade_price": 1.5,
    "trade_volume": 0.25,
    "ask_bid": "BID",
    "sequential_id": 7,
    "trade_timestamp": 1785395043779,
    "timestamp": 1785395043831,
    "stream_type": "REALTIME",
}


def test_candles_are_asked_for_before_an_instant_spelled_with_z():
    call = protocol.candles_call(BTC, Timeframe.H4, 200, datetime(2026, 1, 1, tzinfo=UTC))

    assert call.path == "/v1/candles/minutes/240"
    assert call.query == {"market": "KRW-BTC", "count": "200", "to": "2026-01-01T00:00:00Z"}
    assert "to" not in protocol.candles_call(BTC, Timeframe.D1, 1, None).query


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_bound_between_two_seconds_loses_no_slot(to):
    """The exchange reads whole seconds: rounding down would hide the slot that opened within the last one."""
    spelled = datetime.fromisoformat(protocol.candles_call(BTC, Timeframe.S1, 1, to).query["to"])

    assert spelled.microsecond == 0
    assert 0 <= (spelled - to).total_seconds() < 1


def test_calls_spell_their_parameters_as_the_exchange_does():
    assert protocol.tickers_call([BTC, ETH]).query == {"markets": "KRW-BTC,KRW-ETH"}
    assert protocol.all_tickers_call(["KRW", "BTC"]).query == {"quote_currencies": "KRW,BTC"}
    assert protocol.trades_call(BTC, 500, before_id=None, days_ago=None).query == {"market": "KRW-BTC", "count": "500"}
    assert protocol.trades_call(BTC, 5, before_id=9, days_ago=2).query["cursor"] == "9"
    assert protocol.orderbooks_call([BTC], count=5, level="10000").query["level"] == "10000"
    assert protocol.instruments_call([BTC]).group == "orderbook"
    assert protocol.markets_call().query == {"is_details": "true"}


@pytest.mark.parametrize(
    ("header", "remaining"),
    [
        ("group=candles; min=600; sec=9", ("candles", 10, 9)),
        ("group=crix-trades; min=300; sec=0", ("crix-trades", 5, 0)),
        ("group=origin; min=6; sec=0", ("origin", 1, 0)),
        ("nonsense", None),
        (None, None),
    ],
)
def test_the_budget_header_is_read_or_ignored(header, remaining):
    found = protocol.read_remaining(header)

    assert (found and (found.group, found.per_second, found.left)) == remaining


def test_a_subscription_names_its_ticket_first_and_its_format_last():
    topics = [
        Topic(DataKind.ORDERBOOK, BTC),
        Topic(DataKind.CANDLE, BTC, Timeframe.H1),
        Topic(DataKind.CANDLE, ETH, Timeframe.H1),
        Topic(DataKind.TRADE, BTC),
    ]

    text = protocol.subscription("t", topics, frame_format="SIMPLE", depth=5, snapshot_only=True)

    assert json.loads(text) == [
        {"ticket": "t"},
        {"type": "candle.60m", "codes": ["KRW-BTC", "KRW-ETH"], "is_only_snapshot": True},
        {"type": "orderbook", "codes": ["KRW-BTC.5"], "is_only_snapshot": True},
        {"type": "trade", "codes": ["KRW-BTC"], "is_only_snapshot": True},
        {"format": "SIMPLE"},
    ]


@pytest.mark.parametrize("timeframe", [Timeframe.D1, Timeframe.W1, Timeframe.MONTH, Timeframe.Y1, None])
def test_days_and_longer_have_no_stream(timeframe):
    with pytest.raises(UnsupportedRequestError, match="streams no"):
        protocol.stream_type(Topic(DataKind.CANDLE, BTC, timeframe))


@given(st.integers(1, 30))
def test_a_book_is_streamed_in_the_smallest_depth_that_holds_it(depth):
    offered = protocol.stream_depth(depth)

    assert offered >= depth
    assert all(other < depth or other >= offered for other in protocol.STREAM_DEPTHS)


@given(st.integers(0, 4_000_000_000))
def test_stamps_are_milliseconds_or_microseconds(second):
    assert protocol.stamp_seconds(second * 1000) == second
    if second * 1_000_000 >= protocol.MICROSECONDS_FROM:
        assert to_instant(second * 1_000_000) == to_instant(second * 1000)


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


@pytest.mark.parametrize("frame_format", ["DEFAULT", "JSON_LIST"])
def test_a_data_frame_is_read_as_text_and_as_bytes(frame_format):
    frame = [TRADE, TRADE] if frame_format == "JSON_LIST" else TRADE

    as_text, as_bytes = read(frame, frame_format), read(json.dumps(frame).encode(), frame_format)

    assert as_text == as_bytes
    assert [item.value.price for item in as_text] == [Decimal("1.5")] * (2 if frame_format == "JSON_LIST" else 1)


@pytest.mark.parametrize(
    "frame",
    [
        {"status": "UP"},
        {"method": "LIST_SUBSCRIPTIONS", "result": [], "ticket": "t"},
        {"mthd": "LIST_SUBSCRIPTIONS", "rslt": [], "tckt": "t"},
        [{"status": "UP"}],
        {"error": {"name": "NO_CODES", "message": "codes field not exists."}},
    ],
)
def test_control_frames_carry_no_data_in_any_format(frame):
    for frame_format in ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"):
        (item,) = read(frame, frame_format)
        assert isinstance(item, ControlFrame)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "candle.1d"},
        {"code": "krw-btc"},
        {"trade_price": None},
        {"trade_price": "NaN"},
        {"trade_price": -1},
        {"trade_price": True},
        {"ask_bid": "BOTH"},
        {"sequential_id": 2**64},
        {"trade_timestamp": 10**30},
    ],
)
def test_a_frame_that_cannot_be_meant_is_rejected_with_its_text(change):
    (item,) = read({**TRADE, **change})

    assert isinstance(item, Rejected)
    assert item.excerpt.startswith('{"type"')


@given(st.binary(max_size=200))
def test_no_content_whatever_makes_reading_fail(frame):
    for item in read(frame):
        assert isinstance(item, Rejected | ControlFrame)


@pytest.mark.parametrize("frame", [b"\xff\xfe", "[" * 5000, "[]", "{}", "1", '{"status":""}'])
def test_a_frame_that_is_no_frame_is_rejected(frame):
    (item,) = read(frame)

    assert isinstance(item, Rejected)
    assert item.reason.startswith("not a frame")


@pytest.mark.parametrize("text", ["", "today", "2026-03-11T14:40:00+09:00", "9999-12-31T00:00:00"])
def test_the_opening_of_a_candle_is_utc_without_saying_so(text):
    assert to_slot("2026-03-11T14:40:00") == datetime(2026, 3, 11, 14, 40, tzinfo=UTC)
    with pytest.raises(IntegrityError, match="no opening of a candle"):
        to_slot(text)


def test_words_that_upbit_does_not_use_are_refused():
    with pytest.raises(IntegrityError, match="expected ASK or BID"):
        to_taker_side("SELL")
    with pytest.raises(IntegrityError, match="expected RISE, EVEN or FALL"):
        to_change("UP")


def test_an_excerpt_is_one_short_line():
    assert excerpt("a\n  b") == "a b"
    assert excerpt(b"\xff" * 1000) == "\ufffd" * 160 + "…"


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
def test_the_wait_before_the_next_socket_grows_and_has_an_end(failures, chance):
    state = Reconnect()
    for _ in range(failures):
        state = state.after_refusal()
    delay = state.delay_s(ChannelUnavailableError("down", channel="websocket"), chance)

    assert 0.1 <= delay <= 30.0
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
