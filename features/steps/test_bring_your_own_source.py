"""Steps of bring_your_own_source.feature: a stranger's package, plugged in through real entry points."""

from contextlib import AsyncExitStack
from importlib.metadata import EntryPoint, entry_points

import pytest
from attrs import frozen
from dependency_injector import providers
from pytest_bdd import given, parsers, scenarios, then, when

from market_backbone import (
    AllChannelsFailedError,
    DataKind,
    RoutePlan,
    RouteStep,
    Timeframe,
    create_candle_request,
)
from market_backbone.infrastructure.bootstrap import open_container
from market_backbone.infrastructure.registry import ADAPTERS, Registry

scenarios("bring_your_own_source.feature")

HOURS = 10
WRONG = {
    "cannot be found": EntryPoint("archive", "nowhere.to.be:found", ADAPTERS),
    "fails at its start": EntryPoint("archive", "stranger_archive:broken", ADAPTERS),
    "is no source": EntryPoint("archive", "stranger_archive:half", ADAPTERS),
    "takes our name": EntryPoint("rest", "stranger_archive:archive", ADAPTERS),
}


@frozen
class ArchiveFirst:
    """A policy that a user writes: his archive, then REST."""

    name: str = "archive-first"

    def plan(self, request, channels):
        reason = "the archive costs nothing"
        steps = tuple(
            RouteStep(channel=name, action="candles", reason=reason)
            for name in ("archive", "rest")
            if any(view.name == name for view in channels)
        )
        return RoutePlan(request=str(request), policy=self.name, rule="mine", reason=reason, steps=steps)


@pytest.fixture
def installed(strangers_installed):
    """The entry points that a stranger's distribution brings."""
    return []


@given("an open market")
def open_market(desk):
    desk.open_market()


@given("somebody's archive of hourly candles is installed")
def archive_is_installed(installed):
    installed.append(EntryPoint("archive", "stranger_archive:archive", ADAPTERS))


@given(parsers.re(r"a source is installed that (?P<fault>.+)"))
def broken_is_installed(installed, fault):
    installed.append(WRONG[fault])


def open_with(desk, installed, policy=None):
    def discover(group):
        return [*entry_points(group=group), *(point for point in installed if point.group == group)]

    async def opened():
        async with AsyncExitStack() as resources:
            container = await open_container(resources, "test", desk.settings, policy)
            desk.registry = Registry(discover=discover)
            container.registry.override(providers.Object(desk.registry))
            api = container.api()
            desk.resources.push_async_callback(api.close)
            api.closes_with(resources.pop_all())
        return api

    desk.api = desk.run(opened())


@when("the desk opens")
def desk_opens(desk, installed):
    open_with(desk, installed)


@when("the desk opens with a policy that prefers the archive")
def desk_opens_with_policy(desk, installed):
    open_with(desk, installed, ArchiveFirst())


@then("the archive stands beside rest and websocket")
def listed(desk):
    assert set(desk.api.channels) == {"archive", "cache", "rest", "websocket"}
    assert desk.registry.problems == []


@then("it is listed with its hours and nothing else")
def listed_capabilities(desk):
    able = desk.api.channels["archive"].capabilities
    assert (able.answers, able.follows, able.timeframes) == ({DataKind.CANDLE}, frozenset(), {Timeframe.H1})


@then(parsers.parse("the hours of {symbol} come from {source}"))
def hours_come_from(desk, symbol, source):
    desk.ask(create_candle_request(symbol, "1h", HOURS))
    assert desk.error is None, desk.error
    assert len(desk.answer) == HOURS
    assert {candle.source for candle in desk.answer} == {source.removeprefix("the ")}
    assert (desk.answer.venue == "archive") == (source == "the archive")


@then("the trace tells that rest failed first")
def rest_failed_first(desk):
    tried = [(step.channel, step.status.value) for step in desk.answer.trace.steps if step.status != "planned"]
    assert tried == [("rest", "failed"), ("archive", "served")]


@then("the minutes of KRW-BTC cannot be had, and the archive was not asked")
def minutes_cannot_be_had(desk):
    desk.ask(create_candle_request("KRW-BTC", "1m", HOURS))
    assert isinstance(desk.error, AllChannelsFailedError)
    assert {error.channel for error in desk.error.exceptions} == {"rest"}


@then(parsers.parse('the problem is reported as "{problem}"'))
def problem_is_reported(desk, problem):
    (found,) = desk.registry.problems
    assert problem in found.error


@then("the trace names that policy and its reason")
def trace_names_policy(desk):
    assert (desk.answer.trace.policy, desk.answer.trace.reason) == ("archive-first", "the archive costs nothing")
    assert desk.answer.trace.served_by == ("archive",)
