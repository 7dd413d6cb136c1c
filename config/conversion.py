"""From what a file, a variable or a caller holds to the type of a setting: shape only, meaning is the Rule's."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, cast, get_origin

from cattrs import Converter

from ..domain.timeframe import Timeframe

NAMES = tuple[str, ...]
TABLE = Mapping[Timeframe, float]
OPTIONS = Mapping[str, Mapping[str, object]]

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def make_value_converter() -> Converter:
    """Build the converter for typed values, which guesses nothing: no text for a number, no 1 for true."""
    return _make_converter(_flag, _whole, _number, _names)


def make_text_converter() -> Converter:
    """Build the converter for environment variables, which hold text: ``true``, ``10``, ``rest,cache``."""
    return _make_converter(_flag_from_text, int, float, _names_from_text)


def entries_from_text(text: str) -> dict[str, str]:
    """Read a table that an environment variable holds, such as ``1s=3, 1m=5``.

    Raises:
        ValueError: a part has no equals sign.

    """
    entries: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(part)
        entries[key.strip()] = value.strip()
    return entries


def _make_converter(
    flag: Callable[[str], object],
    whole: Callable[[str], object],
    number: Callable[[str], object],
    names: Callable[[str], object],
) -> Converter:
    converter = Converter()
    hooks = {bool: flag, int: whole, float: number, str: _text}
    for kind, hook in hooks.items():
        converter.register_structure_hook(kind, lambda value, _, hook=hook: hook(value))
    converter.register_structure_hook_func(lambda kind: kind == NAMES, lambda value, _: names(value))
    converter.register_structure_hook_func(lambda kind: get_origin(kind) is Literal, lambda value, _: _text(value))
    return converter


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(value)
    return value


def _number(value: object) -> float:
    return value if isinstance(value, float) else float(_whole(value))


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(value)
    return tuple(map(_text, cast("list[object]", value)))


def _flag_from_text(text: str) -> bool:
    try:
        return _WORDS[text.strip().lower()]
    except KeyError as error:
        raise ValueError(text) from error


def _names_from_text(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
