"""A run's settings by name, what differs between runs, and the command of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from shlex import join
from typing import Any, NamedTuple

from alexnet.model.command_line import option_words
from alexnet.model.config import NETWORK, SAVED_NETWORK, TRAIN
from alexnet.model.training.run_config import RunConfig
from alexnet.pipeline.augment.presets import PRESETS


class Setting(NamedTuple):
    """A setting of a run; `is_default` where nobody has chosen it."""

    name: str
    value: Any
    is_default: bool


def run_settings(config: RunConfig) -> list[Setting]:
    """A run's settings, the chosen ones first."""
    data = {
        "data": config.data,
        "storage": config.storage,
        "side": config.stored_side,
        "resize": config.resize,
        "num_classes": len(config.class_names),
    }
    settings = [Setting(name, value, False) for name, value in data.items()]
    for own, defaults in ((config.network, NETWORK), (config.train, TRAIN)):
        settings += [
            Setting(name, value, value == getattr(defaults, name))
            for name, value in asdict(own).items()
            if name not in data
        ]
    settings += [
        Setting(f"augment: {name}", value, False)
        for name, value in asdict(config.augment).items()
        if value != getattr(PRESETS[config.train.augment], name)
    ]
    return sorted(settings, key=lambda setting: setting.is_default)


def differing_settings(
    configs: Sequence[RunConfig],
) -> list[tuple[str, list[Any]]]:
    """The settings in which runs differ, each with its value in every run."""
    columns = [{s.name: s.value for s in run_settings(config)} for config in configs]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [(name, [column.get(name) for column in columns]) for name in names]
    return [
        (name, values) for name, values in rows if values != values[:1] * len(values)
    ]


def fit_command(config: RunConfig, run: Path) -> str:
    """The command that trains such a run again."""
    chosen = {
        field.name: getattr(own, field.name)
        for own, defaults in ((config.network, NETWORK), (config.train, TRAIN))
        for field in fields(own)
        if field.metadata
        and getattr(own, field.name)
        not in (getattr(defaults, field.name), SAVED_NETWORK)
    }
    words = [config.data, "--run", str(run), *option_words(chosen)]
    return f"alexnet fit {join(words)}"
