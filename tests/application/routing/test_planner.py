"""From a row of the table to a plan: steps, costs, reasons, and refusals that name what there is."""

from datetime import timedelta

import pytest
from channel_views import BINANCE, BULK, FILES, SMART, cache, views

from market_backbone import (
    UnsupportedRequestError,
    create_candle_request,
    create_realtime_request,
    create_ticker_request,
    create_trades_request,
)
from market_backbone.domain.routing import Extent, StepStatus


def test_a_channel_whose_circuit_is_open_is_skipped_and_the_plan_says_why():
    plan = SMART.plan(create_realtime_request("KRW-BTC"), views(websocket=False))
    assert plan.channels == ("rest", "websocket")
    assert plan.steps[1].status is StepStatus.SKIPPED
    assert "cut" in plan.steps[1].reason


def test_when_every_circuit_is_open_all_are_tried_all_the_same():
    plan = SMART.plan(create_ticker_request("KRW-BTC"), views(rest=False, websocket=False))
    assert [step.status for step in plan.steps] == [StepStatus.PLANNED, StepStatus.PLANNED]


def test_a_venue_that_nobody_serves_is_refused_with_those_that_somebody_does():
    told = r"they serve plain symbols such as KRW-BTC, symbols that begin with binance:; 'market-backbone adapters'"
    with pytest.raises(UnsupportedRequestError, match=told):
        SMART.plan(create_candle_request("kraken:BTC/USD", "1m", 10), views(extra=[BINANCE]))


def test_the_timeframes_that_are_named_are_those_of_the_venue():
    with pytest.raises(UnsupportedRequestError, match=r"they offer the timeframes 1m$"):
        SMART.plan(create_candle_request("binance:BTC/USDT", "1h", 10), views(extra=[BINANCE]))


def test_a_timeframe_that_nobody_has_is_refused_with_those_that_exist():
    with pytest.raises(UnsupportedRequestError, match="they offer the timeframes 1m"):
        SMART.plan(create_candle_request("KRW-BTC", "1h", 10), [FILES])


def test_a_request_that_no_channel_serves_names_the_installed_ones():
    with pytest.raises(UnsupportedRequestError, match=r"installed: files.*adapters"):
        SMART.plan(create_ticker_request("KRW-BTC"), [FILES])


def test_costs_are_calls_of_the_exchange():
    assert SMART.plan(create_candle_request("KRW-BTC", "1m", 5000), views()).calls == 25
    assert SMART.plan(create_trades_request("KRW-BTC", 1001), views()).calls == 3
    assert SMART.plan(create_ticker_request("KRW-BTC"), views()).calls == 0
    start = create_candle_request("KRW-BTC", "1m", 1).end
    assert start is None


def test_the_cost_of_a_range_is_its_slots_in_pages(kit):
    request = create_candle_request("KRW-BTC", "1m", start=kit.START, end=kit.START + timedelta(minutes=401))
    assert SMART.plan(request, views()).calls == 3


@pytest.mark.parametrize(
    ("view", "rule", "calls"),
    [
        (cache(Extent.WHOLE, 0), "candles-held", 0),
        (cache(Extent.PART, 250), "candles-partly-held", 2),
        (cache(Extent.PART), "candles-partly-held", 3),
        (cache(Extent.NOTHING), "candles-bulk", 3),
    ],
)
def test_what_is_held_decides_the_row_and_the_cost(view, rule, calls):
    plan = SMART.plan(BULK, views(extra=(view,)))
    assert (plan.rule, plan.calls) == (rule, calls)
    if rule == "candles-bulk":
        assert plan.channels == ("rest",)
    else:
        assert plan.channels == ("cache", "rest", "cache")
        assert [step.joins_next for step in plan.steps] == [True, False, False]
        assert "possibly stale" in plan.steps[2].reason
