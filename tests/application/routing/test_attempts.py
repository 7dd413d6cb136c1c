"""Attempts: channel after channel in the plan's order; the error decides between once more, the next and the end."""

import pytest

from market_backbone import (
    AllChannelsFailedError,
    ChannelTimeoutError,
    CircuitState,
    IntegrityError,
    RateLimitedError,
    UnknownSymbolError,
    create_ticker_request,
)
from market_backbone.application.routing.attempts import Attempts, FetchResult
from market_backbone.domain.routing import StepStatus

QUOTE = create_ticker_request("KRW-BTC")


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


async def test_a_step_whose_joined_channels_gave_all_is_skipped_but_says_what_it_cost(router, channels, clock):
    """The channel failed once, and at the second try what joins it held everything."""
    channels["websocket"].failures.append(RateLimitedError("slow down", channel="websocket", retry_after=1.5))
    attempts = Attempts(router, QUOTE)
    async for attempt in attempts:
        with attempt:
            await attempt.channel.get_ticker("KRW-BTC")
            trace = attempt.served(FetchResult(0, calls=0, rows_by_joined_channel={"cache": 1}))
            break
    step = trace.steps[0]
    assert (step.status, step.rows, step.retries) == (StepStatus.SKIPPED, 0, 1)
    assert step.latency_ms >= 1500


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


async def test_a_strangers_channel_that_raises_anything_fails_over_like_any_other(router, channels):
    channels["websocket"].failures.append(ZeroDivisionError("stranger"))
    ticker, trace = await ask(router)
    assert ticker.source == "rest"
    assert "ZeroDivisionError" in trace.steps[0].error


async def test_a_report_from_outside_keeps_a_channel_out_of_the_next_plans(router, clock):
    router.update_channel_performance("websocket", 5000.0, False)
    assert router.explain(QUOTE).channels[0] == "rest"
    assert router.channel_health()["websocket"].circuit is CircuitState.OPEN
    ticker, _ = await ask(router)
    assert ticker.source == "rest"
    clock.now += 31
    assert router.explain(QUOTE).channels[0] == "websocket"
