"""Options of commands, made from the dataclasses that declare the settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import Field, fields
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from alexnet.cli.options import parse_size
from alexnet.pipeline.files import format_bytes
from alexnet.pipeline.setting import Config

_Command = TypeVar("_Command", bound=Callable[..., None])
BYTES = "_bytes"


def takes_settings(
    *configs: type[Config], only: Collection[str] = ()
) -> Callable[[_Command], _Command]:
    """Give a command an option for each setting; it gets them as `**settings`.

    `only` names the settings to take; without it these are all of the dataclasses'.
    """

    def add_options(command: _Command) -> _Command:
        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [x for config in configs for x in _parameters(config, only)]
        parameters += [x for x in own if x.kind != x.VAR_KEYWORD]
        by_name = {x.name: x.replace(kind=x.KEYWORD_ONLY) for x in parameters}
        signature = inspect.Signature(list(by_name.values()))
        command.__signature__ = signature  # type: ignore[attr-defined]
        return command

    return add_options


def _parameters(config: type[Config], only: Collection[str]) -> list[inspect.Parameter]:
    """Return a parameter for each setting, a class's own before those it inherits."""
    kinds = get_type_hints(config)
    settings = [x for x in fields(config) if x.metadata]
    settings.sort(key=lambda setting: setting.name not in config.__annotations__)
    return [
        _parameter(setting, kinds[setting.name])
        for setting in settings
        if not only or setting.name in only
    ]


def _parameter(setting: Field[Any], kind: Any) -> inspect.Parameter:
    """Return what typer makes an option of: a name, a type, a default and a help."""
    default: Any = setting.default
    details: dict[str, Any] = {"help": setting.metadata["help"]}
    name = "--" + setting.name.removesuffix(BYTES).replace("_", "-")
    if kind == tuple[str, ...]:
        kind, default = list[str], list(default)
    if kind in (bool, bool | None):
        name += f"/--no-{name.removeprefix('--')}"
    if setting.name.endswith(BYTES):
        details |= {"parser": parse_size, "metavar": "SIZE"}
        default = None if default is None else format_bytes(default)
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, typer.Option(name, **details)],
    )
