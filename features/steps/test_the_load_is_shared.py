"""Steps of the_load_is_shared.feature."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from market_backbone import create_candle_request, create_realtime_request
from market_backbone.infrastructure.sandbox import Fault

scenarios("the_load_is_shared.feature")

AT = datetime(2026, 11, 20, 12, 0, 20, tzinfo=UTC)  # late enough for the minute before to be final
OVER = AT.replace(second=0)
HOUR = timedelta(hours=1)
NEWEST = create_candle_request("KRW-BTC", "1m", 30)
PAUSE_S = 0.3  # the socket sends five messages a second
SLOW_MS = {"degraded": 3_000.0, "poor": 6_000.0}


def calls(desk):
    """How often the exchange was asked for candles."""
    return desk.sandbox.counters.requests["candles"]


@pytest.fixture
def answers():
    return []


@given("a desk in the middle of a minute")
def in_mid_minute(desk):
    desk.open_market(starts_at=AT, speed=3.0)
    desk.open()


@given("the desk holds every minute that is over")
def holds_the_past(desk):
    desk.ask(create_candle_request("KRW-BTC", "1m", start=OVER - HOUR, end=OVER))
    assert len(desk.answer) == 60


@given("both channels are healthy")
def both_healthy(desk):
    assert {health.success_rate for health in desk.api.channel_health().values()} == {1.0}


@given(parsers.re("(the )?(?P<channel>rest|websocket) is (?P<state>degraded|poor)"))
def is_slow(desk, channel, state):
    for _ in range(100):
        desk.api.update_channel_performance(channel, SLOW_MS[state], success=True)


@given(parsers.re("(the )?(?P<channel>rest|websocket) is out"))
def is_out(desk, channel):
    desk.api.update_channel_performance(channel, 5_000.0, success=False)


@given("the websocket has the next turn")
def websocket_is_next(desk):
    desk.ask(NEWEST)
    assert desk.api.explain(NEWEST).channels[1] == "websocket"


@given("the socket cannot be opened")
def refuse(desk):
    desk.sandbox.inject(Fault("refuse-upgrades"))


@given("the desk follows the candles of a minute")
def follows(desk):
    desk.follow(create_realtime_request("KRW-BTC", "1m"))
    desk.wait_until(lambda events: any(hasattr(event, "candle") for event in events))


@given(parsers.parse("the desk prefers {policy}"))
def prefers(desk, policy):
    desk.close()
    desk.open(policy)
    desk.run(desk.api.get_markets())  # a practice market says by its first reply whose data this is


@when("the desk asks twenty times for the newest candles")
def ask_twenty_times(desk, answers):
    for _ in range(20):
        desk.run(desk.api._parts.requests.clock.sleep(PAUSE_S))
        desk.ask(NEWEST)
        assert desk.error is None, desk.error
        answers.append(desk.answer)


@when("the desk asks for the newest candles")
def ask_for_newest(desk):
    desk.mark = calls(desk)
    desk.ask(NEWEST)


@when("the desk asks for the hour before")
def ask_for_the_hour(desk):
    desk.mark = calls(desk)
    desk.ask(create_candle_request("KRW-BTC", "1m", start=OVER - HOUR, end=OVER))


@when("the desk asks for the two hours before")
def ask_for_two_hours(desk):
    desk.mark = calls(desk)
    desk.ask(create_candle_request("KRW-BTC", "1m", start=OVER - 2 * HOUR, end=OVER))


NAMES = {"the websocket": "websocket", "what is held": "cache", "nobody": None}


@then(parsers.parse("{rest:d} of the answers came through rest and the others through {other}"))
def shares(answers, rest, other):
    through = [answer.trace.served_by[-1] for answer in answers]
    assert through.count("rest") == rest
    assert {name for name in through if name != "rest"} <= {NAMES[other]}


@then("every answer is complete and ends with the forming candle")
def complete(answers):
    for answer in answers:
        assert (len(answer), answer[-1].opened_at, answer[-1].is_final) == (30, OVER, False)
        assert all(candle.is_final for candle in answer[:-1])


@then("the answer came through rest")
def through_rest(desk):
    assert desk.answer.trace.served_by == ("cache", "rest")
    assert len(desk.answer) == 30


@then(parsers.parse('the plan had given the reason "{reason}"'))
def plan_gave_reason(desk, reason):
    assert reason in desk.plan.reason


@then("the answer came from what is held, without a call")
def from_what_is_held(desk):
    assert desk.answer.trace.served_by == ("cache",)
    assert calls(desk) == desk.mark


@then("the answer came from what is held and from the socket's memory, without a call")
def from_memory(desk):
    assert desk.answer.trace.served_by == ("cache", "websocket")
    assert calls(desk) == desk.mark


@then("only what lacked was asked for, by one call")
def one_call(desk):
    assert desk.answer.trace.served_by == ("cache", "rest")
    assert calls(desk) == desk.mark + 1
    assert len(desk.answer) == 120
