"""Reads a TOML table into a frozen dataclass: every key known, none missing that has no default, each of its type.

Only the types that a card uses: text, numbers, enums, tuples of those, tables, and tables whose keys are free.
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import EnumMeta
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from models.errors import CardError

_T = TypeVar("_T")


class Place:
    """Where in which file a value stands, for messages that name it."""

    def __init__(self, path: Path, key: str = "") -> None:
        self._path = path
        self._key = key

    def inside(self, key: str) -> "Place":
        """The place of a key in this table."""
        return Place(self._path, f"{self._key}.{key}" if self._key else key)

    def refused(self, key: str, value: object, rule: str) -> CardError:
        """The error that names place, value and rule."""
        name = f"{self._key}.{key}" if self._key and key else self._key or key
        return CardError(
            f"{self._path} {name}: {value!r} is refused: {rule}. Restore the card, or update this program to the "
            "version that the bundle was made for."
        )

    def within(self, key: str, value: float, low: float, high: float) -> None:
        """Refuse a number outside `low` to `high`."""
        if not low <= value <= high:
            raise self.refused(key, value, f"it must be from {low:g} to {high:g}")


def read_table(kind: type[_T], table: object, place: Place) -> _T:
    """A dataclass of type `kind` from a TOML table.

    Raises
    ------
    CardError
        An unknown or missing key, or a value of another type; the message names it.
    """
    if not isinstance(table, dict):
        raise place.refused("", table, "it must be a table")
    hints = typing.get_type_hints(kind)
    known = {field.name: hints[field.name] for field in fields(kind)}  # type: ignore[arg-type]  # kind is a dataclass
    for key in table:
        if key not in known:
            raise place.refused(key, table[key], f"this version knows no such key; it knows {', '.join(known)}")
    for field in fields(kind):  # type: ignore[arg-type]  # kind is a dataclass
        if field.name not in table and field.default is MISSING:
            raise place.refused(field.name, "nothing", "the key is missing")
    return kind(**{key: _value(hint, table[key], place.inside(key)) for key, hint in known.items() if key in table})


def _value(hint: Any, value: Any, place: Place) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return read_table(hint, value, place)  # type: ignore[arg-type]  # a class, not an instance
    if isinstance(hint, EnumMeta):
        return _choice(hint, value, place)
    if origin is Mapping:
        return _free_table(arguments[1], value, place)
    if origin is tuple:
        return _tuple(arguments, value, place)
    if origin in (typing.Union, types.UnionType):
        if arguments[-1] is types.NoneType:
            return _value(arguments[0], value, place)
        return _free_value(value, place)
    return _plain(hint, value, place)


def _choice(kind: EnumMeta, value: Any, place: Place) -> Any:
    choices = [member.value for member in kind]  # type: ignore[var-annotated]  # members of any enum
    if value not in choices:
        raise place.refused("", value, f"it must be one of {', '.join(map(str, choices))}")
    return kind(value)


def _free_table(hint: Any, value: Any, place: Place) -> Any:
    if not isinstance(value, dict):
        raise place.refused("", value, "it must be a table")
    return types.MappingProxyType({key: _value(hint, each, place.inside(key)) for key, each in value.items()})


def _tuple(arguments: tuple[Any, ...], value: Any, place: Place) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise place.refused("", value, "it must be a list")
    if arguments[-1] is Ellipsis:
        return tuple(_value(arguments[0], each, place) for each in value)
    if len(value) != len(arguments):
        raise place.refused("", value, f"it must have {len(arguments)} entries")
    return tuple(_value(hint, each, place) for hint, each in zip(arguments, value, strict=True))


def _free_value(value: Any, place: Place) -> Any:
    """What a maker states freely: text, a number, a truth, or a list of these."""
    if isinstance(value, list):
        return [_free_value(each, place) for each in value]
    if not isinstance(value, str | int | float | bool):
        raise place.refused("", value, "it must be text, a number, true or false, or a list of these")
    return value


def _plain(hint: Any, value: Any, place: Place) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        name = {str: "text", int: "a whole number", float: "a number"}[hint]
        raise place.refused("", value, f"it must be {name}")
    if isinstance(value, float) and not isfinite(value):
        raise place.refused("", value, "it must be a finite number")
    return value
