"""Plug-ins by entry point: ours as strangers'; a broken one is reported and harms nobody."""

from importlib.metadata import EntryPoint

import pytest
from attrs import evolve

from market_backbone import Capabilities, ConfigurationError, PluginError, SmartRoutingPolicy, create_candle_request
from market_backbone.domain.adapter import AdapterContext
from market_backbone.domain.finality import Grace
from market_backbone.infrastructure import registry as registry_module
from market_backbone.infrastructure.clock import MarketClock, MeasuredServerTime, VenueTimes
from market_backbone.infrastructure.registry import ADAPTERS, POLICIES, Registry


def context_of(name):
    clock = MarketClock()
    return AdapterContext(name=name, options={}, clock=clock, server_time=MeasuredServerTime(clock), grace=Grace())


def half_a_channel(_context):
    return object()


def failing_factory(_context):
    raise RuntimeError("no licence file")


class LonelyPolicy:
    name = "lonely"


def registry_of(**points):
    """A registry that finds the given entry points: name to (group, value)."""
    found = [EntryPoint(name, value, group) for name, (group, value) in points.items()]
    return Registry(discover=lambda group: [point for point in found if point.group == group])


def test_our_own_channels_and_policies_come_through_the_same_groups():
    registry = Registry()
    assert set(registry.build_channels(context_of)) == {"cache", "rest", "websocket"}
    assert registry.problems == []
    assert isinstance(registry.policy("smart"), SmartRoutingPolicy)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nowhere.to.be:found", "cannot be loaded from nowhere.to.be:found: ModuleNotFoundError"),
        (f"{__name__}:half_a_channel", None),
        (f"{__name__}:failing_factory", None),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_reported_and_the_others_work(value, said):
    registry = registry_of(
        broken=(ADAPTERS, value), rest=(ADAPTERS, "market_backbone.infrastructure.upbit:rest_channel")
    )
    assert set(registry.build_channels(context_of)) == {"rest"}
    (problem,) = registry.problems
    assert (problem.name, problem.group) == ("broken", ADAPTERS)
    assert said is None or said in problem.error


class FakePoint:
    """An entry point of a distribution, loaded from an object instead of a module."""

    def __init__(self, name, made, dist="stranger 1.0"):
        self.name = name
        self.value = f"{dist}:{name}"
        self.dist = None
        self._made = made

    def load(self):
        return self._made


def fake_registry(group, *points):
    return Registry(discover=lambda asked: points if asked == group else ())


def test_an_object_that_is_no_channel_is_told_what_it_lacks():
    registry = fake_registry(ADAPTERS, FakePoint("half", half_a_channel))
    assert registry.build_channels(context_of) == {}
    assert "lacks name, venue, capabilities" in registry.problems[0].error


class OddChannel:
    """A channel as far as its members go."""

    name, venue, capabilities = "odd", "odd", Capabilities()

    async def close(self):
        """Have nothing to release."""

    get_candles = get_ticker = get_tickers = get_orderbook = get_trades = close


class SecretiveChannel(OddChannel):
    @property
    def capabilities(self):
        raise RuntimeError("ask me later")


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (type("", (OddChannel,), {"capabilities": None}), "its capabilities are NoneType, expected Capabilities"),
        (type("", (OddChannel,), {"capabilities": {}}), "its capabilities are dict, expected Capabilities"),
        (type("", (OddChannel,), {"venue": None}), "its venue is None"),
        (type("", (OddChannel,), {"name": "other"}), "calls itself 'other', expected 'odd'"),
        (SecretiveChannel, "RuntimeError: ask me later"),
    ],
)
def test_a_channel_that_would_break_every_plan_is_reported_instead(made, told):
    registry = fake_registry(ADAPTERS, FakePoint("odd", lambda _: made()))
    assert registry.build_channels(context_of) == {}
    assert told in registry.problems[0].error


