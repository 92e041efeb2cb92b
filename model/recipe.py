"""Recipes: settings of a training in TOML files, shipped ones and a user's own.

A file's keys are the options of `fit`. What is given beside a file wins over it.
"""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.pipeline.config_json import require_kinds
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import nearest
from alexnet.pipeline.setting import Config, require

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RecipeName = Literal["article", "paper", "fast", "best"]
RECIPES = Path(__file__).with_name("recipes")
# The class that declares each option of `fit`, by the setting's name.
OPTIONS: dict[str, type[Config]] = {
    field.name: config
    for config in (NetworkConfig, TrainConfig)
    for field in fields(config)
    if field.metadata
}


def gather_settings(
    recipe: str | None, config: Path | None, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return a recipe's settings, over them a file's, over them those given.

    Raises:
        ConfigError: there is no such recipe or file, or it holds something else.
    """
    gathered: dict[str, Any] = {}
    if recipe is not None:
        names = get_args(RecipeName)
        require(recipe in names, "recipe", recipe, f"one of {', '.join(names)}")
        gathered |= read_settings(RECIPES / f"{recipe}.toml")
    if config is not None:
        gathered |= read_settings(config)
    return gathered | settings


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, by their Python names.

    Raises:
        ConfigError: there is no such file, it is no TOML, or a key is no setting or has
            a value of another kind or out of range; the message names file and line.
    """
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ConfigError(
            f"no such file: {path}. Expected TOML with options of `alexnet fit`, such"
            " as `epochs = 20` on a line."
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    for key, value in values.items():
        try:
            _check(key, value)
        except ConfigError as error:
            raise ConfigError(f"{path}, line {_line(text, key)}: {error}") from error
    return {
        _setting(key): tuple(value) if isinstance(value, list) else value
        for key, value in values.items()
    }


def _setting(key: str) -> str:
    """Return the setting that a key names as in Python or as on the command line."""
    return key.replace("-", "_")


def _check(key: str, value: Any) -> None:
    """Check that a key is a setting, and its value of its kind and in its range."""
    name = _setting(key)
    if name not in OPTIONS:
        raise ConfigError(f"{key} is no setting; {nearest(name, OPTIONS)}")
    require_kinds(OPTIONS[name], {name: value})
    OPTIONS[name].require_ranges({name: value})


def _line(text: str, key: str) -> int:
    """Return the number of the line on which a key, or a table of that name, stands."""
    stands = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    lines = text.splitlines()
    return next((n for n, line in enumerate(lines, 1) if stands.match(line)), 1)
