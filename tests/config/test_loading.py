import tomllib
from importlib.resources import files

import pytest
from attrs import fields_dict
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.config import Settings, load_settings
from market_backbone.config.sources import known_environments
from market_backbone.domain.errors import ConfigurationError
from market_backbone.domain.timeframe import Timeframe

KEYS = {
    f"{section}.{key}": field
    for section, kind in fields_dict(Settings).items()
    for key, field in fields_dict(kind.type).items()
}


def load(environment=None, overrides=None, **environ):
    return load_settings(environment, overrides, environ=environ)


def failure(environment=None, overrides=None, **environ):
    with pytest.raises(ConfigurationError) as caught:
        load(environment, overrides, **environ)
    return str(caught.value)


@pytest.fixture
def users_file(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_every_key_of_the_tree_stands_in_the_default_file_and_no_other_does():
    content = tomllib.loads(files("market_backbone.config").joinpath("default.toml").read_text(encoding="utf-8"))

    assert {f"{section}.{key}" for section, table in content.items() for key in table} == set(KEYS)


def test_production_is_the_environment_of_those_who_say_nothing():
    loaded = load()

    assert loaded.environment == "production"
    assert not loaded.settings.sandbox.embedded
    assert set(loaded.origins.values()) <= {"default.toml", "production.toml"}


def test_the_environment_can_be_named_by_a_variable_or_an_argument_which_wins():
    assert load(MARKET_BACKBONE_ENV="development").settings.sandbox.embedded
    assert load("test", MARKET_BACKBONE_ENV="development").environment == "test"


def test_the_process_own_variables_are_read_when_none_are_given(monkeypatch):
    monkeypatch.setenv("MARKET_BACKBONE__UPBIT__REGION", "th")

    assert load_settings().settings.upbit.region == "th"


@pytest.mark.parametrize("environment", known_environments())
def test_every_environment_of_the_package_loads(environment):
    assert load(environment).environment == environment


@pytest.mark.parametrize(
    ("arguments", "source"), [({"environment": "tset"}, "argument"), ({"MARKET_BACKBONE_ENV": "tset"}, "_ENV")]
)
def test_an_unknown_environment_is_refused_with_the_known_ones(arguments, source):
    message = failure(**arguments)

    assert "unknown environment 'tset'" in message
    assert "development, production, test; did you mean 'test'?" in message
    assert source in message


def test_each_layer_wins_over_those_before_it(users_file):
    file = users_file("[queue]\ncapacity = 3\nconcurrency = 3\n[routing]\ncool_down_s = 3")
    loaded = load(
        "test",
        {"queue.concurrency": 5},
        MARKET_BACKBONE_CONFIG=file,
        MARKET_BACKBONE__QUEUE__CAPACITY="4",
        MARKET_BACKBONE__QUEUE__CONCURRENCY="4",
    )

    queue, routing = loaded.settings.queue, loaded.settings.routing
    assert (routing.cool_down_s, queue.capacity, queue.concurrency) == (3.0, 4, 5)
    assert loaded.settings.upbit.reply_timeout_s < load().settings.upbit.reply_timeout_s
    assert loaded.origins["routing.cool_down_s"] == file
    assert loaded.origins["queue.capacity"] == "environment variable MARKET_BACKBONE__QUEUE__CAPACITY"
    assert loaded.origins["queue.concurrency"] == "argument"
    assert loaded.origins["upbit.reply_timeout_s"] == "test.toml"
    assert loaded.origins["upbit.region"] == "default.toml"


def test_arguments_may_be_nested_or_dotted(tmp_path):
    settings = load(None, {"cache": {"folder": tmp_path}, "log.level": "DEBUG", "queue": {}}).settings

    assert settings.cache_folder() == tmp_path
    assert settings.log.level == "DEBUG"


def test_variables_are_read_by_the_type_of_their_setting():
    settings = load(
        MARKET_BACKBONE__UPBIT__VERIFY_TLS="No",
        MARKET_BACKBONE__SANDBOX__SEED="11",
        MARKET_BACKBONE__SANDBOX__SPEED="2.5",
        MARKET_BACKBONE__PLUGINS__ADAPTERS="rest, cache",
        MARKET_BACKBONE__LOG__FORMAT="json",
        MARKET_BACKBONE__FINALITY__GRACE_BY_TIMEFRAME="1s=3, 1M = 60",
    ).settings

    assert not settings.upbit.verify_tls
    assert (settings.sandbox.seed, settings.sandbox.speed) == (11, 2.5)
    assert settings.plugins.adapters == ("rest", "cache")
    assert settings.log.format == "json"
    assert settings.finality.grace_by_timeframe == {Timeframe.S1: 3.0, Timeframe.MONTH: 60.0}


def test_tables_of_several_layers_are_joined_row_by_row(users_file):
    file = users_file('[finality.grace_by_timeframe]\n"60m" = 7\n"1m" = 6')
    loaded = load(None, {"finality.grace_by_timeframe.1m": 8}, MARKET_BACKBONE_CONFIG=file)

    assert loaded.settings.finality.grace_by_timeframe == {Timeframe.H1: 7.0, Timeframe.M1: 8.0}
    assert loaded.origins["finality.grace_by_timeframe.1h"] == file
    assert loaded.origins["finality.grace_by_timeframe.1m"] == "argument"


def test_three_mistakes_in_three_layers_are_all_named(users_file):
    file = users_file("[upbit]\nregoin = 'sg'")
    message = failure(
        None, {"queue.capacity": 0}, MARKET_BACKBONE_CONFIG=file, MARKET_BACKBONE__SANDBOX__SPEED="very fast"
    )

    first, *mistakes = message.splitlines()
    assert first == "3 mistakes in the settings:"
    unknown, speed, capacity = mistakes
    assert unknown.startswith("  upbit.regoin: unknown key, expected one of region, rest_url,")
    assert unknown.endswith(f"got 'sg'; did you mean 'region'? ({file})")
    assert speed == (
        "  sandbox.speed: expected a number above 0, at most 1000, got 'very fast' "
        "(environment variable MARKET_BACKBONE__SANDBOX__SPEED)"
    )
    assert capacity == "  queue.capacity: expected a whole number of at least 1, got 0 (argument)"


def test_a_mistake_is_reported_even_where_a_later_layer_would_have_won(users_file):
    file = users_file("[queue]\ncapacity = 'many'")

    assert "queue.capacity" in failure(None, {"queue.capacity": 5}, MARKET_BACKBONE_CONFIG=file)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"cachee": {"folder": "x", "enabled": True}}, "cachee: unknown section, expected one of upbit, sandbox,"),
        ({"cache": 3}, "cache: expected a table of settings, got 3"),
        ({"cache.folder.name": "x"}, "cache.folder.name: unknown key"),
        ({"finality.grace_by_timeframe": 3}, "expected a table of timeframe = seconds, each 0 or more, got 3"),
        ({"finality.grace_by_timeframe.1x": 3}, "unknown timeframe '1x'"),
        ({"finality.grace_by_timeframe.1m": "x"}, "finality.grace_by_timeframe.1m: expected"),
        ({"finality.grace_by_timeframe.1m": -1}, "got -1"),
        ({"plugins.adapters": [""]}, "expected a list of names, '*' allowed in each, got ['']"),
        ({"plugins.adapters": "rest"}, "got 'rest'"),
        ({"upbit.verify_tls": 1}, "expected true or false, got 1"),
        ({"sandbox.seed": True}, "expected a whole number of at least 0, got True"),
        ({"sandbox.speed": 10**400}, "sandbox.speed: expected a number above 0"),
        ({"log.level": 3}, "expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL, got 3"),
    ],
)
def test_what_is_wrong_with_an_argument_is_said(overrides, expected):
    message = failure(None, overrides)

    assert expected in message
    assert message.startswith("1 mistake in the settings:\n")
    assert message.endswith("(argument)")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("UPBIT__VERIFY_TLS", "perhaps", "expected true or false, got 'perhaps'"),
        ("FINALITY__GRACE_BY_TIMEFRAME", "1m", "whole in one variable, such as '1s=3, 1m=5', got '1m'"),
        ("FINALITY__GRACE_BY_TIMEFRAME__1M", "3", "whole in one variable, such as '1s=3, 1m=5', got '3'"),
        ("CACHE", "x", "cache: expected a table of settings, got 'x'"),
        ("CAHCE__FOLDER", "x", "did you mean 'cache'?"),
    ],
)
def test_what_is_wrong_with_a_variable_is_said(variable, value, expected):
    name = f"MARKET_BACKBONE__{variable}"
    message = failure(**{name: value})

    assert expected in message
    assert message.endswith(f"(environment variable {name})")


