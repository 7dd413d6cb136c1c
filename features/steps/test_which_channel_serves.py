"""Steps of which_channel_serves.feature."""

from pytest_bdd import given, parsers, scenarios, then, when

from market_backbone import CandleUpdated, CircuitState, create_candle_request, create_ticker_request

scenarios("which_channel_serves.feature")


@given("the desk has reported the websocket as bad")
def reported_bad(desk):
    desk.api.update_channel_performance("websocket", 5000.0, False)


@when("the cool-down has passed")
def cool_down_passes(desk, run):
    async def passing():
        while desk.api.channel_health()["websocket"].circuit is CircuitState.OPEN:
            await desk.api._parts.requests.clock.sleep(1)

    run(desk.api.get_markets())  # any answer tells how fast this market runs
    run(passing())


@when("the desk asks for the plan of 500 candles")
def ask_for_the_plan(desk):
    desk.plan = desk.api.explain(create_candle_request("KRW-BTC", "1m", 500))


@then(parsers.parse('the plan had given the reason "{reason}"'))
def plan_gave_reason(desk, reason):
    assert reason in desk.plan.reason
    assert reason in str(desk.plan)


@then("the plan had said that the websocket is not asked")
def plan_named_the_open_circuit(desk):
    (step,) = [step for step in desk.plan.steps if step.channel == "websocket"]
    assert step.status == "skipped"
    assert "not asked: its circuit is open" in step.reason


@then("the price of KRW-BTC comes from the websocket again")
def asked_again(desk):
    desk.ask(create_ticker_request("KRW-BTC"))
    assert desk.answer[0].source == "websocket"


@then("the day moves as its minutes do, and says that it was derived")
def day_moves(desk):
    desk.wait_until(lambda events: len(_derived(events)) >= 10)
    volumes = [candle.volume for candle in _derived(desk.events)]
    assert volumes == sorted(set(volumes))
    assert not any(candle.is_final for candle in _derived(desk.events))


def _derived(events):
    candles = [event.candle for event in events if isinstance(event, CandleUpdated)]
    return [candle for candle in candles if candle.source == "derived"]


@then("the exchange is asked at most twice a minute")
def asked_rarely(desk):
    seen, asked = len(desk.events), desk.sandbox.counters.requests["candles"]
    began = desk.sandbox.now_ms()
    desk.wait_until(lambda _: desk.sandbox.now_ms() >= began + 4 * 60_000, since=seen)
    assert desk.sandbox.counters.requests["candles"] - asked <= 8


@then("the plan names rest at a cost of 3 calls")
def plan_names_cost(desk):
    assert (desk.plan.channels[0], desk.plan.calls) == ("rest", 3)


@then("the exchange has not been asked")
def not_asked(desk):
    assert not desk.sandbox.counters.requests
    assert desk.sandbox.counters.websocket_connects == 0


@then("the trace follows the plan")
def trace_follows(desk):
    trace = desk.answer.trace
    assert (trace.rule, trace.channels) == (desk.plan.rule, desk.plan.channels)


@then("the trace tells that rest brought 500 rows in 3 calls")
def trace_tells(desk):
    step = desk.answer.trace.steps[0]
    assert (step.channel, step.status, step.rows, step.calls) == ("rest", "served", 500, 3)
