"""`--vary NAME=VALUES`: an option of `fit` and what a sweep shall try for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import NoneType
from typing import Any, get_args, get_type_hints

import typer

from alexnet.model.recipe import OPTIONS
from alexnet.model.sweep.space import Choices, Range
from alexnet.pipeline.files import nearest

WAYS = "write NAME=0.01,0.02 for a list, NAME=0.001:0.1:log or NAME=5:20 for a range"


def parse_space(texts: list[str], context: typer.Context) -> dict[str, Choices | Range]:
    """Return what is varied, by setting; the command has the options that may be.

    Raises:
        typer.BadParameter: there is nothing to vary, or an option is unknown, given
            twice, or has no such values.
    """
    if not texts:
        raise typer.BadParameter(f"nothing is varied: --vary says what, {WAYS}")
    parameters = {x.name: x for x in context.command.params if x.name in OPTIONS}
    names = {
        max(parameter.opts, key=len).removeprefix("--"): name
        for name, parameter in parameters.items()
        if not parameter.multiple
    }
    space: dict[str, Choices | Range] = {}
    for text in texts:
        option, _, values = text.partition("=")
        name = _setting(option, names)
        if name in space:
            raise typer.BadParameter(f"--vary {option} is given twice: name it once")
        if not values.strip(" ,"):
            raise typer.BadParameter(f"--vary {text} has no values: {WAYS}")
        read = partial(parameters[name].process_value, context)
        space[name] = _parse_values(name, values, read)
    return space


def _setting(text: str, names: Mapping[str, str]) -> str:
    """Return the setting of an option's name."""
    option = text.strip().lstrip("-").replace("_", "-")
    if option not in names:
        near = nearest(option, names)
        raise typer.BadParameter(
            f"--vary {text}: `fit` has no such option to vary; {near}"
        )
    return names[option]


def _parse_values(name: str, text: str, read: Callable[[str], Any]) -> Choices | Range:
    """Return the values in a text, each read as the option's own would be."""
    kind = get_type_hints(OPTIONS[name])[name]
    written = f"--vary {name.replace('_', '-')}={text}"

    def value(word: str) -> Any:
        if word == "none" and NoneType in get_args(kind):
            return None
        try:
            return read(word)
        except typer.BadParameter as error:
            raise typer.BadParameter(f"{written}: {error.message}") from None

    if {int, float} & {kind, *get_args(kind)} and ":" in text:
        low, _, rest = text.partition(":")
        high, _, scale = rest.partition(":")
        if scale not in ("", "log") or rest.endswith(":"):
            raise typer.BadParameter(f"{written} is no range: {WAYS}")
        return Range(value(low.strip()), value(high.strip()), scale == "log")
    words = [word.strip() for word in text.split(",") if word.strip()]
    return Choices(tuple(dict.fromkeys(map(value, words))))