def test_a_factory_that_fails_is_reported_with_its_own_words():
    registry = fake_registry(ADAPTERS, FakePoint("sad", failing_factory))
    assert registry.build_channels(context_of) == {}
    assert "RuntimeError: no licence file" in registry.problems[0].error


def test_a_name_that_two_plugins_want_goes_to_the_first_and_the_second_is_told():
    registry = fake_registry(
        ADAPTERS, FakePoint("same", failing_factory, "a 1"), FakePoint("same", failing_factory, "b 2")
    )
    registry.build_channels(context_of)
    assert any("the name is taken by" in problem.error for problem in registry.problems)


def test_settings_decide_which_plugins_may_load():
    registry = Registry(adapter_patterns=("re*",))
    assert set(registry.build_channels(context_of)) == {"rest"}


def test_an_unknown_policy_is_refused_with_the_nearest_name_and_what_is_installed():
    with pytest.raises(PluginError, match=r"no routing policy named 'rest-onyl'.*smart.*did you mean 'rest-only'"):
        Registry().policy("rest-onyl")


def test_an_object_that_is_no_policy_is_refused():
    with pytest.raises(PluginError, match="no name and plan"):
        fake_registry(POLICIES, FakePoint("lonely", LonelyPolicy)).policy("lonely")


class BrokenPolicy:
    def __init__(self):
        raise RuntimeError("no table")


def test_a_policy_that_cannot_be_made_or_loaded_says_why():
    with pytest.raises(PluginError, match=r"'broken' of stranger 1\.0:broken failed: RuntimeError: no table"):
        fake_registry(POLICIES, FakePoint("broken", BrokenPolicy)).policy("broken")
    with pytest.raises(PluginError, match=r"failed: ModuleNotFoundError: No module named 'nowhere'"):
        registry_of(lost=(POLICIES, "nowhere:policy")).policy("lost")


def test_a_policy_may_be_an_object_instead_of_a_class():
    policy = fake_registry(POLICIES, FakePoint("mine", SmartRoutingPolicy("mine"))).policy("mine")
    assert policy.name == "mine"
    with pytest.raises(Exception, match="no installed channel"):
        policy.plan(create_candle_request("KRW-BTC"), [])


def test_the_groups_are_the_published_ones():
    assert (registry_module.ADAPTERS, registry_module.POLICIES) == (
        "market_backbone.adapters",
        "market_backbone.policies",
    )


def bad_options(_context):
    raise ConfigurationError("plugins.options.files.folder: expected a folder, got 'nowhere'")


def test_a_wrong_option_of_a_plugin_is_reported_as_such():
    registry = fake_registry(ADAPTERS, FakePoint("files", bad_options))
    assert registry.build_channels(context_of) == {}
    assert registry.problems[0].error == (
        "its options are wrong: plugins.options.files.folder: expected a folder, got 'nowhere'"
    )


def test_an_adapter_reads_its_own_options_or_those_of_a_sister():
    sections = {"plugins": {"options": {"ccxt": {"exchange": "binance"}}}}
    context = evolve(context_of("ccxt"), options=sections)
    assert context.own_options() == {"exchange": "binance"}
    assert evolve(context, name="ccxt-pro").own_options() == {}
    assert evolve(context, name="ccxt-pro").own_options("ccxt") == {"exchange": "binance"}
    assert context_of("ccxt").own_options() == {}


def test_each_venue_has_a_clock_of_its_own():
    clock = MarketClock()
    times = VenueTimes(clock)
    context = AdapterContext(
        name="ccxt", options={}, clock=clock, server_time=times(""), grace=Grace(), server_times=times
    )
    assert context.server_time_of("") is context.server_time
    assert context.server_time_of("binance") is times("binance")
    context.server_time_of("binance").observe_reply(1e9, sent=clock.monotonic(), received=clock.monotonic())
    assert (times("").earliest(), times("binance").earliest() is None) == (None, False)
    assert context_of("ccxt").server_time_of("binance") is not None