@pytest.mark.parametrize(("content", "expected"), [(b"[queue", "a TOML file"), (b"\xff\xfe", "a TOML file")])
def test_a_file_that_is_not_toml_is_reported_with_the_other_mistakes(tmp_path, content, expected):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    message = failure(None, {"log.level": "LOUD"}, MARKET_BACKBONE_CONFIG=str(path))

    assert f"MARKET_BACKBONE_CONFIG: expected {expected}, got {str(path)!r}" in message
    assert "log.level" in message


def test_a_file_that_does_not_exist_is_a_mistake(tmp_path):
    assert "expected a file that can be read" in failure(MARKET_BACKBONE_CONFIG=str(tmp_path / "none.toml"))


@given(path=st.sampled_from(sorted(KEYS)), junk=st.sampled_from([None, object(), b"x", float("nan"), [1], {1, 2}]))
def test_any_single_mistaken_value_is_reported_with_its_path(path, junk):
    message = failure(None, {path: junk})

    assert message.startswith("1 mistake in the settings:\n")
    assert f"  {path}: expected " in message
    assert f"got {junk!r} (argument)" in message


@given(path=st.sampled_from(sorted(KEYS)), suffix=st.text("abcxyz", min_size=1, max_size=3))
def test_any_single_misspelt_key_is_reported_with_its_path(path, suffix):
    message = failure(None, {path + suffix: 1})

    assert message.startswith("1 mistake in the settings:\n")
    assert f"  {path}{suffix}: unknown key" in message


