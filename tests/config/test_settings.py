from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.config import load_settings
from market_backbone.config.rules import is_loopback
from market_backbone.config.settings import CacheSettings, user_cache_folder
from market_backbone.domain.errors import ConfigurationError
from market_backbone.domain.timeframe import Timeframe


def load(overrides):
    return load_settings(overrides=overrides, environ={}).settings


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("rest_url", "https://api.upbit.com"),
        ("rest_url", "https://192.168.0.7:8443/v1"),
        ("rest_url", "http://127.0.0.1:8000"),
        ("rest_url", "http://localhost"),
        ("rest_url", "http://[::1]:8000"),
        ("websocket_url", "wss://api.upbit.com/websocket/v1"),
        ("websocket_url", "ws://127.0.0.1:8000/websocket/v1"),
        ("websocket_url", ""),
    ],
)
def test_encrypted_addresses_and_plain_ones_on_this_machine_are_accepted(key, address):
    assert getattr(load({f"upbit.{key}": address}).upbit, key) == address


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("rest_url", "http://192.168.0.7:8000"),
        ("rest_url", "http://api.upbit.com"),
        ("rest_url", "http://localhost.example.com"),
        ("rest_url", "http://127.0.0.1@example.com"),
        ("rest_url", "https://example.com/?market=KRW-BTC"),
        ("rest_url", "https://example.com/#candles"),
        ("rest_url", "https://example.com:99999"),
        ("rest_url", "https://exa mple.com"),
        ("rest_url", "https://example.com\n"),
        ("rest_url", "https://"),
        ("rest_url", "api.upbit.com"),
        ("rest_url", "wss://api.upbit.com"),
        ("websocket_url", "ws://192.168.0.7:8000"),
        ("websocket_url", "https://api.upbit.com"),
    ],
)
def test_other_addresses_are_refused(key, address):
    with pytest.raises(ConfigurationError, match=f"upbit.{key}: expected an address like"):
        load({f"upbit.{key}": address})


@given(st.ip_addresses(v=4))
def test_only_the_block_of_127_is_loopback(host):
    assert is_loopback(str(host)) == str(host).startswith("127.")


def test_a_section_made_by_hand_keeps_the_same_rules():
    with pytest.raises(ConfigurationError, match="capacity: expected a whole number of at least 1, got 0"):
        evolve(load({}).queue, capacity=0)


def test_grace_is_the_timeframes_own_where_one_is_set():
    finality = load({"finality.grace_by_timeframe": {"1s": 3}}).finality

    assert finality.grace_s_of(Timeframe.S1) == 3.0
    assert finality.grace_s_of(Timeframe.M1) == finality.grace_s


def test_settings_are_values_that_nobody_can_change():
    settings = load({"finality.grace_by_timeframe": {"1s": 3}})

    assert settings == load({"finality.grace_by_timeframe": {"1s": 3}})
    assert hash(settings) == hash(load({"finality.grace_by_timeframe": {"1s": 3}}))
    with pytest.raises(TypeError):
        settings.finality.grace_by_timeframe[Timeframe.M1] = 1.0


def test_the_cache_lies_where_the_user_says():
    settings = evolve(load({}), cache=CacheSettings(store="sqlite", folder="~/candles"))

    assert settings.cache_folder() == Path.home() / "candles"


def test_the_cache_lies_in_the_users_own_folder_for_caches_otherwise(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert load({}).cache_folder() == tmp_path / "market-backbone"


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {}, Path.home() / ".cache"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache"),
        ("darwin", {"XDG_CACHE_HOME": "/elsewhere"}, Path.home() / "Library" / "Caches"),
        ("win32", {}, Path.home() / "AppData" / "Local"),
        ("win32", {"LOCALAPPDATA": str(Path.home() / "local")}, Path.home() / "local"),
    ],
)
def test_each_platform_has_its_own_place_for_caches(platform, environ, expected):
    assert user_cache_folder(platform, environ) == expected
