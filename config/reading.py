"""Fold the entries of all layers into one tree, and keep a list of everything that is wrong with them."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

from attrs import Attribute, Factory, define, evolve, fields_dict

from ..domain.errors import ConfigurationError, UnsupportedRequestError
from ..domain.timeframe import Timeframe
from .conversion import OPTIONS, TABLE, entries_from_text, make_text_converter, make_value_converter
from .rules import Rule
from .settings import Settings
from .sources import Entry, did_you_mean

Field: TypeAlias = "Attribute[Any]"  # attrs only knows the brackets as a type

SECTIONS: Mapping[str, type] = {name: cast("type", section.type) for name, section in fields_dict(Settings).items()}
FIELDS: Mapping[tuple[str, ...], Field] = {
    (section, key): field for section, kind in SECTIONS.items() for key, field in fields_dict(kind).items()
}
_KEY_DEPTH, _TABLE_DEPTH = 2, 3  # section.key, and section.table.timeframe
_OPTION_DEPTH = 4  # plugins.options.<channel>.<option>
_FROM_VALUE, _FROM_TEXT = make_value_converter(), make_text_converter()


@define
class Reading:
    """What the layers read so far have set, and what is wrong with them.

    Attributes:
        values: path of each key to its value, already of the key's type.
        origins: dotted path of each setting to the layer that set it.
        mistakes: sentences, in the order found, each once (the values mean nothing).

    """

    values: dict[tuple[str, ...], Any] = Factory(dict[tuple[str, ...], Any])
    origins: dict[str, str] = Factory(dict[str, str])
    mistakes: dict[str, None] = Factory(dict[str, None])

    def take(self, layer: Iterable[Entry]) -> None:
        """Take one more layer, which wins over those before it."""
        try:
            for entry in layer:
                self._take(entry)
        except ConfigurationError as error:  # the layer as a whole cannot be read
            self.mistakes[str(error)] = None

    def settings(self) -> Settings:
        """Build the tree.

        Raises:
            ConfigurationError: something is wrong; the message names all of it.

        """
        if self.mistakes:
            lines = "".join(f"\n  {mistake}" for mistake in self.mistakes)
            count = len(self.mistakes)
            raise ConfigurationError(f"{count} mistake{'s' if count > 1 else ''} in the settings:{lines}")
        return Settings(**{name: kind(**self._section(name)) for name, kind in SECTIONS.items()})

    def _section(self, name: str) -> dict[str, Any]:
        return {path[1]: value for path, value in self.values.items() if path[0] == name}

    def _take(self, entry: Entry) -> None:
        field = FIELDS.get(entry.path[:_KEY_DEPTH])
        if field is not None and field.type == TABLE:
            self._take_table(entry, field)
        elif field is not None and field.type == OPTIONS:
            self._take_option(entry, field)
        elif field is not None and len(entry.path) == _KEY_DEPTH:
            self._take_value(entry, field)
        elif len(entry.path) == 1 and entry.path[0] in SECTIONS:
            if entry.value != {}:
                self._add_mistake(entry, f"expected a table of settings, got {entry.value!r}")
        else:
            self._add_unknown(entry)

    def _take_value(self, entry: Entry, field: Field) -> None:
        is_good, value = _convert(entry, field.type)
        rule = cast("Rule", field.validator)
        if is_good and rule.holds(value):
            self.values[entry.path] = value
            self._note_origin(entry)
        else:
            self._add_mistake(entry, f"expected {rule.expected}, got {entry.value!r}")

    def _take_table(self, entry: Entry, field: Field) -> None:
        if len(entry.path) == _TABLE_DEPTH and not entry.is_text:
            self._take_row(entry, field)
        elif len(entry.path) == _KEY_DEPTH and (rows := _rows(entry)) is not None:
            self.values.setdefault(entry.path, {})
            self._note_origin(entry)
            for key, value in rows.items():
                self._take_row(evolve(entry, path=(*entry.path, key), value=value), field)
        else:  # names of variables have no case, so 1m and 1M cannot be told apart there
            self._add_mistake(entry, f"expected {_expected_of(entry, field)}, got {entry.value!r}")

    def _take_option(self, entry: Entry, field: Field) -> None:
        """Take what an adapter will check itself; a later layer wins option by option."""
        table, names = entry.path[:_KEY_DEPTH], entry.path[_KEY_DEPTH:]
        held = self.values.setdefault(table, {})
        if len(entry.path) == _OPTION_DEPTH:
            channel, option = names
            self.values[table] = {**held, channel: {**held.get(channel, {}), option: entry.value}}
            self._note_origin(entry)
        elif entry.value != {} or len(entry.path) > _OPTION_DEPTH:
            rule = cast("Rule", field.validator)
            self._add_mistake(entry, f"expected {rule.expected}, got {entry.value!r}")

    def _take_row(self, entry: Entry, field: Field) -> None:
        try:
            timeframe = Timeframe.parse(entry.path[-1])
        except UnsupportedRequestError as error:
            self._add_mistake(entry, str(error))
            return
        is_good, value = _convert(entry, float)
        rule = cast("Rule", field.validator)
        if is_good and rule.holds({timeframe: value}):
            table = entry.path[:_KEY_DEPTH]
            self.values[table] = {**self.values.get(table, {}), timeframe: value}
            self._note_origin(evolve(entry, path=(*table, str(timeframe))))
        else:
            self._add_mistake(entry, f"expected {rule.expected}, got {entry.value!r}")

    def _note_origin(self, entry: Entry) -> None:
        self.origins[".".join(entry.path)] = entry.source

    def _add_mistake(self, entry: Entry, what: str) -> None:
        self.mistakes[f"{'.'.join(entry.path)}: {what} ({entry.source})"] = None

    def _add_unknown(self, entry: Entry) -> None:
        section = entry.path[0]
        if section not in SECTIONS:
            known = list(SECTIONS)
            what = f"unknown section, expected one of {', '.join(known)}{did_you_mean(section, known)}"
            self._add_mistake(evolve(entry, path=entry.path[:1]), what)
            return
        known = [key for name, key in FIELDS if name == section]
        key = ".".join(entry.path[1:])
        what = f"unknown key, expected one of {', '.join(known)}, got {entry.value!r}{did_you_mean(key, known)}"
        self._add_mistake(entry, what)


def _convert(entry: Entry, kind: Any) -> tuple[bool, Any]:  # noqa: ANN401 - the type is a value here
    converter = _FROM_TEXT if entry.is_text else _FROM_VALUE
    try:
        return True, converter.structure(entry.value, kind)
    except (TypeError, ValueError, OverflowError):
        return False, None


def _rows(entry: Entry) -> Mapping[str, object] | None:
    """Return the rows of a table given whole, or None when it is no table."""
    if not entry.is_text:
        return {} if entry.value == {} else None
    try:
        return entries_from_text(str(entry.value))
    except ValueError:
        return None


def _expected_of(entry: Entry, field: Field) -> str:
    rule = cast("Rule", field.validator)
    return f"{rule.expected}, whole in one variable, such as '1s=3, 1m=5'" if entry.is_text else rule.expected
