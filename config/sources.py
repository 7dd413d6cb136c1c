"""The five layers of settings, each read into entries that know where they came from."""

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import cast

from attrs import frozen

from ..domain.errors import ConfigurationError

ENVIRONMENT_VARIABLE = "MARKET_BACKBONE_ENV"
FILE_VARIABLE = "MARKET_BACKBONE_CONFIG"
PREFIX = "MARKET_BACKBONE__"
USUAL_ENVIRONMENT = "production"
ARGUMENT = "argument"

_FOLDER = files(__name__.rpartition(".")[0])


@frozen
class Entry:
    """One value, where it belongs and where it stood.

    Attributes:
        path: section, key and, inside a table, the table's own key.
        value: as found; text when ``is_text``.
        source: name of the layer, for people.
        is_text: whether the layer can hold nothing but text.

    """

    path: tuple[str, ...]
    value: object
    source: str
    is_text: bool = False


def choose_environment(argument: str | None, environ: Mapping[str, str]) -> str:
    """Return the environment's name: the argument, else ``MARKET_BACKBONE_ENV``, else ``production``.

    Raises:
        ConfigurationError: there is no environment of that name.

    """
    name = argument or environ.get(ENVIRONMENT_VARIABLE) or USUAL_ENVIRONMENT
    known = known_environments()
    if name not in known:
        source = ARGUMENT if argument else ENVIRONMENT_VARIABLE
        raise ConfigurationError(
            f"unknown environment {name!r} ({source}); known: {', '.join(known)}{did_you_mean(name, known)}"
        )
    return name


def known_environments() -> list[str]:
    """Return the names of the TOML files beside ``default.toml``."""
    names = (resource.name for resource in _FOLDER.iterdir() if resource.name.endswith(".toml"))
    return sorted(name.removesuffix(".toml") for name in names if name != "default.toml")


def packaged_entries(name: str) -> Iterator[Entry]:
    """Yield what ``<name>.toml`` of this package sets."""
    source = f"{name}.toml"
    text = _FOLDER.joinpath(source).read_text(encoding="utf-8")
    yield from mapping_entries(tomllib.loads(text), source)


def file_entries(file: str) -> Iterator[Entry]:
    """Yield what the user's file sets.

    Raises:
        ConfigurationError: the file cannot be read, or is not TOML.

    """
    try:
        path = Path(file).expanduser()
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except (OSError, RuntimeError) as error:  # RuntimeError: the home of nobody, or tables nested without end
        raise ConfigurationError(
            f"{FILE_VARIABLE}: expected a file that can be read, got {file!r} ({error})"
        ) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigurationError(f"{FILE_VARIABLE}: expected a TOML file, got {file!r} ({error})") from error
    yield from mapping_entries(content, str(path))


def variable_entries(environ: Mapping[str, str]) -> Iterator[Entry]:
    """Yield what ``MARKET_BACKBONE__SECTION__KEY`` variables set, sorted by name."""
    for name in sorted(environ):
        if name.startswith(PREFIX):
            path = tuple(name.removeprefix(PREFIX).lower().split("__"))
            yield Entry(path, environ[name], f"environment variable {name}", is_text=True)


def mapping_entries(
    mapping: Mapping[str, object], source: str = ARGUMENT, prefix: tuple[str, ...] = ()
) -> Iterator[Entry]:
    """Yield the leaves of nested mappings; keys may also be dotted paths. An empty mapping is a leaf."""
    for key, value in mapping.items():
        path = (*prefix, *str(key).split("."))
        if isinstance(value, Mapping) and value:
            yield from mapping_entries(cast("Mapping[str, object]", value), source, path)
        else:
            yield Entry(path, cast("object", value), source)


def did_you_mean(word: str, known: list[str]) -> str:
    """Return ``; did you mean …?`` for the nearest known word, or nothing."""
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
