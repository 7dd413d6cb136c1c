"""The rule table: same request, same views, same plan; every row with a name and a reason."""

import pytest
from attrs import evolve
from channel_views import BINANCE, BULK, FILES, SMART, cache, views

from market_backbone import (
    CacheOnly,
    ChannelView,
    PreferFreshest,
    RestOnly,
    Timeframe,
    UnsupportedRequestError,
    WebSocketFirst,
    create_candle_request,
    create_orderbook_request,
    create_realtime_request,
    create_ticker_request,
    create_trades_request,
)
from market_backbone.application.streaming.feeds.route import FeedRoute
from market_backbone.domain.routing import Extent, Holdings, StepStatus
from market_backbone.infrastructure.candle_store.channel import CAPABILITIES as CACHE
from market_backbone.infrastructure.upbit.rest import CAPABILITIES as REST
from market_backbone.infrastructure.upbit.websocket import CAPABILITIES as WEBSOCKET


@pytest.mark.parametrize(
    ("request_", "rule", "channels"),
    [
        (create_realtime_request("KRW-BTC"), "live-stream", ("websocket", "rest")),
        (create_realtime_request("KRW-BTC", kind="trade"), "live-stream", ("websocket", "rest")),
        (create_realtime_request("KRW-BTC", "1d"), "live-derived", ("websocket", "rest")),
        (create_ticker_request("KRW-BTC"), "quote-snapshot", ("websocket", "rest")),
        (create_orderbook_request("KRW-BTC"), "quote-snapshot", ("websocket", "rest")),
        (create_trades_request("KRW-BTC", 100), "trades", ("rest",)),
        (create_candle_request("KRW-BTC", "1m", 500), "candles-bulk", ("rest",)),
        (create_candle_request("KRW-BTC", "1y", 3), "candles-bulk", ("rest",)),
    ],
)
def test_each_kind_of_request_takes_its_row(request_, rule, channels):
    plan = SMART.plan(request_, views())
    assert (plan.rule, plan.channels) == (rule, channels)
    assert plan.reason
    assert all(step.reason for step in plan.steps)
    assert plan == SMART.plan(request_, views())


def test_a_quote_that_is_followed_already_comes_from_memory():
    plan = SMART.plan(create_ticker_request("KRW-BTC"), views(followed=["ticker:KRW-BTC"]))
    assert plan.rule == "quote-followed"
    book = SMART.plan(create_orderbook_request("KRW-BTC"), views(followed=["orderbook:KRW-BTC"]))
    assert book.rule == "quote-followed"
    both = SMART.plan(create_ticker_request(["KRW-BTC", "KRW-ETH"]), views(followed=["ticker:KRW-BTC"]))
    assert both.rule == "quote-snapshot"


def test_a_strangers_source_takes_over_after_ours():
    plan = SMART.plan(create_candle_request("KRW-BTC", "1m", 10), views(extra=[FILES]))
    assert plan.channels == ("rest", "files")


def test_a_symbol_of_another_venue_goes_to_the_channel_of_that_name():
    plan = SMART.plan(create_candle_request("files:BTC/USDT", "1m", 10), views(extra=[FILES]))
    assert plan.channels == ("files",)


BINANCE_LIVE = ChannelView(
    name="b-stranger", capabilities=evolve(WEBSOCKET, answers=frozenset(), canary="", venue_prefix="binance")
)


@pytest.mark.parametrize("policy", [SMART, RestOnly(), WebSocketFirst(), PreferFreshest()])
def test_a_symbol_is_asked_of_the_channels_of_its_venue_and_of_no_other(policy):
    both = views(extra=[BINANCE])
    assert policy.plan(create_candle_request("binance:BTC/USDT", "1m", 10), both).channels == ("a-stranger",)
    assert set(policy.plan(create_candle_request("KRW-BTC", "1m", 10), both).channels) <= {"rest", "websocket"}
    assert policy.plan(create_ticker_request("binance:BTC/USDT"), both).channels == ("a-stranger",)


def test_the_first_channel_of_another_venue_is_not_said_to_stand_in_for_ours():
    plan = SMART.plan(create_candle_request("binance:BTC/USDT", "1m", 10), views(extra=[BINANCE]))
    assert [step.reason for step in plan.steps] == [plan.reason]


def test_another_venue_is_streamed_first_and_polled_when_the_stream_is_lost():
    plan = SMART.plan(create_realtime_request("binance:BTC/USDT"), views(extra=[BINANCE, BINANCE_LIVE]))
    assert [(step.channel, step.action) for step in plan.steps] == [("b-stranger", "stream"), ("a-stranger", "poll")]
    assert FeedRoute.of(plan) == FeedRoute("b-stranger", "a-stranger")


def test_rest_only_opens_no_socket_of_another_venue_either():
    request = create_realtime_request("binance:BTC/USDT")
    assert RestOnly().plan(request, views(extra=[BINANCE, BINANCE_LIVE])).channels == ("a-stranger",)


def test_cache_only_asks_nobody_of_another_venue_either():
    with pytest.raises(UnsupportedRequestError, match="nothing is held"):
        CacheOnly().plan(create_candle_request("binance:BTC/USDT", "1m", 10), views(extra=[BINANCE]))