@given(st.sets(st.sampled_from(sorted(set(KEYS) - {"finality.grace_by_timeframe"})), min_size=1))
def test_as_many_mistakes_are_reported_as_were_made(paths):
    message = failure(None, dict.fromkeys(paths))

    assert len(message.splitlines()) == 1 + len(paths)
    assert all(f"  {path}: expected " in message for path in paths)


def test_options_of_adapters_are_free_and_a_later_layer_wins_option_by_option(users_file):
    file = users_file('[plugins.options.files]\nfolder = "a"\ncomplete = true\n[plugins.options.ccxt]\nlimit = 5\n')
    variables = {"MARKET_BACKBONE_CONFIG": file, "MARKET_BACKBONE__PLUGINS__OPTIONS__FILES__FOLDER": "b"}
    loaded = load("test", {"plugins.options.files.prefix": "", "plugins": {"options": {"mine": {}}}}, **variables)
    options = loaded.settings.plugins.options
    assert options == {"files": {"folder": "b", "complete": True, "prefix": ""}, "ccxt": {"limit": 5}}
    assert loaded.origins["plugins.options.files.folder"].endswith("OPTIONS__FILES__FOLDER")
    assert loaded.origins["plugins.options.files.prefix"] == "argument"


@pytest.mark.parametrize("wrong", [{"files": "folder"}, {"files": {"folder": {"deeper": 1}}}, "files"])
def test_an_option_without_a_channel_is_a_mistake(wrong):
    assert "expected one table of options a channel" in failure("test", {"plugins": {"options": wrong}})


def test_a_file_that_an_editor_began_with_a_byte_order_mark_is_read_like_any_other(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes("\ufeff[queue]\nconcurrency = 3\n".encode())
    assert load(None, MARKET_BACKBONE_CONFIG=str(path)).settings.queue.concurrency == 3
