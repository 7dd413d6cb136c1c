"""From settings to a ready API: environments are values, and mistakes are named before anything runs."""

from contextlib import AsyncExitStack

import pytest

from market_backbone import ConfigurationError, PluginError, create_unified_api
from market_backbone.domain.timeframe import Timeframe
from market_backbone.infrastructure.bootstrap import flat, open_container


async def test_the_test_environment_talks_to_a_sandbox_in_the_box():
    async with create_unified_api("test", {"log.level": "ERROR"}) as api:
        assert api.venue.startswith("custom:127.0.0.1")
        await api.get_ticker("KRW-BTC")
        assert api.venue.startswith("sandbox:seed-7")


async def test_production_is_the_exchange_itself_and_opening_it_asks_nobody():
    async with AsyncExitStack() as resources:
        container = await open_container(resources, "production")
        channels = container.channels()
    assert {channel.venue for name, channel in channels.items() if name != "cache"} == {"upbit-kr"}


async def test_regions_are_venues_of_their_own():
    async with AsyncExitStack() as resources:
        container = await open_container(resources, "production", {"upbit.region": "sg"})
        channels = container.channels()
        assert {channels[name].venue for name in ("rest", "websocket")} == {"upbit-sg"}


async def test_grace_of_single_timeframes_comes_from_the_settings():
    async with AsyncExitStack() as resources:
        container = await open_container(resources, "production", {"finality.grace_by_timeframe": {"1s": 2.0}})
        grace = container.grace()
    assert grace.of(Timeframe.S1).total_seconds() == 2.0
    assert grace.of(Timeframe.M1).total_seconds() == 5.0


async def test_three_mistakes_are_all_named(monkeypatch, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[upbit]\nregion = "mars"\n[queue]\ncapacity = "many"\n[foolow]\nx = 1\n', encoding="utf-8")
    monkeypatch.setenv("MARKET_BACKBONE_CONFIG", str(file))
    with pytest.raises(ConfigurationError) as caught:
        await create_unified_api("test")
    for path in ("upbit.region", "queue.capacity", "foolow"):
        assert path in str(caught.value)


async def test_with_no_channel_allowed_the_error_says_where_to_look():
    with pytest.raises(PluginError, match=r"plugins\.adapters"):
        await create_unified_api("test", {"plugins.adapters": ["nothing"]})


def test_nested_overrides_are_flattened():
    assert flat({"a": {"b": {"c": 1}}, "d.e": 2}) == {"a.b.c": 1, "d.e": 2}
    assert flat(None) == {}


async def test_an_unknown_environment_is_refused():
    with pytest.raises(ConfigurationError, match="production"):
        await create_unified_api("prodction")