def test_what_is_held_of_another_venue_joins_its_channel():
    held = ChannelView(name="cache", capabilities=CACHE, holding=Holdings(extent=Extent.PART, missing_slots=3))
    plan = SMART.plan(create_candle_request("binance:BTC/USDT", "1m", 10), views(extra=[BINANCE, held]))
    assert [(step.channel, step.joins_next) for step in plan.steps] == [
        ("cache", True),
        ("a-stranger", False),
        ("cache", False),
    ]


def test_what_is_held_does_not_join_files():
    files = evolve(FILES, capabilities=evolve(FILES.capabilities, venue_prefix="files", calls_are_free=True))
    held = ChannelView(name="cache", capabilities=CACHE, holding=Holdings(extent=Extent.PART, missing_slots=3))
    plan = SMART.plan(create_candle_request("files:BTC/KRW", "1m", 10), [files, held])
    assert [(step.channel, step.joins_next) for step in plan.steps] == [("files", False), ("cache", False)]


def test_what_never_changes_is_not_polled_for_news():
    files = evolve(FILES, capabilities=evolve(FILES.capabilities, rows_are_final=True))
    assert SMART.plan(create_realtime_request("KRW-BTC"), views(extra=[files])).channels == ("websocket", "rest")


def test_the_socket_serves_the_newest_candle_only_under_its_own_policy():
    tip = create_candle_request("KRW-BTC", "1m", 1)
    assert WebSocketFirst().plan(tip, views()).channels == ("websocket", "rest")
    assert WebSocketFirst().plan(create_candle_request("KRW-BTC", "1m", 2), views()).channels == ("rest",)
    assert WebSocketFirst().plan(evolve(tip, closed_only=True), views()).channels == ("rest",)


def test_rest_only_never_names_another_channel():
    for request in (create_realtime_request("KRW-BTC"), create_ticker_request("KRW-BTC")):
        assert RestOnly().plan(request, views(extra=[FILES])).channels == ("rest",)


@pytest.mark.parametrize("policy", [SMART, WebSocketFirst()])
@pytest.mark.parametrize("timeframe", ["1d", "1w", "1M", "1y"])
def test_what_has_no_stream_is_made_of_its_minutes_and_checked_with_rest(policy, timeframe):
    plan = policy.plan(create_realtime_request("KRW-BTC", timeframe), views())
    assert [(step.channel, step.action) for step in plan.steps] == [("websocket", "stream 1m"), ("rest", "refresh")]
    assert "its minutes are streamed" in plan.steps[0].reason
    assert "alone says what is FINAL" in plan.steps[1].reason
    assert FeedRoute.of(plan) == FeedRoute("websocket", "rest", Timeframe.M1)
    minutes = policy.plan(create_realtime_request("KRW-BTC"), views())
    assert FeedRoute.of(plan).of_what_it_is_made == FeedRoute.of(minutes)


@pytest.mark.parametrize("lost", ["rest", "websocket"])
def test_a_circuit_that_is_open_changes_nothing_of_how_it_is_made(lost):
    plan = SMART.plan(create_realtime_request("KRW-BTC", "1d"), views(**{lost: False}))
    assert plan.steps[1].status is StepStatus.SKIPPED
    assert FeedRoute.of(plan) == FeedRoute("websocket", "rest", Timeframe.M1)


@pytest.mark.parametrize("missing", ["the stream of minutes", "the past minutes"])
def test_what_cannot_be_made_of_minutes_is_polled(missing):
    rest, websocket = views()
    if missing == "the past minutes":
        days_only = evolve(REST, timeframes=frozenset({Timeframe.D1}))
        offered = [evolve(rest, capabilities=days_only), websocket]
    else:
        offered = [rest]
    plan = SMART.plan(create_realtime_request("KRW-BTC", "1d"), offered)
    assert (plan.rule, plan.steps[0].action) == ("live-polling", "poll")


def test_a_source_that_knows_no_minutes_is_not_asked_what_was_before_them():
    knows_days = evolve(FILES.capabilities, timeframes=frozenset({Timeframe.D1}))
    plan = SMART.plan(create_realtime_request("KRW-BTC", "1d"), views(extra=[evolve(FILES, capabilities=knows_days)]))
    assert plan.channels == ("websocket", "rest")


def test_when_rest_may_not_be_asked_what_is_held_answers_alone():
    plan = SMART.plan(BULK, views(rest=False, extra=(cache(Extent.PART, 10),)))
    assert [(step.channel, step.joins_next, step.status) for step in plan.steps] == [
        ("cache", False, StepStatus.PLANNED),
        ("rest", False, StepStatus.SKIPPED),
    ]


def test_what_is_held_serves_candles_only():
    for request in (create_ticker_request("KRW-BTC"), create_realtime_request("KRW-BTC")):
        assert "cache" not in SMART.plan(request, views(extra=(cache(Extent.WHOLE, 0),))).channels


def test_cache_only_asks_nobody_and_says_when_nothing_is_held():
    assert CacheOnly().plan(BULK, views(extra=(cache(Extent.PART, 10),))).channels == ("cache",)
    with pytest.raises(UnsupportedRequestError, match="download it first"):
        CacheOnly().plan(BULK, views(extra=(cache(Extent.NOTHING),)))


def test_a_policy_that_prefers_the_socket_still_uses_what_is_held():
    assert WebSocketFirst().plan(BULK, views(extra=(cache(Extent.WHOLE, 0),))).rule == "candles-held"
