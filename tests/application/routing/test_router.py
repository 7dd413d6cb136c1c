"""The router: asks in the plan's order, lets the error decide, and remembers how each channel did."""

import pytest

from market_backbone import (
    AllChannelsFailedError,
    ChannelTimeoutError,
    CircuitState,
    IntegrityError,
    PluginError,
    RateLimitedError,
    RoutePlan,
    RouteStep,
    SmartRoutingPolicy,
    UnknownSymbolError,
    UnsupportedRequestError,
    create_candle_request,
    create_ticker_request,
)
from market_backbone.application.routing.attempts import Attempts, FetchResult
from market_backbone.application.routing.router import SmartChannelRouter
from market_backbone.domain.routing import StepStatus

QUOTE = create_ticker_request("KRW-BTC")


@pytest.fixture
def clock(kit):
    return kit.Clock()


@pytest.fixture
def channels(kit, clock):
    return {"rest": kit.Channel(clock=clock), "websocket": kit.LiveChannel(clock=clock)}


@pytest.fixture
def router(channels, clock):
    return SmartChannelRouter(channels, SmartRoutingPolicy(), clock, cool_down_s=30.0)


async def ask(router):
    """Ask for a quote as a fetcher does: the router says who is asked next."""
    attempts = Attempts(router, QUOTE)
    async for attempt in attempts:
        with attempt:
            ticker = await attempt.channel.get_ticker("KRW-BTC")
            return ticker, attempt.served(FetchResult(1))
    raise attempts.failure()


async def test_the_first_channel_answers_and_the_trace_says_so(router):
    ticker, trace = await ask(router)
    assert ticker.source == "websocket"
    assert trace.served_by == ("websocket",)
    assert (trace.steps[0].rows, trace.steps[0].retries) == (1, 0)


@pytest.mark.parametrize(("dead", "alive"), [("websocket", "rest"), ("rest", "websocket")])
async def test_when_either_channel_fails_the_other_answers(kit, router, channels, dead, alive):
    channels[dead].failures.extend([kit.broken(dead)] * 5)
    ticker, trace = await ask(router)
    assert ticker.source == alive
    assert alive in trace.served_by
    if dead == "websocket":
        assert "broken on purpose" in trace.steps[0].error


async def test_a_failure_that_may_pass_is_tried_once_more_after_the_stated_wait(kit, router, channels, clock):
    channels["websocket"].failures.append(RateLimitedError("slow down", channel="websocket", retry_after=1.5))
    began = clock.now
    ticker, trace = await ask(router)
    assert ticker.source == "websocket"
    assert trace.steps[0].retries == 1
    assert clock.now - began >= 1.5


async def test_a_failure_that_cannot_pass_is_not_tried_again(kit, router, channels):
    channels["websocket"].failures.append(kit.broken("websocket", retryable=False))
    await ask(router)
    assert len(channels["websocket"].calls) == 1


async def test_the_callers_mistake_is_never_failed_over(router, channels):
    channels["websocket"].failures.append(UnknownSymbolError("no such symbol"))
    with pytest.raises(UnknownSymbolError):
        await ask(router)
    assert channels["rest"].calls == []


async def test_when_all_fail_every_cause_is_told(kit, router, channels):
    for name, channel in channels.items():
        channel.failures.extend([ChannelTimeoutError(f"{name} slept", channel=name)] * 9)
    with pytest.raises(AllChannelsFailedError) as caught:
        await ask(router)
    assert str(caught.value).endswith("websocket: websocket slept; rest: rest slept")
    assert [error.channel for error in caught.value.exceptions] == ["websocket", "rest"]


async def test_data_that_contradicts_itself_is_a_failure_of_its_channel(router, channels):
    channels["websocket"].failures.append(IntegrityError("low above high"))
    ticker, trace = await ask(router)
    assert ticker.source == "rest"
    assert "contradicts itself" in trace.steps[0].error


async def test_a_report_from_outside_keeps_a_channel_out_of_the_next_plans(router, clock):
    router.update_channel_performance("websocket", 5000.0, False)
    assert router.explain(QUOTE).channels[0] == "rest"
    assert router.channel_health()["websocket"].circuit is CircuitState.OPEN
    ticker, _ = await ask(router)
    assert ticker.source == "rest"
    clock.now += 31
    assert router.explain(QUOTE).channels[0] == "websocket"


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


async def test_a_strangers_channel_that_raises_anything_fails_over_like_any_other(router, channels):
    channels["websocket"].failures.append(ZeroDivisionError("stranger"))
    ticker, trace = await ask(router)
    assert ticker.source == "rest"
    assert "ZeroDivisionError" in trace.steps[0].error
