"""A check that values read from JSON have the types that a dataclass declares.

It comes between a set's `dataset.json` or a run's `config.json`, which anybody may have
written, and the objects that are made of them.
"""

from __future__ import annotations

import math
import reprlib
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from alexnet.pipeline.errors import ConfigError

WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}
# The largest integer of 64 bits.
MAX_INTEGER = 2**63 - 1


def require_kinds(cls: type, values: Any) -> None:
    """Check the values of a dataclass's fields, those that are there.

    Raises:
        ConfigError: one is of another type; the message names it.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{cls.__name__} is {reprlib.repr(values)}, not an object")
    kinds = get_type_hints(cls)
    for name in {field.name for field in fields(cls)} & set(values):
        kind, value = kinds[name], values[name]
        if not _fits(value, kind):
            needs = _told(kind)
            raise ConfigError(f"{name} is {reprlib.repr(value)}; it needs {needs}")


def _told(kind: Any) -> str:
    """Return a type in words, for somebody who writes JSON or TOML by hand."""
    origin, choices = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return " or ".join(_told(one) for one in choices if one is not NoneType)
    if origin is Literal:
        return f"one of {', '.join(map(repr, choices))}"
    if is_dataclass(kind) or origin is dict:
        return "an object"
    return "a list" if origin is tuple else WORDS[kind]


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether a value is of a type.

    Raises:
        ConfigError: it is an object with a field of another type.
    """
    origin, choices = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        require_kinds(cast(type, kind), value)
        return True
    if origin is UnionType:
        if value is None:
            return NoneType in choices
        return any(_fits(value, one) for one in choices if one is not NoneType)
    if origin is Literal:
        return isinstance(value, str) and value in choices
    if origin is tuple:
        return _fits_tuple(value, choices)
    if origin is dict:  # as JSON has them: by name
        return isinstance(value, dict) and all(
            _fits(one, choices[1]) for one in value.values()
        )
    if type(value) is int:
        return kind in (int, float) and abs(value) <= MAX_INTEGER
    if type(value) is float:
        return kind is float and math.isfinite(value)
    return type(value) is kind


def _fits_tuple(value: Any, kinds: tuple[Any, ...]) -> bool:
    """Tell whether a list is of `kinds`: a type a value, or one for all and `...`."""
    if not isinstance(value, list):
        return False
    if kinds[-1] is ...:
        return all(_fits(one, kinds[0]) for one in value)
    return len(value) == len(kinds) and all(map(_fits, value, kinds))
