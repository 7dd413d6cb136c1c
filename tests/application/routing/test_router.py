"""The router: asks in the plan's order, lets the error decide, and remembers how each channel did."""

import pytest

from market_backbone import (
    PluginError,
    RoutePlan,
    RouteStep,
    UnsupportedRequestError,
    create_candle_request,
    create_ticker_request,
)
from market_backbone.application.routing.router import SmartChannelRouter
from market_backbone.domain.routing import StepStatus

QUOTE = create_ticker_request("KRW-BTC")


def test_a_report_about_an_unknown_channel_names_the_installed_ones(router):
    with pytest.raises(UnsupportedRequestError, match="installed: rest, websocket"):
        router.update_channel_performance("websockets", 1.0, True)


class BadPolicy:
    name = "bad"

    def __init__(self, plan):
        self._plan = plan

    def plan(self, request, channels):
        return self._plan(request, channels)


def step(channel, **fields):
    return RouteStep(channel=channel, action="ticker", reason="because", **fields)


def plan_with(steps):
    return RoutePlan(request="x", policy="bad", rule="r", reason="because", steps=tuple(steps))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda *_: plan_with(()), "has no step that asks a channel"),
        (lambda *_: plan_with([step("rest", status=StepStatus.SKIPPED)]), "has no step that asks a channel"),
        (lambda *_: plan_with([step("rest"), step("websocket", joins_next=True)]), "there is none"),
        (lambda *_: plan_with([step("rests")]), "unknown channel 'rests'; installed: rest, websocket"),
        (lambda *_: (_ for _ in ()).throw(RuntimeError("lost")), "RuntimeError: lost"),
        (lambda *_: {}["x"], "failed on 'ticker KRW-BTC': KeyError"),
        (lambda *_: None, "returned NoneType"),
    ],
)
def test_a_policy_that_fails_is_named_and_nothing_replaces_it(channels, clock, make, said):
    router = SmartChannelRouter(channels, BadPolicy(make), clock, cool_down_s=30.0)
    with pytest.raises(PluginError, match="'bad'") as caught:
        router.explain(QUOTE)
    assert said in str(caught.value)


def test_a_plan_with_an_unknown_channel_is_refused(channels, clock):
    step = RouteStep(channel="moon", action="candles", reason="why not")
    router = SmartChannelRouter(channels, BadPolicy(lambda *_: plan_with((step,))), clock, cool_down_s=30.0)
    with pytest.raises(PluginError, match="unknown channel 'moon'"):
        router.explain(create_candle_request("KRW-BTC"))
