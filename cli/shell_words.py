"""The library's errors for a shell: its `batch_size=64` is --batch-size 64 there.

The library names a setting by its Python name, in backticks: `reader`,
`reader='mmap'`, `overwrite=True`. What stands in other backticks stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from typer.core import TyperOption

SETTING = re.compile(r"`(\w+)(?:=([^`]+))?`")


def option_names(command: Any) -> dict[str, str]:
    """Return the options of a command and its subcommands, by the settings' names."""
    names = {
        str(parameter.name): max(parameter.opts, key=len)
        for parameter in command.params
        if isinstance(parameter, TyperOption)
    }
    for subcommand in getattr(command, "commands", {}).values():
        names |= option_names(subcommand)
    return names


def shell_words(text: str, options: Mapping[str, str]) -> str:
    """Return a text with the settings in it as options of the command line."""

    def as_option(setting: re.Match[str]) -> str:
        name, value = setting.groups()
        if name not in options:
            return setting[0]
        if value == "False":
            return f"--no-{options[name].removeprefix('--')}"
        if value in (None, "True"):
            return options[name]
        return " ".join((options[name], value.strip("'")))

    return SETTING.sub(as_option, text)
